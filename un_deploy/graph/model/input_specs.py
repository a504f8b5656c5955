"""What a graph takes: its inputs with their types and shapes, and whether arrays fit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.graph.model.message_forms import maps_of

Feeds = Mapping[str, np.ndarray]
"""One array per graph input, by name."""

Arrays = Mapping[str, Any]
"""What a user gives for them: arrays, tensors on the CPU, or nested lists, by name."""

Dim = int | str | None
"""A fixed size, the name of a dynamic one, or unknown."""


@dataclass(frozen=True)
class TensorSpec:
    """Name, element type and shape of a graph input; shape None: even the rank is unknown."""

    name: str
    dtype: np.dtype
    shape: tuple[Dim, ...] | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name}: {self.dtype}"
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.name}: {self.dtype} ({dims})"


def input_specs(model: onnx_ir.Model) -> tuple[TensorSpec, ...]:
    """The inputs that must be fed, in order; those with a default value are left out.

    Raises:
        InputError: an input is no tensor, or has no element type.
    """
    inputs = [value for value in model.graph.inputs if not value.is_initializer()]
    for value in inputs:
        if not isinstance(value.type, onnx_ir.TensorType):
            raise InputError(
                f"input {described(model, value)} is no tensor, and cannot be fed here"
            )
    return tuple(_spec(value) for value in inputs)


def tensor_outputs(model: onnx_ir.Model) -> list[str]:
    """The names of the outputs that are tensors, and no sequences or maps."""
    others = (onnx_ir.SequenceType, onnx_ir.OptionalType)
    maps = maps_of(model)
    outputs = [v for v in model.graph.outputs if not isinstance(v.type, others)]
    return [str(value.name) for value in outputs if value.name not in maps]


def tensor_names(graph: onnx_ir.Graph) -> set[str]:
    """Names of all the tensors of a graph (not of its subgraphs) that can be fetched."""
    values = [*graph.inputs, *graph.initializers.values()]
    values += [value for node in graph for value in node.outputs]
    return {value.name for value in values if value.name}


def sizes_given(
    inputs: Sequence[TensorSpec],
    dims: Mapping[str, int] | None,
    shapes: Mapping[str, Sequence[int]] | None,
) -> dict[str, int]:
    """Sizes of dynamic dimensions by name, from --dim and from --shapes.

    Args:
        dims: by name.
        shapes: whole shapes, by input; a dimension without a name gets ``INPUT:AXIS`` for one.

    Raises:
        InputError: there is no such input, a shape has another rank or another size where that is
            fixed, or a dimension has two sizes.
    """
    known, found = {spec.name: spec for spec in inputs}, dict(dims or {})
    for name, shape in (shapes or {}).items():
        if name not in known:
            raise InputError(
                f"{argument('shapes')} names {name}; the inputs are {', '.join(known)}"
            )
        spec = known[name]
        if spec.shape is None or len(spec.shape) != len(shape):
            raise InputError(f"{argument('shapes')} gives {len(shape)} axes to input {spec}")
        for axis, (dim, size) in enumerate(zip(spec.shape, shape, strict=True)):
            if isinstance(dim, int) and dim != size:
                raise InputError(
                    f"{argument('shapes')} gives size {size} to axis {axis} of input {spec}, which "
                    "is fixed"
                )
            key = dim or f"{name}:{axis}"
            if isinstance(key, str) and found.setdefault(key, size) != size:
                raise InputError(
                    f"{key} is {found[key]} and, in the shape of {name}, {size}: give "
                    f"{argument('shapes')} or {argument('dims')} one size for it"
                )
    return found


def check_feeds(specs: Sequence[TensorSpec], feeds: Feeds) -> None:
    """All inputs are there, and each has its type and the sizes that are fixed.

    Raises:
        InputError: names the input.
    """
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


def _dim(dim: int | onnx_ir.SymbolicDim) -> Dim:
    """Some exporters write -1 for a size that is dynamic."""
    if isinstance(dim, int):
        return dim if dim >= 0 else None
    return dim.value


def described(model: onnx_ir.Model, value: onnx_ir.Value) -> str:
    """Name, type and shape of an input or an output of any kind, for people."""
    kind = value.type
    if (found := maps_of(model).get(str(value.name))) is not None:
        whole = found.WhichOneof("value")
        return f"{value.name}: {'map' if whole == 'map_type' else 'sequence of maps'}"
    words: list[str] = []
    while isinstance(kind, onnx_ir.SequenceType | onnx_ir.OptionalType):
        words.append("sequence of" if isinstance(kind, onnx_ir.SequenceType) else "optional")
        kind = kind.elem_type
    element = np.dtype(kind.dtype.numpy()) if isinstance(kind, onnx_ir.TensorType) else "?"
    dims = ["?"] if value.shape is None else [_dim(dim) for dim in value.shape]
    shape = ", ".join("?" if dim is None else str(dim) for dim in dims)
    return f"{value.name}: {' '.join((*words, str(element)))} ({shape})"


def _spec(value: onnx_ir.Value) -> TensorSpec:
    assert value.dtype is not None
    dims: tuple[Dim, ...] | None = None
    if value.shape is not None:
        dims = tuple(_dim(dim) for dim in value.shape)
    return TensorSpec(value.name or "", np.dtype(value.dtype.numpy()), dims)
