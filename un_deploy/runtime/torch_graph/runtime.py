"""torch as a runtime: eager, or compiled by inductor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError, needs
from un_deploy.graph.checks import one_line
from un_deploy.runtime.protocol import Feeds, TensorSpec, input_specs, tensor_names

if TYPE_CHECKING:
    from torch import fx

Mode = Literal["eager", "compile"]


@dataclass(frozen=True)
class TorchRuntime:
    """See `un_deploy.runtime.protocol.Runtime`.

    Args:
        device: as torch names it.
        mode: "eager", or "compile" for torch.compile, which needs a C++ compiler on a CPU.
        recognize: run attention, linear and GELU as one call each, else operator by operator.
    """

    device: str = "cpu"
    mode: Mode = "eager"
    recognize: bool = True
    name: str = field(default="torch", init=False)

    def load(self, model: ir.Model) -> TorchSession:
        """See `un_deploy.runtime.protocol.Runtime`.

        Raises:
            InputError: an operator is not supported; names it and its node.
            MissingPackageError: torch is not installed.
        """
        return TorchSession(model, self)


class TorchSession:
    """See `un_deploy.runtime.protocol.Session`. Imports the graph anew for each shape it meets."""

    def __init__(self, model: ir.Model, runtime: TorchRuntime) -> None:
        with needs("torch"):
            import torch

            from un_deploy.runtime.torch_graph.specialise import check_operators
            from un_deploy.runtime.torch_graph.tensors import initializers
        self.inputs: tuple[TensorSpec, ...] = input_specs(model)
        self._model = model
        self._runtime = runtime
        self._outputs = [value.name or "" for value in model.graph.outputs]
        self._calls: dict[object, Callable[..., Any]] = {}
        try:
            check_operators(model)
            with torch.device(runtime.device):
                self._initializers = initializers(model)
        except (InputError, RuntimeError) as error:
            raise InputError(f"torch cannot load the graph: {one_line(error)}") from error

    def run(self, feeds: Feeds, fetch: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """See `un_deploy.runtime.protocol.Session`."""
        import torch

        from un_deploy.runtime.torch_graph.tensors import from_numpy, to_numpy

        names = self._outputs if fetch is None else list(fetch)
        shapes = tuple((name, array.dtype, array.shape) for name, array in feeds.items())
        key = (shapes, tuple(names))
        try:
            if key not in self._calls:
                module: Callable[..., Any] = self.module(feeds, names)
                if self._runtime.mode == "compile":
                    module = torch.compile(module, fullgraph=True)
                self._calls[key] = module
            with torch.inference_mode(), torch.device(self._runtime.device):
                outputs = self._calls[key](*map(from_numpy, feeds.values()))
        except InputError:
            raise
        except Exception as error:  # what torch raises depends on the operator
            raise InputError(f"torch cannot run the graph: {one_line(error)}") from error
        return {name: to_numpy(out) for name, out in zip(names, outputs, strict=True)}

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
        from un_deploy.runtime.torch_graph.tensors import from_numpy

        missing = set(fetch or ()) - tensor_names(self._model.graph)
        if missing:
            raise InputError(f"the graph has no tensor {', '.join(sorted(missing))}")
        try:
            _check_feeds(self.inputs, feeds)
            with torch.device(self._runtime.device):
                return specialise(
                    self._model,
                    self._initializers,
                    {name: from_numpy(array) for name, array in feeds.items()},
                    outputs=fetch,
                    recognize=self._runtime.recognize,
                )
        except InputError as error:
            raise InputError(f"torch cannot run the graph: {error}") from error


def _check_feeds(specs: Sequence[TensorSpec], feeds: Feeds) -> None:
    """All inputs are there, and each has its type and the sizes that are fixed."""
    for spec in specs:
        if spec.name not in feeds:
            raise InputError(f"input {spec.name} is missing")
        array = feeds[spec.name]
        fits = spec.shape is None or (
            len(spec.shape) == array.ndim
            and all(d == n for d, n in zip(spec.shape, array.shape, strict=True) if type(d) is int)
        )
        if array.dtype != spec.dtype or not fits:
            raise InputError(f"input {spec} got {array.dtype} {tuple(array.shape)}")
