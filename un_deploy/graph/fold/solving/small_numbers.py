"""Whether a weight in a half type would become so small that it loses digits.

Numbers below the smallest normal one have fewer digits, if any. That matters in a factor, whose
other operand may be large, and not in what is added: there the sum is rounded to the same type. It
matters where it costs what a channel holds, not in a few entries beside larger ones. So along each
axis, slice by slice, rounding errors are held against the numbers, in squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.exact import EVERY, WHOLE, Exact, Part
from un_deploy.graph.fold.edits import SetConstant
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.fold.rules.protocol import Refuse
from un_deploy.graph.fold.solving.ranges import dead_beyond

Array = np.ndarray

#: Rounding errors may take so many times the share of a slice that they took before.
_WORSE = 4.0


def check_small(edit: SetConstant, old: ir.Value, view: GraphView) -> None:
    """Refuse a factor whose digits the fold would cost.

    Raises:
        Refuse: along an axis rounding would take more than four times the share that it took.
    """
    dtype, operator = view.constants.dtype(old), operator_named(edit.node.op_type)
    is_factor = (operator.weighs or operator.picks) and edit.index != operator.bias
    if dtype.itemsize != 2 or not is_factor or edit.exact.shrinks >= 1 / _WORSE:
        return
    after, before, info = edit.exact, view.exact(old), ml_dtypes.finfo(dtype.numpy())
    smallest, half_unit = float(info.smallest_normal), float(info.eps) / 2
    read = after.read()
    for squares in _along_axes(after, lambda part: (read(part) ** 2,)):
        count = int(np.prod(after.shape)) / squares.shape[1]
        # An error is at most half a unit of the number, or of the smallest normal one.
        if np.any((squares[0] > 0) & ((_WORSE**2 - 1) * squares[0] < count * smallest**2)):
            break
    else:
        return
    if before.shape != after.shape:
        before = Exact.held(np.broadcast_to(before(), after.shape))
    read_before, dead = before.read(), dead_beyond(old, view)

    def shares(part: Part) -> Sequence[Array]:
        new, was = read(part), read_before(part)
        new = np.where(np.abs(new) * dead <= np.abs(was), 0.0, new)
        return [a for one in (new, was) for a in (_errors(one, smallest, half_unit), one * one)]

    for errors, numbers, errors_before, numbers_before in _along_axes(after, shares):
        share, was = _ratio(errors, numbers), _ratio(errors_before, numbers_before)
        if np.any(worse := share > _WORSE * np.maximum(was, half_unit)):
            worst = int(np.argmax(np.where(worse, share, 0)))
            raise Refuse(
                f"{old.name!r} would lose digits: {dtype.name.lower()} would round its numbers by "
                f"{share[worst]:.2g} of their size, which it rounded by {was[worst]:.2g}"
            )


def _along_axes(exact: Exact, compute: Callable[[Part], Sequence[Array]]) -> list[Array]:
    """For each axis, sums over all others of what is computed of a constant, part by part.

    Along a single axis each entry stands alone.

    Returns:
        An array for each axis, a row for each array that is computed.
    """
    shape = exact.shape
    wide = [axis for axis, size in enumerate(shape) if size > 1]
    if len(wide) < 2:
        return [np.stack([array.reshape(-1) for array in compute(WHOLE)])]
    sums: list[Array] = []
    for part in exact.parts():
        arrays = compute(part)
        sums = sums or [np.zeros((len(arrays), shape[axis])) for axis in wide]
        for axis, total in zip(wide, sums, strict=True):
            others = tuple(a for a in range(len(shape)) if a != axis)
            rows = part[0] if axis == 0 and part != WHOLE else EVERY
            total[:, rows] += np.stack([array.sum(axis=others) for array in arrays])
    return sums


def _errors(array: Array, smallest: float, half_unit: float) -> Array:
    """Squares of how large the rounding error of each number may be."""
    size = np.abs(array)
    unit = 2.0 ** np.floor(np.log2(np.maximum(size, smallest)))
    return np.where(size > 0, (half_unit * unit) ** 2, 0.0)


def _ratio(errors: Array, numbers: Array) -> Array:
    return np.sqrt(np.divide(errors, numbers, out=np.zeros_like(errors), where=numbers > 0))
