"""Add, Sub, Sum, Neg, Mul and Div.

A sum keeps one scale: with a = S a' + c and b = S b' + d, a + b = S (a' + b') + (c + d). Read
backwards the shift goes to the operand that can swallow it (a constant, or what a linear
operator makes), so a residual stream is scaled and never shifted. A constant factor k commutes
with the scale and multiplies the shift: k (S x' + c) = S (k x') + k c. A product of two computed
tensors has the product of their scales, and lets no shift through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge, align
from un_deploy.graph.fold.edits import Edit, Mix
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.broadcast import (
    check_not_widened,
    in_the_result,
    of_the_port,
    value_at,
)
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.mixing import Mixing
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Port, Refuse, Rule, Unit, into

_SUM = Operator(
    "elementwise",
    (7, 26),
    shift_from="every",
    sums=True,
    uniform=True,
    guard="one scale for all summands; a constant takes any shift",
)
_PRODUCT = Operator(
    "elementwise",
    (7, 26),
    shift_from="computed",
    weighs=True,
    uniform=True,
    guard="a shift only beside a constant, or where one linear operator makes factor and summand",
)


class Elementwise(Rule):
    ops: ClassVar = {
        "Add": _SUM,
        "Sub": replace(_SUM, subtracts=(1,)),
        "Sum": replace(_SUM, opsets=(8, 26)),
        "Neg": Operator("elementwise", (7, 26), uniform=True, guard="none"),
        "Mul": _PRODUCT,
        "Div": replace(_PRODUCT, guard="a shift only where it divides by a constant"),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        op = unit.node.op_type
        if op in ("Add", "Sub", "Sum"):
            return _sum(unit, known, view)
        if op == "Neg":
            return _factor(unit, known, view, 0, np.array(-1.0))
        constants = [i for i, v in enumerate(unit.inputs) if v in view.constants]
        if unit.mixing is not None:
            return _modulation(unit, unit.mixing, known, view)
        if not constants:
            return _product(unit, known, view)
        (index,) = constants
        if op == "Div" and index == 0:
            raise Refuse("it divides by the tensor")
        k = view.constants[unit.input(index)]
        with np.errstate(divide="ignore"):
            return _factor(unit, known, view, 1 - index, k if op == "Mul" else 1.0 / k)

    def edits(self, unit: Unit, known: Known, view: GraphFacts) -> Iterable[Edit]:
        if unit.mixing is None:
            return
        gauge = known[into(1 - unit.mixing.factor)]
        if np.any(gauge.shift != 0):
            count = len(unit.mixing.source)
            scale, shift = (
                np.broadcast_to(a.reshape(-1), count) for a in (gauge.scale, gauge.shift)
            )
            yield Mix(unit.mixing, shift / scale, scale * unit.mixing.constant)

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
                f"n = Norm(x) t = {op} u = Dropout(t) y = MatMul(u, v)",
                {"a": (4,), "b": (4,), "v": (4, 5)} | ({} if "Neg" in op else {"k": ()}),
            )
        for op in ("Mul(n, mask)", "Div(n, mask)"):
            yield example(
                "(float[B,3,4] x, float[B,3,1] mask) => (float[B,3,5] y)",
                f"n = Mul(x, a) t = {op} y = MatMul(t, v)",
                {"a": (4,), "v": (4, 5)},
            )
        yield example(
            "(float[B,3,4] x, float[B,3,1] mask) => (float[B,3,5] y)",
            "p = MatMul(x, w) t = Mul(mask, p) y = Mul(t, a)",
            {"a": (5,), "w": (4, 5)},
        )
        for made in ("e = Gemm<transB=1>(c, k, d)", "m = MatMul(c, k) e = Add(m, d)"):
            yield example(
                "(float[B,3,4] x, float[B,2] c) => (float[B,3,4] y)",
                f"{made} s, t = Split<axis=1, num_outputs=2>(e) s1 = Unsqueeze(s, one)"
                " t1 = Unsqueeze(t, one) o = Add(s1, unit) n = Norm(x) q = Mul(n, o)"
                " y = Add(q, t1)",
                {"a": (4,), "b": (4,), "d": (8,), "unit": np.ones(1, np.float32)}
                | {"k": (8, 2) if "Gemm" in made else (2, 8)},
                integers={"one": [1]},
            )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "p = MatMul(x, w) q = MatMul(x, v) s = Sum(p, table, q) n = Norm(s) y = Identity(n)",
            {"a": (5,), "b": (5,), "w": (4, 5), "v": (4, 5), "table": (1, 3, 5)},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "p = MatMul(x, w) q = Dropout(p) t = Mul(q, k) n = Norm(t) y = Identity(n)",
            {"a": (5,), "b": (5,), "w": (4, 5), "k": ()},
        )


def _sum(unit: Unit, known: Known, view: GraphFacts) -> Demands:
    sign = {into(i): 1.0 for i, v in enumerate(unit.inputs) if v is not None}
    sign.update((into(i), -1.0) for i in unit.operator.subtracts)
    full = {port: in_the_result(unit, port, gauge, view) for port, gauge in known.items()}
    # A constant may be smaller than the sum, so its own gauge tells least of the scale.
    leader = next(p for p in (OUT, *sign) if p in full and value_at(unit, p) not in view.constants)
    scale = full[leader].scale
    shift = {port: gauge.shift for port, gauge in full.items()}
    zero = np.zeros((1,) * scale.ndim)
    summed = sum((sign[p] * shift[p] for p in sign if p in shift), zero)
    free = [port for port in sign if port not in shift]
    if free:
        # A constant cancels the others' shifts, for nothing.
        wanted = shift.get(OUT, zero) - summed
        taker = _taker(unit, free, view)
        takes = OUT in shift or value_at(unit, taker) in view.constants
        shift.update((port, zero) for port in free)
        shift[taker] = sign[taker] * wanted if takes else zero
    shift[OUT] = sum((sign[p] * shift[p] for p in sign), zero)
    return [(port, of_the_port(unit, port, Affine(scale, shift[port]), view)) for port in shift]


def _taker(unit: Unit, ports: list[Port], view: GraphFacts) -> Port:
    """The operand to which a sum's shift goes up: what is stored has it for nothing."""
    for takes in (view.is_stored, view.takes_shift):
        for port in ports:
            if takes(value_at(unit, port)):
                return port
    return ports[0]


def _modulation(unit: Unit, mixing: Mixing, known: Known, view: GraphFacts) -> Demands:
    """n o + t with n = S n' + c and o = o' / S is n' o' + (t + (c / S) o')."""
    n, o, t = into(1 - mixing.factor), into(mixing.factor), into(2)
    for port in (t, OUT):
        if port in known and not known[port].is_identity:
            raise Refuse("what a modulation adds and gives is not scaled nor shifted")
    plain = [(port, Affine.identity(known[port].rank)) for port in (t, OUT) if port in known]
    if n not in known:
        if o in known and not known[o].is_identity:
            raise Refuse("what a modulation multiplies by is scaled, and nothing makes up for it")
        return plain
    gauge = in_the_result(unit, n, known[n], view)
    if gauge.varies - {gauge.rank - 1}:
        raise Refuse("the scale and shift vary along another axis than the last")
    if np.any(gauge.scale == 0) or not gauge.is_finite:
        lost = int(np.argmin(np.abs(gauge.scale)))
        raise Refuse(f"its other factor would be divided by the scale of channel {lost}")
    inverse = Affine(1.0 / gauge.scale, np.zeros((1,) * gauge.rank))
    return [*plain, (o, of_the_port(unit, o, inverse, view))]


def _product(unit: Unit, known: Known, view: GraphFacts) -> Demands:
    """Of two computed tensors, or their quotient."""
    full = {port: in_the_result(unit, port, gauge, view) for port, gauge in known.items()}
    if any(np.any(gauge.shift != 0) for gauge in full.values()):
        raise Refuse("a shift would be multiplied by a tensor")
    divides = unit.node.op_type == "Div"
    a, b = into(0), into(1)
    scale = {port: gauge.scale for port, gauge in full.items()}
    if a not in scale and b not in scale:
        scale[_scaled(unit, full[OUT], view, divides)] = full[OUT].scale
    one = np.ones((1,) * full[next(iter(full))].rank)
    left, right = scale.get(a, one), scale.get(b, one)
    scale[OUT] = left / right if divides else left * right
    zero = np.zeros_like(one)
    if not divides and OUT not in full and len(full) == 1:
        (port,) = full
        other = into(1 - port.position)
        with np.errstate(divide="ignore"):
            inverse = Affine(1.0 / full[port].scale, zero)
        if _takes_the_inverse(unit, port, other, inverse, view):
            found = {port: full[port], other: inverse, OUT: Affine(one, zero)}
            return [(p, of_the_port(unit, p, gauge, view)) for p, gauge in found.items()]
    return [(port, of_the_port(unit, port, Affine(scale[port], zero), view)) for port in scale]


def _takes_the_inverse(
    unit: Unit, port: Port, other: Port, inverse: Gauge, view: GraphFacts
) -> bool:
    """Whether the other factor is the smaller one, and what makes it can be scaled."""
    mine, its = (view.shape(value_at(unit, p)) for p in (port, other))
    if not np.all(np.isfinite(inverse.scale)) or not mine or not its:
        return False
    smaller = len(its) < len(mine) or any(
        a == 1 and b != 1 for a, b in zip(its[::-1], mine[::-1], strict=False)
    )
    try:
        check_not_widened(unit, other, inverse, view)
    except Refuse:
        return False
    return smaller and view.takes_shift(value_at(unit, other))


def _scaled(unit: Unit, gauge: Gauge, view: GraphFacts, divides: bool) -> Port:
    """The operand that takes the scale of a product: one that varies as the scale does."""
    fitting = []
    for port in (into(0),) if divides else (into(0), into(1)):
        try:
            check_not_widened(unit, port, gauge, view)
        except Refuse:
            continue
        fitting.append(port)
    if not fitting:
        raise Refuse("its operands repeat along the axis on which the scale varies")
    return _taker(unit, fitting, view)


def _factor(unit: Unit, known: Known, view: GraphFacts, index: int, k: np.ndarray) -> Demands:
    x = into(index)
    gauge = known[x] if x in known else known[OUT]
    full = in_the_result(unit, x if x in known else OUT, gauge, view)
    factor = align(k, full.rank)
    if x in known:
        return [(OUT, Affine(full.scale, factor * full.shift))]
    if np.any(factor == 0) or not np.all(np.isfinite(factor)):
        raise Refuse("its constant holds a zero, which hides the shift")
    moved = Affine(full.scale, full.shift / factor)
    return [(x, of_the_port(unit, x, moved, view))]


RULE = Elementwise()
