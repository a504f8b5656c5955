"""Relu, LeakyRelu, PRelu and Abs: f(S x') = S f(x') for a positive scale, and for no shift."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import onnx_ir as ir

from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import check_no_shift, check_positive, of_the_data
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import (
    OUT,
    Demands,
    Known,
    Rule,
    Unit,
    into,
)

_GUARD = "no negative scale and no shift"
_BENDING = Operator("activation", (7, 26), uniform=True, guard=_GUARD)


class Activation(Rule):
    ops: ClassVar = {
        "Relu": _BENDING,
        "LeakyRelu": _BENDING,
        "PRelu": _BENDING,
        "Abs": Operator("elementwise", (7, 26), uniform=True, guard=_GUARD),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        gauge = of_the_data(known)
        check_no_shift(gauge, "it bends at zero, which a shift would move")
        check_positive(gauge, "it bends at zero")
        return [(into(0), gauge), (OUT, gauge)]

    def examples(self) -> Iterator[ir.Model]:
        for op in ("Relu(n)", "LeakyRelu<alpha=0.2>(n)", "PRelu(n, slope)", "Abs(n)"):
            yield example(
                "(float[B,3,4] x) => (float[B,3,5] y)",
                f"n = Mul(x, a) t = {op} y = MatMul(t, w)",
                {"a": (4,), "w": (4, 5)} | ({"slope": (4,)} if "slope" in op else {}),
            )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "p = MatMul(x, w) t = Relu(p) y = Mul(t, a)",
            {"a": (5,), "w": (4, 5)},
        )


RULE = Activation()
