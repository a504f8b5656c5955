"""Gemm, y = alpha A B + beta C with constant B and C: absorbs what reaches it.

With x = S x' + c and y = T y' + d: B' = diag(S) B diag(1/T), alpha stays, and
C' = (beta C + alpha c B - d) / (beta T).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.fold.edits import AddBias, Edit, SetConstant
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import along
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import absorbing
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into

_GUARD = "constant B and C; of channels alone"


class Gemm(Rule):
    ops: ClassVar = {
        "Gemm": absorbing((7, 26), bias=2, channels=-1, transposed="transA", guard=_GUARD)
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        node = unit.node
        if node.inputs[1] not in view.constants:
            raise Refuse("its right operand is no constant")
        if len(view.sizes(unit.input(1))) != 2:
            raise Refuse("its weight is no matrix")
        along(known.get(into(0)), self._inner_axis(node))
        along(known.get(OUT), 1)
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is not None and bias not in view.constants:
            raise Refuse("its third operand is no constant")
        if node.attributes.get_float("beta", 1.0) == 0:
            raise Refuse("its beta is zero, so a third operand is never read")
        return ()

    def edits(self, unit: Unit, known: Known, view: GraphFacts) -> Iterable[Edit]:
        node, weight = unit.node, unit.input(1)
        transposed = bool(node.attributes.get_int("transB", 0))
        alpha, beta = (node.attributes.get_float(name, 1.0) for name in ("alpha", "beta"))
        s, t = along(known[into(0)], self._inner_axis(node)), along(known[OUT], 1)
        w = view.exact(weight)
        rows, columns = w.shape[::-1] if transposed else w.shape

        def product() -> np.ndarray:
            if not s.shifts:
                return np.zeros(columns)
            return w.times(np.broadcast_to(s.shift, rows), transposed=transposed)

        if s.scales or t.scales:
            factor, divisor = s.scale[:, None], t.scale[None, :]
            if transposed:
                factor, divisor = factor.T, divisor.T
            yield SetConstant(node, 1, w.scaled(factor, divisor), w.shape)
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is not None and (s.shifts or t.scales or t.shifts):
            c = view.constants.exact(bias)
            old = view.sizes(bias)
            new = (*old[:-1], columns)
            yield SetConstant(
                node, 2, lambda: (t.new_of(beta * c() + alpha * product()) / beta).reshape(new), new
            )
        elif bias is None and (s.shifts or t.shifts):
            yield AddBias(
                node, unit.operator, lambda: t.new_of(alpha * product()) / beta, (columns,)
            )

    @staticmethod
    def _inner_axis(node: ir.Node) -> int:
        return 0 if node.attributes.get_int("transA", 0) else 1

    def examples(self) -> Iterator[ir.Model]:
        for attributes in ("", "<transB=1>", "<transA=1, alpha=-0.5, beta=2.0>"):
            b_shape = (5, 4) if "transB" in attributes else (4, 5)
            x = "float[4,B] x" if "transA" in attributes else "float[B,4] x"
            a = (4, 1) if "transA" in attributes else (4,)
            yield example(
                f"({x}) => (float[B,5] y)",
                f"n = Norm(x) y = Gemm{attributes}(n, w, c)",
                {"a": a, "b": a, "w": b_shape, "c": (5,)},
            )
        yield example(
            "(float[B,4] x) => (float[B,5] y)",
            "n = Norm(x) y = Gemm<alpha=2.0>(n, w)",
            {"a": (4,), "b": (4,), "w": (4, 5)},
        )
        yield example(
            "(float[B,4] x) => (float[B,5] y)",
            "p = Gemm<beta=0.5>(x, w, c) n = Mul(p, a) y = Add(n, b)",
            {"a": (5,), "b": (5,), "w": (4, 5), "c": (1,)},
        )


RULE = Gemm()
