"""torch as a runtime: eager, captured as a CUDA graph, or compiled by inductor."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError, UnDeployError, needs, one_line
from un_deploy.graph.model.input_specs import (
    Feeds,
    TensorSpec,
    check_feeds,
    input_specs,
    tensor_names,
)
from un_deploy.runtime.layer_times import TimedLayer
from un_deploy.runtime.protocol import Timer
from un_deploy.runtime.run_memory import RunMemory
from un_deploy.runtime.session import model_of
from un_deploy.runtime.torch_graph.precision import Half, array_in_half, in_half

if TYPE_CHECKING:
    from torch import Tensor, fx

Mode = Literal["eager", "cuda-graph", "compile"]

_PREFIX = "torch cannot run the graph"


@dataclass(frozen=True)
class TorchRuntime:
    """See `un_deploy.runtime.protocol.Runtime`.

    Args:
        device: as torch names it.
        mode: "eager"; "cuda-graph": captured as one CUDA graph; "compile": torch.compile, which
            needs a C++ compiler on a CPU. On CUDA what is compiled is captured too.
        recognize: run attention, linear and GELU as one call each, else operator by operator.
        dtype: run a float32 graph in half precision; its inputs and outputs stay float32.
        tf32: whether products of fp32 may be computed in TF32 on CUDA.
    """

    device: str = "cpu"
    mode: Mode = "eager"
    recognize: bool = True
    dtype: Half | None = None
    tf32: bool = True
    name: str = field(default="torch", init=False)

    def load(self, model: ir.Model | Path) -> TorchSession:
        """See `un_deploy.runtime.protocol.Runtime`.

        Raises:
            InputError: an operator is not supported, names it and its node; a weight is beyond
                the range of the half type; a CUDA graph is asked for on another device.
            MissingPackageError: torch is not installed.
        """
        return TorchSession(model_of(model), self)


class TorchSession:
    """See `un_deploy.runtime.protocol.Session`. Imports the graph anew for each shape it meets."""

    def __init__(self, model: ir.Model, runtime: TorchRuntime) -> None:
        with needs("torch"):
            import torch

            from un_deploy.runtime.torch_graph.specialise import check_operators
            from un_deploy.runtime.torch_graph.tensors import initializers
        self.inputs: tuple[TensorSpec, ...] = input_specs(model)
        self._runtime = runtime
        self._outputs = [value.name or "" for value in model.graph.outputs]
        self._calls: dict[object, Callable[..., Any]] = {}
        try:
            if runtime.mode == "cuda-graph" and not self._on_cuda:
                raise InputError(f"a CUDA graph needs a CUDA device, not {runtime.device}")
            if self._on_cuda and runtime.device not in ("cuda", "cuda:0"):
                # Events and captures belong to the current device: another's times would be wrong.
                raise InputError(
                    f"{runtime.device} cannot be timed: choose the GPU by CUDA_VISIBLE_DEVICES, "
                    "and name it cuda"
                )
            check_operators(model)
            self._model = in_half(model, runtime.dtype) if runtime.dtype else model
            with torch.device(runtime.device):
                self._initializers = initializers(self._model)
        except (InputError, RuntimeError, AssertionError) as error:
            # torch without CUDA says so by an AssertionError.
            raise InputError(f"torch cannot load the graph: {one_line(error)}") from error

    @property
    def _on_cuda(self) -> bool:
        return self._runtime.device.startswith("cuda")

    def run(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """See `un_deploy.runtime.protocol.Session`."""

        from un_deploy.runtime.torch_graph.tensors import to_numpy

        names = self._outputs if fetch is None else list(fetch)
        with self._running():
            tensors = self._tensors(feeds)
            outputs = [to_numpy(out) for out in self._call(feeds, names, tensors)(*tensors)]
        if (dtype := self._runtime.dtype) is not None:
            half = np.dtype(ir.DataType[dtype.upper()].numpy())
            outputs = [out.astype(np.float32) if out.dtype == half else out for out in outputs]
        return dict(zip(names, outputs, strict=True))

    def timer(self, feeds: Feeds) -> Timer:
        """See `un_deploy.runtime.protocol.Session`. On CUDA the device's own clock is read."""

        from un_deploy.runtime.torch_graph.cuda_graph import CudaGraph

        with self._running():
            tensors = self._tensors(feeds)
            call = self._call(feeds, self._outputs, tensors)
            call(*tensors)
        run = call.replay if isinstance(call, CudaGraph) else lambda: call(*tensors)
        timed = device_timer(run) if self._on_cuda else host_timer(run)

        def seconds(runs: int) -> float:
            with self._multiplying():
                return timed(runs)

        return seconds

    def layer_times(self, feeds: Feeds, runs: int, warm_up: int) -> tuple[TimedLayer, ...]:
        """See `un_deploy.runtime.layer_times.TellsLayers`; eager only."""

        from un_deploy.runtime.torch_graph.profile import layer_times

        if self._runtime.mode != "eager":
            raise InputError(
                f"torch in the mode {self._runtime.mode} does not run node by node: profile eager "
                "torch, or a plan"
            )
        with self._running():
            tensors = self._tensors(feeds)
            module = self.module(feeds)
            return layer_times(self._model, module, tensors, runs, warm_up, on_cuda=self._on_cuda)

    def run_memory(self, feeds: Feeds) -> RunMemory:
        """See `un_deploy.runtime.run_memory.TellsMemory`."""

        from un_deploy.runtime.torch_graph.cuda_graph import CudaGraph
        from un_deploy.runtime.torch_graph.memory import host_peak_bytes, peak_bytes

        with self._running():
            tensors = self._tensors(feeds)
            call = self._call(feeds, self._outputs, tensors)
            if isinstance(call, CudaGraph):
                return RunMemory(call.pool_bytes(), "the pool of the CUDA graph, outputs included")
            if self._on_cuda:
                peak = peak_bytes(lambda: call(*tensors), self._runtime.device)
                return RunMemory(peak, "what torch's CUDA allocator gave out, outputs included")
            return RunMemory(
                host_peak_bytes(lambda: call(*tensors)),
                "host memory that torch's CPU allocator gave out, outputs included",
            )

    @contextmanager
    def _running(self) -> Iterator[None]:
        import torch

        with _one_line_errors(), torch.inference_mode(), self._multiplying():
            yield

    def _multiplying(self) -> AbstractContextManager[None]:
        from un_deploy.runtime.torch_graph.tf32 import tf32

        return tf32(self._runtime.tf32) if self._on_cuda else nullcontext()

    def recognised(self, feeds: Feeds) -> dict[str, int]:
        """See `un_deploy.runtime.protocol.Recognises`: attention, linear layers and GELU."""
        from un_deploy.runtime.torch_graph.recognize import counts

        return counts(self.module(feeds))

    def module(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> fx.GraphModule:
        """The graph for inputs of these shapes, on the runtime's device.

        Its forward takes tensors in the order of the feeds and returns a tuple. All modules of a
        session share the initializers.

        Raises:
            InputError: an input is missing or unfit, a tensor is not there, or an operator does
                not run on these shapes.
        """
        import torch

        from un_deploy.runtime.torch_graph.specialise import specialise

        missing = set(fetch or ()) - tensor_names(self._model.graph)
        if missing:
            raise InputError(f"the graph has no tensor {', '.join(sorted(missing))}")
        with _one_line_errors():
            tensors = self._tensors(feeds)
            with torch.device(self._runtime.device):
                return specialise(
                    self._model,
                    self._initializers,
                    dict(zip(feeds, tensors, strict=True)),
                    outputs=fetch,
                    recognize=self._runtime.recognize,
                )

    def _tensors(self, feeds: Feeds) -> list[Tensor]:
        """The feeds on the device, in their order, in the half type if there is one."""
        import torch

        from un_deploy.runtime.torch_graph.tensors import from_numpy

        check_feeds(self.inputs, feeds)
        arrays, half = dict(feeds), self._runtime.dtype
        for name, array in feeds.items():
            if half is not None and array.dtype == np.float32:
                arrays[name] = array_in_half(array, half, f"input {name}")
        with torch.device(self._runtime.device):
            return [from_numpy(array) for array in arrays.values()]

    def _call(self, feeds: Feeds, names: list[str], tensors: list[Tensor]) -> Callable[..., Any]:
        """What runs the graph on inputs of these shapes; kept for the next time."""
        import torch

        from un_deploy.runtime.torch_graph.cuda_graph import CudaGraph

        key = (tuple((n, a.dtype, a.shape) for n, a in feeds.items()), tuple(names))
        if key not in self._calls:
            call: Callable[..., Any] = self.module(feeds, names)
            if self._runtime.mode == "compile":
                call = torch.compile(call, fullgraph=True)
            if self._on_cuda and self._runtime.mode != "eager":
                call = CudaGraph(call, tensors)
            self._calls[key] = call
        return self._calls[key]


@contextmanager
def process_threads(count: int) -> Iterator[None]:
    """torch has one number of threads for the whole process; afterwards it is as it was."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def host_timer(run: Callable[[], Any]) -> Timer:
    """A timer of anything that torch computes on the CPU, without gradients."""
    import torch

    def seconds(runs: int) -> float:
        with torch.inference_mode():
            start = time.perf_counter()
            for _ in range(runs):
                run()
            return time.perf_counter() - start

    return seconds


def device_timer(run: Callable[[], Any]) -> Timer:
    """A timer of anything that is launched on torch's current stream, by the device's clock."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def seconds(runs: int) -> float:
        with torch.inference_mode():
            torch.cuda.synchronize()
            start.record()
            for _ in range(runs):
                run()
            end.record()
            torch.cuda.synchronize()
        return start.elapsed_time(end) / 1e3

    return seconds


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What torch raises depends on the operator: whatever it is, it becomes one line.

    torch.fx prints a traceback of the traced code too, and raises all the same.
    """
    try:
        with redirect_stderr(io.StringIO()):
            yield
    except InputError as error:
        if str(error).startswith(_PREFIX):
            raise
        raise InputError(f"{_PREFIX}: {error}") from error
    except UnDeployError:
        raise
    except Exception as error:
        raise InputError(f"{_PREFIX}: {one_line(error)}") from error
