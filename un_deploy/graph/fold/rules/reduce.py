"""ReduceMean, ReduceSum, ReduceMax, ReduceMin: what is alike along the axes passes through.

mean(S x' + c) = S mean(x') + c, if neither S nor c varies over the axes of the mean. A sum of n
entries has n times the shift; a maximum wants a scale that is not negative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.dims import Shape
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import check_positive
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into


class Reduce(Rule):
    ops: ClassVar = {
        "ReduceMean": Operator(opsets=(7, 26), sums=True, guard="alike along the reduced axes"),
        "ReduceSum": Operator(
            opsets=(7, 26),
            sums=True,
            guard="alike along the reduced axes; a shift where their sizes are known",
        ),
        **dict.fromkeys(
            ("ReduceMax", "ReduceMin"),
            Operator(opsets=(7, 26), guard="alike along the reduced axes; no negative scale"),
        ),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        source = unit.input(0)
        shape = view.shape(source)
        if shape is None:
            raise Refuse(f"the shape of {source.name!r} is unknown")
        axes = _axes(unit.node, len(shape), view)
        keeps = unit.node.attributes.get_int("keepdims", 1) != 0
        count = _count(unit, known, axes, shape)
        if unit.node.op_type in ("ReduceMax", "ReduceMin"):
            check_positive(next(iter(known.values())), "would exchange maximum and minimum")
        kept = [axis for axis in range(len(shape)) if keeps or axis not in axes]
        if into(0) in known:
            gauge = known[into(0)]
            if gauge.varies & axes:
                raise Refuse(
                    f"it {_DOES[unit.node.op_type]} over an axis on which the scale varies"
                )
            moved = gauge.each(lambda a: a.reshape([a.shape[axis] for axis in kept]))
            return [(OUT, Affine(moved.scale, moved.shift * count))]
        gauge = Affine(known[OUT].scale, known[OUT].shift / count)
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
        for op in ("ReduceSum", "ReduceMax", "ReduceMin"):
            yield example(
                "(float[B,3,4] x) => (float[B,5] y)",
                f"n = Norm(x) t = {op}<keepdims=0>(n, i) y = MatMul(t, w)",
                weights,
                integers={"i": [1]},
            )
        yield example(
            "(float[B,3,4] x) => (float[B,5] y)",
            "p = MatMul(x, w) t = ReduceSum<keepdims=0>(p, i) n = Norm(t) y = Identity(n)",
            {"a": (5,), "b": (5,), "w": (4, 5)},
            integers={"i": [1]},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,5] y)",
            "p = MatMul(x, w) t = ReduceMean<keepdims=0>(p, i) n = Norm(t) y = Identity(n)",
            {"a": (5,), "b": (5,), "w": (4, 5)},
            integers={"i": [1]},
        )


_DOES = {
    "ReduceMean": "takes the mean",
    "ReduceSum": "sums",
    "ReduceMax": "takes the maximum",
    "ReduceMin": "takes the minimum",
}


def _count(unit: Unit, known: Known, axes: set[int], shape: Shape) -> int:
    """By what the shift is multiplied."""
    shifts = any(np.any(gauge.shift != 0) for gauge in known.values())
    if unit.node.op_type != "ReduceSum" or not shifts:
        return 1
    sizes = [shape[axis] for axis in axes]
    if not all(isinstance(size, int) for size in sizes):
        raise Refuse("it sums a shift as often as an axis of unknown size has entries")
    return math.prod(size for size in sizes if isinstance(size, int))


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
