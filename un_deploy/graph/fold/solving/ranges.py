"""Which scales a tensor's type has room for; a channel that is all but 0 is dead.

A dead channel is only ever multiplied by its scale behind the norm, and lost in front of it.
"""

from __future__ import annotations

from itertools import islice

import ml_dtypes
import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.fold.rules.protocol import Refuse, Unit
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.solving.assignment import Assignment, Direction


def check_range(value: ir.Value, gauge: Gauge, view: GraphView) -> None:
    """A scale far from 1 would overflow the tensor or drown it, unless its channel is dead.

    Behind a norm whose scale is (all but) 0, readers multiply by it: they must not have to divide.
    In front of it the channel is lost, and nobody else may read it.
    """
    if not (far := far_from_one(value, gauge, view)):
        return
    size, bound = np.abs(gauge.scale), dead_beyond(value, view)
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
    trial: Assignment, before: Assignment, direction: Direction, view: GraphView
) -> None:
    """A shift that something never had would be added to it, and subtracted again by its readers.

    If that is much larger than the numbers, their digits are gone: the sum rounds them to its own.
    How large they are is not known; taken for about 1, they lose a third of their type's at most.
    Backward these are the other readers of what stood in front of a norm; forward the writers and
    constants that meet what stood behind it, in a Where or a Concat. Apart, a sum subtracts it.

    Args:
        trial: gauges that begin with those before it.
        before: those before it.
        direction: where the norms go.
        view: the graph.

    Raises:
        Refuse: digits would be lost.
    """
    new = trial.constants.keys() - before.constants.keys()
    for value in islice(trial.tensors, len(before.tensors), None):
        shift = float(np.max(np.abs(trial.tensors[value].shift), initial=0))
        if shift <= _room(value, view):
            continue
        if direction == "apart":
            raise Refuse(
                f"{value.name!r} would have {shift:.3g} added to it, and that subtracted again "
                "behind it: digits would be lost"
            )
        for part in view.touching(value):
            if isinstance(part, Site) or not part.operator.absorbs:
                continue
            writes = part.node is value.producer()
            if writes and direction == "forward":
                raise Refuse(
                    f"{part.name} would write {value.name!r} with {shift:.3g} added to it, and its "
                    f"readers would subtract that again: digits would be lost"
                )
            if not writes and direction == "backward":
                raise Refuse(
                    f"{part.name} would read {value.name!r} with {shift:.3g} added to it, and "
                    f"subtract that again: digits would be lost"
                )
    for node, index in new if direction == "forward" else ():
        operator, constant = operator_named(node.op_type), node.inputs[index]
        if constant is None or not (operator.fills or operator.moves):
            continue
        gauge, old = trial.constants[node, index], view.exact(constant)()
        far = np.abs(gauge.shift) > _room(constant, view) * np.maximum(np.abs(old), 1)
        if np.any(far & np.isfinite(old)):
            raise Refuse(
                f"{constant.name!r} would take in {np.max(np.abs(gauge.shift)):.3g}, and its "
                "readers would subtract that again: digits would be lost"
            )


def _room(value: ir.Value, view: GraphView) -> float:
    """How much may be added to numbers of about 1, and leave two thirds of their digits."""
    bits = ml_dtypes.finfo((view.dtype(value) or ir.DataType.FLOAT).numpy()).nmant + 1
    return float(2 ** (bits / 3))


def check_divides(value: ir.Value, gauge: Gauge, view: GraphView, unit: Unit) -> None:
    """A constant is divided by its scale."""
    if np.any(np.abs(gauge.scale) <= 1 / dead_beyond(value, view)):
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


def dead_beyond(value: ir.Value, view: GraphView) -> float:
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
