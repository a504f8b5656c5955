"""Where: entry by entry one of two tensors, which then have one gauge, that of the result.

A constant to fill with takes any gauge, an infinite one too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import onnx_ir as ir

from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.broadcast import in_the_result, of_the_port, value_at
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Rule, Unit, into


class Where(Rule):
    ops: ClassVar = {
        "Where": Operator(
            "elementwise",
            (9, 26),
            shift_from="every",
            fills=True,
            guard="both branches take it; one may be a constant",
        )
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        ports = (OUT, into(1), into(2))
        leader = next(p for p in ports if p in known and value_at(unit, p) not in view.constants)
        full = in_the_result(unit, leader, known[leader], view)
        return [(port, of_the_port(unit, port, full, view)) for port in ports]

    def examples(self) -> Iterator[ir.Model]:
        weights = {"a": (4,), "b": (4,), "w": (4, 5)}
        for op in ("Where(keep, n, fill)", "Where(keep, fill, n)"):
            yield example(
                "(float[B,3,4] x, bool[B,3,1] keep) => (float[B,3,5] y)",
                f"n = Norm(x) t = {op} y = MatMul(t, w)",
                {**weights, "fill": ()},
            )
        yield example(
            "(float[B,3,4] x, bool[B,3,1] keep) => (float[B,3,5] y)",
            "p = MatMul(x, w) q = MatMul(x, v) t = Where(keep, p, q) n = Norm(t) y = Identity(n)",
            {"a": (5,), "b": (5,), "w": (4, 5), "v": (4, 5)},
        )


RULE = Where()
