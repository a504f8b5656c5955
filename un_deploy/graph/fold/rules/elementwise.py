"""Add, Sub, Neg, and Mul or Div by a constant.

A sum keeps one scale: with a = S a' + c and b = S b' + d, a + b = S (a' + b') + (c + d). Read
backwards the shift goes to the operand that can swallow it (a constant, or what a linear
operator makes), so a residual stream is scaled and never shifted. A constant factor k commutes
with the scale and multiplies the shift: k (S x' + c) = S (k x') + k c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge, align
from un_deploy.graph.analysis.dims import same_dim
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Port, Refuse, Rule, Unit, into

_SUM = Operator("elementwise", (7, 26), shift_from="every", sums=True, uniform=True)
_PRODUCT = Operator("elementwise", (7, 26), shift_from="computed", weighs=True, uniform=True)


class Elementwise(Rule):
    ops: ClassVar = {
        "Add": _SUM,
        "Sub": replace(_SUM, subtracts=(1,)),
        "Neg": Operator("elementwise", (7, 26), uniform=True),
        "Mul": _PRODUCT,
        "Div": _PRODUCT,
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        op = unit.node.op_type
        if op in ("Add", "Sub"):
            return _sum(unit, known, view)
        if op == "Neg":
            return _factor(unit, known, view, 0, np.array(-1.0))
        constants = [i for i, v in enumerate(unit.node.inputs) if v in view.constants]
        if not constants:
            raise Refuse("its operands are both computed")
        (index,) = constants
        if op == "Div" and index == 0:
            raise Refuse("it divides by the tensor")
        k = view.constants[unit.input(index)]
        with np.errstate(divide="ignore"):
            return _factor(unit, known, view, 1 - index, k if op == "Mul" else 1.0 / k)

    def examples(self) -> Iterator[ir.Model]:
        residual = {"a": (4,), "b": (4,), "w": (4, 4), "v": (4, 5), "c": (4,)}
        for op in ("Add", "Sub"):
            yield example(
                "(float[B,3,4] x) => (float[B,3,5] y)",
                f"p = MatMul(x, w) q = Add(p, c) s = {op}(x, q) n = Norm(s)"
                f" f = MatMul(n, w) r = {op}(f, n) y = MatMul(r, v)",
                residual,
            )
            yield example(
                "(float[B,3,4] x) => (float[B,3,5] y)",
                f"n = Norm(x) t = {op}(n, table) y = MatMul(t, v)",
                {"a": (4,), "b": (4,), "v": (4, 5), "table": (1, 3, 4)},
            )
        for op in ("Neg(n)", "Mul(k, n)", "Div(n, k)"):
            yield example(
                "(float[B,3,4] x) => (float[B,3,5] y)",
                f"n = Norm(x) t = {op} u = Identity(t) y = MatMul(u, v)",
                {"a": (4,), "b": (4,), "v": (4, 5)} | ({} if "Neg" in op else {"k": ()}),
            )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "p = MatMul(x, w) q = Identity(p) t = Mul(q, k) n = Norm(t) y = Identity(n)",
            {"a": (5,), "b": (5,), "w": (4, 5), "k": ()},
        )


def _sum(unit: Unit, known: Known, view: GraphFacts) -> Demands:
    sign = 1.0 if unit.node.op_type == "Add" else -1.0
    a, b = into(0), into(1)
    full = {port: _in_the_sum(unit, port, gauge, view) for port, gauge in known.items()}
    # A constant may be smaller than the sum, so its own gauge tells least of the scale.
    leader = next(p for p in (OUT, a, b) if p in full and _value(unit, p) not in view.constants)
    scale = full[leader].scale
    shift = {port: gauge.shift for port, gauge in full.items()}
    zero = np.zeros((1,) * scale.ndim)
    if a not in shift and b not in shift:
        first = _shifts_the_first(unit, view)
        shift[a], shift[b] = (shift[OUT], zero) if first else (zero, sign * shift[OUT])
    elif a not in shift:
        shift[a] = shift[OUT] - sign * shift[b] if OUT in shift else _free(unit, 0, shift[b], view)
    elif b not in shift:
        shift[b] = (
            sign * (shift[OUT] - shift[a]) if OUT in shift else _free(unit, 1, shift[a], view)
        )
    shift[OUT] = shift[a] + sign * shift[b]
    return [(port, _of_the_port(unit, port, Affine(scale, shift[port]), view)) for port in shift]


def _shifts_the_first(unit: Unit, view: GraphFacts) -> bool:
    """Whether a sum's shift goes up to its first operand: what is stored has it for nothing."""
    first, second = unit.node.inputs
    if view.is_stored(first) or view.is_stored(second):
        return view.is_stored(first)
    return view.takes_shift(first) or not view.takes_shift(second)


def _free(unit: Unit, index: int, other: np.ndarray, view: GraphFacts) -> np.ndarray:
    """The shift of an operand that may have any: a constant cancels that of the other."""
    if unit.node.inputs[index] not in view.constants:
        return np.zeros_like(other)
    return -other if unit.node.op_type == "Add" else other


def _factor(unit: Unit, known: Known, view: GraphFacts, index: int, k: np.ndarray) -> Demands:
    x = into(index)
    gauge = known[x] if x in known else known[OUT]
    full = _in_the_sum(unit, x if x in known else OUT, gauge, view)
    factor = align(k, full.rank)
    if x in known:
        return [(OUT, Affine(full.scale, factor * full.shift))]
    if np.any(factor == 0) or not np.all(np.isfinite(factor)):
        raise Refuse("its constant holds a zero, which hides the shift")
    moved = Affine(full.scale, full.shift / factor)
    return [(x, _of_the_port(unit, x, moved, view))]


def _value(unit: Unit, port: Port) -> ir.Value:
    return unit.output if port == OUT else unit.input(port.position)


def _in_the_sum(unit: Unit, port: Port, gauge: Gauge, view: GraphFacts) -> Gauge:
    """An operand's gauge as seen in the result's rank."""
    shape = view.shape(unit.output)
    if shape is None:
        raise Refuse(f"the shape of {unit.output.name!r} is unknown")
    moved = gauge.aligned(len(shape))
    _check_not_widened(unit, port, moved, view)
    return moved


def _of_the_port(unit: Unit, port: Port, gauge: Gauge, view: GraphFacts) -> Gauge:
    """The gauge in the result's rank as seen by the port's own tensor."""
    value = _value(unit, port)
    if value in view.constants:
        return gauge  # a constant may grow to the gauge's shape
    _check_not_widened(unit, port, gauge, view)
    shape = view.shape(value)
    assert shape is not None
    return gauge.aligned(len(shape))


def _check_not_widened(unit: Unit, port: Port, gauge: Gauge, view: GraphFacts) -> None:
    """A computed operand that broadcasts along an axis cannot vary along it."""
    value = _value(unit, port)
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


RULE = Elementwise()
