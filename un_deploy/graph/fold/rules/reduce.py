"""ReduceMean: a gauge that is constant along the averaged axes passes through.

mean(S x' + c) = S mean(x') + c, if neither S nor c varies over the axes of the mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into


class Reduce(Rule):
    ops: ClassVar = {"ReduceMean": Operator(opsets=(7, 26), sums=True)}

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        source = unit.input(0)
        shape = view.shape(source)
        if shape is None:
            raise Refuse(f"the shape of {source.name!r} is unknown")
        axes = _axes(unit.node, len(shape), view)
        keeps = unit.node.attributes.get_int("keepdims", 1) != 0
        kept = [axis for axis in range(len(shape)) if keeps or axis not in axes]
        if into(0) in known:
            gauge = known[into(0)]
            if gauge.varies & axes:
                raise Refuse("it takes the mean over an axis on which the scale varies")
            return [(OUT, gauge.each(lambda a: a.reshape([a.shape[axis] for axis in kept])))]
        gauge = known[OUT]
        sizes = dict.fromkeys(range(len(shape)), 1)

        def spread(array: np.ndarray) -> np.ndarray:
            own = sizes | dict(zip(kept, array.shape, strict=True))
            return array.reshape([own[axis] for axis in range(len(shape))])

        return [(into(0), gauge.each(spread))]

    def examples(self) -> Iterator[ir.Model]:
        weights = {"a": (4,), "b": (4,), "w": (4, 5)}
        yield example(
            "(float[B,3,4] x) => (float[B,5] y)",
            "n = Norm(x) t = ReduceMean<keepdims=0>(n, i) y = MatMul(t, w)",
            weights,
            integers={"i": [1]},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,1,5] y)",
            "n = Norm(x) t = ReduceMean<axes=[1]>(n) y = MatMul(t, w)",
            weights,
            opset=17,
        )
        yield example(
            "(float[B,3,4] x) => (float[B,5] y)",
            "p = MatMul(x, w) t = ReduceMean<keepdims=0>(p, i) n = Norm(t) y = Identity(n)",
            {"a": (5,), "b": (5,), "w": (4, 5)},
            integers={"i": [1]},
        )


def _axes(node: ir.Node, rank: int, view: GraphFacts) -> set[int]:
    listed = list(node.attributes.get_ints("axes", ()))
    given = node.inputs[1] if len(node.inputs) > 1 else None
    if given is not None and "axes" not in node.attributes:
        if given not in view.constants:
            raise Refuse("its axes are computed")
        listed = [int(axis) for axis in view.constants[given].ravel()]
    if not listed:
        return set() if node.attributes.get_int("noop_with_empty_axes", 0) else set(range(rank))
    return {axis % rank for axis in listed}


RULE = Reduce()
