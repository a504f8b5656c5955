"""Tile: a gauge that is constant along the repeated axes passes; forward one that varies is
repeated with the tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.dims import same_dim
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into


class Tile(Rule):
    ops: ClassVar = {
        "Tile": Operator(
            "layout",
            (6, 26),
            moves=True,
            guard="forward by known repeats, or alike along what is repeated",
        )
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        forward = into(0) in known
        gauge = known[into(0)] if forward else known[OUT]
        before, after = view.shape(unit.input(0)), view.shape(unit.output)
        if before is None or after is None:
            raise Refuse("the shape of what it repeats is unknown")
        repeated = [axis for axis in gauge.varies if not same_dim(before[axis], after[axis])]
        if not repeated:
            return [(OUT if forward else into(0), gauge)]
        counts = unit.input(1)
        if not forward or counts not in view.constants:
            raise Refuse("it repeats along an axis on which the scale varies")
        repeats = [int(n) for n in view.constants[counts].ravel()]

        def tiled(array: np.ndarray) -> np.ndarray:
            spread = zip(array.shape, repeats, strict=True)
            return np.tile(array, [1 if size == 1 else n for size, n in spread])

        return [(OUT, gauge.each(tiled))]

    def examples(self) -> Iterator[ir.Model]:
        weights = {"a": (4,), "b": (4,), "w": (4, 5)}
        yield example(
            "(float[1,3,4] x) => (float[2,3,5] y)",
            "n = Norm(x) t = Tile(n, r) y = MatMul(t, w)",
            weights,
            integers={"r": [2, 1, 1]},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "n = Norm(x) t = Tile(n, r) y = MatMul(t, w)",
            {**weights, "w": (8, 5)},
            integers={"r": [1, 1, 2]},
        )
        yield example(
            "(float[1,3,4] x) => (float[1,6,5] y)",
            "p = MatMul(x, w) t = Tile(p, r) n = Norm(t) y = Identity(n)",
            {"a": (5,), "b": (5,), "w": (4, 5)},
            integers={"r": [1, 2, 1]},
        )


RULE = Tile()
