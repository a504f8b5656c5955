"""MatMul by a constant: absorbs every gauge that reaches it.

With x = S x' + c and y = T y' + d, y = x W + b becomes y' = x' W' + b' where
W' = diag(S) W diag(1/T) and b' = (b + c W - d) / T.
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


class MatMul(Rule):
    ops: ClassVar = {"MatMul": absorbing((7, 26), bias="behind", channels=-1)}

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        weight = unit.input(1)
        if weight not in view.constants:
            raise Refuse("its right operand is no constant")
        if len(view.shape(weight) or ()) != 2:
            raise Refuse("its weight is no matrix")
        along(known.get(into(0)), -1)
        along(known.get(OUT), -1)
        return ()

    def edits(self, unit: Unit, known: Known, view: GraphFacts) -> Iterable[Edit]:
        node, weight = unit.node, unit.input(1)
        s, t = along(known[into(0)], -1), along(known[OUT], -1)
        w = view.exact(weight)
        rows, columns = w.shape
        if s.scales or t.scales:
            yield SetConstant(node, 1, w.scaled(s.scale[:, None], t.scale[None, :]), w.shape)

        def shift() -> np.ndarray:
            return w.times(np.broadcast_to(s.shift, rows)) if s.shifts else np.zeros(columns)

        if unit.bias is not None and (s.shifts or t.scales or t.shifts):
            add, index = unit.bias
            value = add.inputs[index]
            assert value is not None
            b, shape = view.constants.exact(value), view.sizes(value)
            yield SetConstant(add, index, lambda: (b() + shift() - t.shift) / t.scale, shape)
        elif s.shifts or t.shifts:
            yield AddBias(node, unit.operator, lambda: (shift() - t.shift) / t.scale, columns)

    def examples(self) -> Iterator[ir.Model]:
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "n = Norm(x) y = MatMul(n, w)",
            {"a": (4,), "b": (4,), "w": (4, 5)},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "n = Norm(x) p = MatMul(n, w)  y = Add(c, p)",
            {"a": (4,), "b": (1, 1, 4), "w": (4, 5), "c": (5,)},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "p = MatMul(x, w) n = Mul(p, a) y = Add(n, b)",
            {"a": (5,), "b": (5,), "w": (4, 5)},
        )


RULE = MatMul()
