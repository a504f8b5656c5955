"""Gather, GatherElements, GatherND, Slice and Where: they pick elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    axes_of,
    axis_of,
    check_size,
    given,
    is_integer,
    listed,
    needed,
    of_one_type,
    require,
    since,
)

#: What a slice forwards names as its end to mean the last element.
_TO_THE_END = (2**31 - 1, 2**63 - 1)


def _gather(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    table, rows = needed(inputs, 0), needed(inputs, 1)
    axis = axis_of(node.attributes.get_int("axis", 0), table.ndim)
    count = table.shape[axis]
    require(is_integer(rows), f"indices of {rows.dtype}")
    require(np.all((rows >= -count) & (rows < count)), f"an index outside of {count} entries")
    check_size((*table.shape[:axis], *rows.shape, *table.shape[axis + 1 :]), table.dtype)
    return [np.asarray(np.take(table, rows, axis))]


def _gather_elements(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    table, rows = needed(inputs, 0), needed(inputs, 1)
    axis = axis_of(node.attributes.get_int("axis", 0), table.ndim)
    require(is_integer(rows) and rows.ndim == table.ndim, "indices that do not fit")
    count = table.shape[axis]
    require(np.all((rows >= -count) & (rows < count)), f"an index outside of {count} entries")
    fits = zip(rows.shape, table.shape, strict=True)
    require(all(i == axis or n <= size for i, (n, size) in enumerate(fits)), "more than there is")
    part = table[tuple(slice(None if i == axis else n) for i, n in enumerate(rows.shape))]
    return [np.take_along_axis(part, np.where(rows < 0, rows + count, rows), axis)]


def _gather_nd(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    table, rows = needed(inputs, 0), needed(inputs, 1)
    shared, depth = node.attributes.get_int("batch_dims", 0), rows.shape[-1]
    require(is_integer(rows) and 0 <= shared < rows.ndim, "indices that do not fit")
    require(rows.shape[:shared] == table.shape[:shared], "another batch")
    require(0 < depth <= table.ndim - shared, f"indices of {depth} axes")
    sizes = np.array(table.shape[shared : shared + depth])
    require(np.all((rows >= -sizes) & (rows < sizes)), "an index outside of the table")
    rest = (*rows.shape[shared:-1], *table.shape[shared + depth :])
    check_size((*table.shape[:shared], *rest), table.dtype)
    at = np.moveaxis(np.where(rows < 0, rows + sizes, rows), -1, 0)
    index = np.indices(table.shape[:shared]).reshape(
        shared, *table.shape[:shared], *[1] * (rows.ndim - 1 - shared)
    )
    place = (*index, *at)
    return [np.asarray(table[place])]


def _slice(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    if opset < 10:
        starts, ends = (list(node.attributes.get_ints(name)) for name in ("starts", "ends"))
        axes: Sequence[int] = node.attributes.get_ints("axes", range(len(starts)))
        steps = [1] * len(starts)
    else:
        require(not node.attributes, "its bounds are attributes")
        starts, ends = (listed(needed(inputs, index)) for index in (1, 2))
        stated, strides = given(inputs, 3), given(inputs, 4)
        axes = range(len(starts)) if stated is None else listed(stated)
        steps = [1] * len(starts) if strides is None else listed(strides)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes_of(axes, x.ndim), starts, ends, steps, strict=True):
        index[axis] = bounds(start, end, step, x.shape[axis])
    return [x[tuple(index)]]


def bounds(start: int, end: int, step: int, size: int) -> slice:
    """A Slice of so many elements, in Python's words.

    Backwards, a start before the first element is the first one.
    """
    require(step != 0, "a step of 0")
    require(step > 0 or end not in _TO_THE_END, "backwards to the end, which is either end")
    start, end = (at + size if at < 0 else at for at in (start, end))
    if step > 0 or size == 0:
        return slice(max(start, 0), max(end, 0), step)
    return slice(max(start, 0), None if end < 0 else end, step)


def _where(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    condition, yes, no = (needed(inputs, index) for index in range(3))
    of_one_type(yes, no)
    require(condition.dtype.kind == "b", f"a condition of {condition.dtype}")
    check_size(np.broadcast_shapes(condition.shape, yes.shape, no.shape), yes.dtype)
    return [np.asarray(np.where(condition, yes, no))]


EVALUATORS = {
    "Gather": since(1, _gather, "axis"),
    "GatherElements": since(11, _gather_elements, "axis"),
    "GatherND": since(11, _gather_nd, "batch_dims"),
    "Slice": since(1, _slice, "axes ends starts"),
    "Where": since(9, _where),
}
