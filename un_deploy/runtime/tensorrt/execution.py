"""Runs an engine once: shapes, buffers and the call, for feeds of one shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from un_deploy.arguments.names import argument
from un_deploy.engines.flavor import described, library
from un_deploy.engines.log import Message, first_error, listening, warnings_of
from un_deploy.engines.plan.load import LoadedPlan
from un_deploy.engines.profiles import Range, Shape, profile_holding
from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import Feeds

if TYPE_CHECKING:
    import torch

TORCH_TYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT32": "int32",
    "INT64": "int64",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}
"""torch's element types by members of ``trt.DataType``."""


class Execution:
    """A ``trt.IExecutionContext`` with memory of its own.

    Inputs and outputs are on torch's device; the engine itself is on the GPU.

    Attributes:
        inputs, outputs: names, in the engine's order.
        warnings: what TensorRT warned of, each once.

    Raises:
        InputError: there is no room for it, or an input or output has a layout or type in which
            torch does not hold tensors.
    """

    def __init__(self, plan: LoadedPlan, device: str) -> None:
        self._plan, self._device = plan, device
        self._engine = plan.engine
        trt = library(plan.flavor)
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        mode = trt.TensorIOMode.INPUT
        self.inputs = tuple(n for n in names if self._engine.get_tensor_mode(n) == mode)
        self.outputs = tuple(n for n in names if n not in self.inputs)
        for name in names:
            self._check(name)
        self.warnings: dict[str, None] = {}
        with self._listening() as heard:
            context = self._engine.create_execution_context()
        if context is None:
            raise InputError(f"{self._title} cannot prepare {plan.origin}: {first_error(heard)}")
        self.context = context

    def profile_for(self, shapes: Mapping[str, Shape]) -> int:
        """The first optimisation profile that takes these shapes.

        Raises:
            InputError: there is none; names an input, its shape, and the ranges it may have.
        """
        dynamic = [n for n in self.inputs if -1 in tuple(self._engine.get_tensor_shape(n))]
        profiles = [
            {n: self._range(n, index) for n in dynamic}
            for index in range(self._engine.num_optimization_profiles)
        ]
        return profile_holding(profiles, shapes, origin=self._plan.origin)

    def _range(self, name: str, profile: int) -> Range:
        least, usual, most = map(tuple, self._engine.get_tensor_profile_shape(name, profile))
        return Range(least, usual, most)

    def bind(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Take inputs of these shapes, at these addresses, and memory for the outputs.

        Both must live until the last run has ended.

        Raises:
            InputError: no profile takes the shapes, the engine refuses one, or an output's size
                depends on values.
        """
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        index = self.profile_for(shapes)
        with self._listening() as heard:
            if index != self.context.active_optimization_profile:
                self._done(
                    self.context.set_optimization_profile_async(index, self._stream()),
                    f"take profile {index}",
                    heard,
                )
            for name in self.inputs:
                done = self.context.set_input_shape(name, shapes[name])
                self._done(done, f"take {_text(shapes[name])} for input {name}", heard)
            outputs = {name: self._output(name) for name in self.outputs}
            for name, tensor in (*tensors.items(), *outputs.items()):
                done = self.context.set_tensor_address(name, tensor.data_ptr())
                self._done(done, f"take memory for {name}", heard)
        return outputs

    def enqueue(self) -> None:
        """Run on what is bound, on torch's current stream, without waiting for the end.

        Raises:
            InputError: TensorRT refuses.
        """
        with self._listening() as heard:
            self._done(self.context.execute_async_v3(self._stream()), "run", heard)

    def put(self, feeds: Feeds) -> dict[str, torch.Tensor]:
        """Copies of the feeds, each where the engine reads it."""
        import torch

        from un_deploy.runtime.torch_graph.tensors import from_numpy

        tensors = {}
        for name in self.inputs:
            with torch.device(self._place(name)):
                tensors[name] = from_numpy(feeds[name])
        return tensors

    def _output(self, name: str) -> torch.Tensor:
        import torch

        shape = tuple(self.context.get_tensor_shape(name))
        if any(size < 0 for size in shape):
            raise InputError(
                f"{self._plan.origin}: the size of output {name} depends on values, not on shapes "
                "alone, which is not supported"
            )
        dtype = getattr(torch, TORCH_TYPES[self._engine.get_tensor_dtype(name).name])
        return torch.empty(shape, dtype=dtype, device=self._place(name))

    def _place(self, name: str) -> str:
        """Where the engine reads or writes a tensor; those that hold shapes are on the host."""
        trt = library(self._plan.flavor)
        host = self._engine.get_tensor_location(name) == trt.TensorLocation.HOST
        return "cpu" if host else self._device

    def _check(self, name: str) -> None:
        trt = library(self._plan.flavor)
        dtype = self._engine.get_tensor_dtype(name).name
        if dtype not in TORCH_TYPES:
            raise InputError(f"{self._plan.origin}: {name} is of type {dtype}, not supported here")
        for index in range(self._engine.num_optimization_profiles):
            layout = self._engine.get_tensor_format(name, index)
            if layout != trt.TensorFormat.LINEAR:
                raise InputError(
                    f"{self._plan.origin}: {name} has the layout {layout.name}, and only plans "
                    "with chw inputs and outputs are run here: build it with "
                    f"{argument('input_formats')} and {argument('output_formats')} of chw"
                )

    def _stream(self) -> int:
        """The handle of torch's current stream; on the CPU, where only tests are, there is none."""
        import torch

        if not self._device.startswith("cuda"):
            return 0
        handle: int = torch.cuda.current_stream().cuda_stream
        return handle

    @contextmanager
    def _listening(self) -> Iterator[list[Message]]:
        with listening() as heard:
            yield heard
        self.warnings |= dict.fromkeys(warnings_of(heard))

    def _done(self, done: bool, what: str, heard: list[Message]) -> None:
        if not done:
            reason = first_error(heard)
            raise InputError(f"{self._title} cannot {what} with {self._plan.origin}: {reason}")

    @property
    def _title(self) -> str:
        return described(self._plan.flavor)


def _text(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
