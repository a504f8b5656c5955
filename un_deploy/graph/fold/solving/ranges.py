"""Which scales a tensor's type has room for; a channel that is all but 0 is dead.

A dead channel is only ever multiplied by its scale behind the norm, and lost in front of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import ml_dtypes
import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.fold.edits import SetConstant
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.fold.rules.protocol import Refuse, Unit
from un_deploy.graph.fold.site import Site

#: Rounding errors may take so many times the share of a weight that they took before.
_WORSE = 4


def check_range(value: ir.Value, gauge: Gauge, view: GraphView) -> None:
    """A scale far from 1 would overflow the tensor or drown it, unless its channel is dead.

    Behind a norm whose scale is (all but) 0, readers multiply by it: they must not have to divide.
    In front of it the channel is lost, and nobody else may read it.
    """
    if not (far := far_from_one(value, gauge, view)):
        return
    size, bound = np.abs(gauge.scale), _dead(value, view)
    makes = next((part for part in view.touching(value) if value in _made_by(part)), None)
    if not np.all((size <= 1 / bound) | (size >= bound) | ~_out_of_range(value, gauge, view)):
        raise Refuse(f"{far}")
    if np.any(size <= 1 / bound) and isinstance(makes, Unit) and not _passes(makes):
        raise Refuse(f"{far}, by which {makes.name} would have to divide")
    if np.any(size >= bound):
        for part in view.touching(value):
            if part is not makes and isinstance(part, Unit) and not _passes(part):
                raise Refuse(f"{far}, and {part.name} reads what it was before")


def check_digits(
    gauges: Mapping[ir.Value, Gauge], before: Mapping[ir.Value, Gauge], view: GraphView
) -> None:
    """Backward, whoever else reads what stood in front of a norm subtracts its shift again.

    If that is much larger than the numbers, their digits are gone: the sum rounds them to its own.
    How large they are is not known; taken for about 1, they lose a third of their type's at most.

    Args:
        gauges: those of a trial, which begin with those before it.
        before: those before it.
        view: the graph.
    """
    for value in islice(gauges, len(before), None):
        bits = ml_dtypes.finfo((view.dtype(value) or ir.DataType.FLOAT).numpy()).nmant + 1
        shift = float(np.max(np.abs(gauges[value].shift), initial=0))
        if shift <= 2 ** (bits / 3):
            continue
        for part in view.touching(value):
            if isinstance(part, Site) or part.node is value.producer():
                continue
            if part.operator.absorbs:
                raise Refuse(
                    f"{part.name} would read {value.name!r} with {shift:.3g} added to it, and "
                    f"subtract that again: digits would be lost"
                )


def check_small(edit: SetConstant, old: ir.Value, view: GraphView) -> None:
    """Numbers below the smallest normal one of a half type have fewer digits, if any.

    That matters in a factor, whose other operand may be large, and not in what is added: there
    the sum is rounded to the same type. It matters where it costs all that a channel holds, not
    in a few entries beside larger ones: so along each axis, channel by channel, the rounding errors
    are held against the numbers, and may take four times the share that they took before.

    Raises:
        Refuse: they take more.
    """
    dtype, operator = view.constants.dtype(old), operator_named(edit.node.op_type)
    is_factor = (operator.weighs or operator.picks) and edit.index != operator.bias
    if dtype.itemsize != 2 or not is_factor or edit.exact.shrinks >= 1 / _WORSE:
        return
    before, after = view.exact(old)(), edit.exact()
    if before.shape != after.shape:
        before = np.broadcast_to(before, after.shape)
    dead = np.abs(after) * _dead(old, view) <= np.abs(before)
    after = np.where(dead, 0.0, after)
    wide = [axis for axis, size in enumerate(after.shape) if size > 1]
    for axis in wide if len(wide) > 1 else [None]:
        others = () if axis is None else tuple(a for a in range(after.ndim) if a != axis)
        share, share_before = (_rounding_share(one, dtype, others) for one in (after, before))
        worse = share > _WORSE * np.maximum(
            share_before, float(ml_dtypes.finfo(dtype.numpy()).eps) / 2
        )
        if np.any(worse):
            worst = int(np.argmax(np.where(worse, share, 0)))
            raise Refuse(
                f"{old.name!r} would lose digits: {dtype.name.lower()} would round its numbers by "
                f"{share.flat[worst]:.2g} of their size, which it rounded by "
                f"{share_before.flat[worst]:.2g}"
            )


def _rounding_share(array: np.ndarray, dtype: ir.DataType, axes: tuple[int, ...]) -> np.ndarray:
    """How large rounding errors in this type may be beside the numbers, in squares over axes.

    Args:
        array: float64.
        dtype: a floating type.
        axes: what is added up; without any each number stands alone.
    """
    info = ml_dtypes.finfo(dtype.numpy())
    size = np.abs(array)
    unit = 2.0 ** np.floor(np.log2(np.maximum(size, float(info.smallest_normal))))
    error = np.where(size > 0, float(info.eps) / 2 * unit, 0.0)
    errors, numbers = (np.sum(one * one, axes, keepdims=True) for one in (error, size))
    return np.sqrt(np.divide(errors, numbers, out=np.zeros_like(errors), where=numbers > 0))


def check_divides(value: ir.Value, gauge: Gauge, view: GraphView, unit: Unit) -> None:
    """A constant is divided by its scale."""
    if np.any(np.abs(gauge.scale) <= 1 / _dead(value, view)):
        far = far_from_one(value, gauge, view)
        raise Refuse(f"{far}, by which the constant of {unit.name} would have to be divided")


def _passes(unit: Unit) -> bool:
    """Whether it passes a scale on, and does not put it into a weight."""
    return unit.rule is not None and not unit.operator.absorbs


def _made_by(part: Unit | Site) -> tuple[ir.Value, ...]:
    return (part.y,) if isinstance(part, Site) else part.outputs


def _bound(value: ir.Value, view: GraphView) -> float:
    """The square root of the largest number of the tensor's type."""
    return 256.0 if view.dtype(value) == ir.DataType.FLOAT16 else 2.0**63


def _dead(value: ir.Value, view: GraphView) -> float:
    """A channel that is divided by more is dead: of float16 all that it can hold."""
    return 2.0**16 if view.dtype(value) == ir.DataType.FLOAT16 else 2.0**63


def _out_of_range(value: ir.Value, gauge: Gauge, view: GraphView) -> np.ndarray:
    size, bound = np.abs(gauge.scale), _bound(value, view)
    return ~((size >= 1 / bound) & (size <= bound))


def far_from_one(value: ir.Value, gauge: Gauge, view: GraphView) -> str:
    """What is out of the range that the tensor's type leaves to a scale, and in which channel."""
    if not np.any(_out_of_range(value, gauge, view)):
        return ""
    size = np.abs(gauge.scale)
    worst = int(np.argmax(np.abs(np.log(np.clip(size, 1e-300, 1e300)))))
    dtype = (view.dtype(value) or ir.DataType.FLOAT).numpy()
    return (
        f"{value.name!r} would be scaled by {gauge.scale.reshape(-1)[worst]:.3g} in channel "
        f"{worst}, too far from 1 for {dtype}"
    )
