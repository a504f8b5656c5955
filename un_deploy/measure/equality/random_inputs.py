"""Random inputs that a graph accepts: token ids within their tables, masks with tokens left."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx_ir

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError, one_line
from un_deploy.free_memory import check_memory
from un_deploy.graph.model.input_specs import Dim, TensorSpec, input_specs

BATCH = 2
OTHER = 8
"""Sizes of dynamic dimensions: of axis 0 or named batch, and of the others."""

LAYOUT = {"Cast", "Concat", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze"}
LAYOUT |= {"Tile", "Transpose", "Unsqueeze"}
"""Operators that move indices about and leave their values alone."""

#: Bytes of an entry as it is drawn, in float64 or int64, before it has its type.
_DRAWN = 8

COUNTING = {"Range", "CumSum"}
"""Operators whose values grow with the length of a sequence."""


def random_inputs(
    model: onnx_ir.Model,
    *,
    seed: int = 0,
    dims: Mapping[str, int] | None = None,
    batch: int = BATCH,
    size: int = OTHER,
) -> dict[str, np.ndarray]:
    """One set of inputs, the same for the same seed, NumPy and model.

    - Floats: standard normal.
    - Integers that a Gather takes as indices, directly or through layout: uniform within the
      smallest of its tables.
    - All other integers, booleans, and floats with ``mask`` in the name: masks. Each row (last
      axis) is a prefix of ones of random length, at least one; with ``pad`` in the name, zeros
      and ones change places. A row so keeps at least one token.

    Args:
        dims: sizes of dynamic dimensions by name; of one without a name by ``INPUT:AXIS``. Else
            axis 0 and what is named batch is `batch`, any other `size`.
        size: of other dynamic dimensions; less where a position table, read by a counter or a
            Slice, is smaller.

    Raises:
        InputError: an unknown dimension in ``dims``, a size below 0 or beyond memory, an input of
            unknown rank or one that is no number.
    """
    shapes = input_shapes(model, dims=dims, batch=batch, size=size)
    values = {value.name: value for value in model.graph.inputs}
    rng = np.random.default_rng(seed)
    feeds = {}
    given = ", ".join(argument("dims", {name: size}) for name, size in (dims or {}).items())
    for spec in input_specs(model):
        shape, where = shapes[spec.name], f"input {spec}{given and f' with {given}'}"
        check_memory(math.prod(shape) * (spec.dtype.itemsize + _DRAWN), where)
        try:
            feeds[spec.name] = np.asarray(_random(rng, values[spec.name], shape), spec.dtype)
        except (MemoryError, ValueError) as error:
            raise InputError(f"{where}: {one_line(error)}") from error
    return feeds


def input_shapes(
    model: onnx_ir.Model,
    *,
    dims: Mapping[str, int] | None = None,
    batch: int = BATCH,
    size: int = OTHER,
) -> dict[str, tuple[int, ...]]:
    """The shapes of `random_inputs`, by the inputs' names; nothing is drawn.

    Raises:
        InputError: an unknown dimension in ``dims``, a size below 0, or an input of unknown rank.
    """
    specs = input_specs(model)
    sizes = _sizes(model, specs, dims or {}, batch, size)
    shapes = {}
    for spec in specs:
        if spec.shape is None:
            raise InputError(
                f"input {spec.name} has no known rank; give its data with {argument('inputs')}"
            )
        shapes[spec.name] = tuple(
            dim
            if isinstance(dim, int)
            else (dims or {}).get(f"{spec.name}:{axis}", sizes[axis, dim])
            for axis, dim in enumerate(spec.shape)
        )
    return shapes


def _random(rng: np.random.Generator, value: onnx_ir.Value, shape: Sequence[int]) -> np.ndarray:
    name, dtype = (value.name or "").lower(), value.dtype
    if dtype is None or dtype == onnx_ir.DataType.STRING:
        raise InputError(f"input {value.name} is {dtype}; give its data with {argument('inputs')}")
    if dtype.is_floating_point() and "mask" not in name:
        return rng.standard_normal(shape)
    tables = [] if dtype == onnx_ir.DataType.BOOL else _tables(value)
    if tables:
        return rng.integers(0, min(tables), shape)
    return _mask(rng, shape) != ("pad" in name)


def _mask(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Booleans; each row of the last axis True up to a random length of at least one."""
    *rows, length = shape or [1]
    lengths = rng.integers(min(1, length), length + 1, (*rows, 1))
    return (np.arange(length) < lengths).reshape(shape)


def _tables(value: onnx_ir.Value) -> list[int]:
    """Rows of every Gather that takes this value as its indices."""
    return [
        rows
        for reached in _downstream(value)
        for node, position in reached.uses()
        if node.op_type == "Gather" and position == 1
        for rows in _rows(node.inputs[0], node.attributes.get_int("axis", 0))
    ]


def _downstream(value: onnx_ir.Value) -> Iterable[onnx_ir.Value]:
    """The value, and all that layout makes of it."""
    seen, waiting = set(), [value]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        yield current
        for node, position in current.uses():
            if node.op_type in LAYOUT and (position == 0 or node.op_type == "Concat"):
                waiting.extend(node.outputs)


def _sizes(
    model: onnx_ir.Model,
    specs: tuple[TensorSpec, ...],
    dims: Mapping[str, int],
    batch: int,
    size: int,
) -> dict[tuple[int, Dim], int]:
    """Size of every (axis, dynamic dimension) of the inputs."""
    dynamic = [
        (axis, dim)
        for spec in specs
        for axis, dim in enumerate(spec.shape or ())
        if not isinstance(dim, int)
    ]
    named = dict.fromkeys(
        dim or f"{spec.name}:{axis}"
        for spec in specs
        for axis, dim in enumerate(spec.shape or ())
        if not isinstance(dim, int)
    )
    for name, given in dims.items():
        if name not in named:
            have = ", ".join(named) or "none"
            raise InputError(f"no dynamic dimension is named {name!r}; the inputs have {have}")
        if given < 0:
            raise InputError(f"dimension {name} cannot be {given}")
    batches = {dim for axis, dim in dynamic if dim and (axis == 0 or "batch" in dim)}
    other = min([size, *_position_tables(model.graph)])
    sizes: dict[tuple[int, Dim], int] = {}
    for axis, dim in dynamic:
        is_batch = dim in batches or (dim is None and axis == 0)
        sizes[axis, dim] = dims.get(dim or "", batch if is_batch else other)
    return sizes


def _position_tables(graph: onnx_ir.Graph) -> Iterable[int]:
    """Rows of constant tables that are read up to the length of a sequence."""
    for node in graph:
        if node.op_type == "Gather" and node.inputs[1] and _counts(node.inputs[1]):
            yield from _rows(node.inputs[0], node.attributes.get_int("axis", 0))
        if node.op_type == "Slice" and len(node.inputs) > 3 and not _constant(node.inputs[2]):
            axes = _constant(node.inputs[3])
            for axis in axes.numpy().tolist() if axes else ():
                if _constant(node.inputs[0]):
                    yield from _rows(node.inputs[0], axis)


def _counts(value: onnx_ir.Value) -> bool:
    """Whether indices come from a counter, perhaps through layout or a shift."""
    node = value.producer()
    while node and (node.op_type in LAYOUT or node.op_type == "Add") and node.inputs[0]:
        node = node.inputs[0].producer()
    return node is not None and node.op_type in COUNTING


def _rows(table: onnx_ir.Value | None, axis: int) -> list[int]:
    """Size of one axis, none where it is unknown."""
    if table is None or table.shape is None:
        return []
    size = table.shape[axis]
    return [size] if isinstance(size, int) else []


def _constant(value: onnx_ir.Value | None) -> onnx_ir.TensorProtocol | None:
    """An initializer's or Constant node's tensor."""
    return onnx_ir.convenience.get_const_tensor(value) if value is not None else None
