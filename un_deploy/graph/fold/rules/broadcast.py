"""Gauges of operands that broadcast: seen in the rank of the result, and back."""

from __future__ import annotations

import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.analysis.dims import same_dim
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.protocol import OUT, Port, Refuse, Unit


def in_the_result(unit: Unit, port: Port, gauge: Gauge, view: GraphFacts) -> Gauge:
    """An operand's gauge as seen in the result's rank.

    Raises:
        Refuse: a shape is unknown, or the operand repeats along an axis on which it would vary.
    """
    shape = view.shape(unit.output)
    if shape is None:
        raise Refuse(f"the shape of {unit.output.name!r} is unknown")
    moved = gauge.aligned(len(shape))
    check_not_widened(unit, port, moved, view)
    return moved


def of_the_port(unit: Unit, port: Port, gauge: Gauge, view: GraphFacts) -> Gauge:
    """The gauge in the result's rank as seen by the port's own tensor.

    Raises:
        Refuse: as `in_the_result`.
    """
    value = value_at(unit, port)
    if value in view.constants:
        return gauge  # a constant may grow to the gauge's shape
    check_not_widened(unit, port, gauge, view)
    shape = view.shape(value)
    assert shape is not None
    return gauge.aligned(len(shape))


def check_not_widened(unit: Unit, port: Port, gauge: Gauge, view: GraphFacts) -> None:
    """A computed operand that broadcasts along an axis cannot vary along it.

    Raises:
        Refuse: it would.
    """
    value = value_at(unit, port)
    if value in view.constants:
        return
    own, full = view.shape(value), view.shape(unit.output)
    if own is None or full is None:
        raise Refuse(f"the shape of {value.name!r} is unknown")
    for axis in gauge.varies:
        mine = axis - (len(full) - len(own))
        if mine < 0 or not same_dim(own[mine], full[axis]):
            raise Refuse(
                f"{value.name!r} is broadcast along axis {axis}, on which the scale varies"
            )


def value_at(unit: Unit, port: Port) -> ir.Value:
    """The tensor of a port of a unit with one output."""
    return unit.output if port == OUT else unit.input(port.position)
