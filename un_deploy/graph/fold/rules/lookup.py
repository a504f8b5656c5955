"""GatherND and GatherElements: entries of a tensor at indices.

A gauge passes that is constant along the axes in which is looked up; the axes before (of the batch)
and behind keep their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.analysis.dims import same_dim
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import check_constant_along
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into


class Lookup(Rule):
    ops: ClassVar = dict.fromkeys(
        ("GatherND", "GatherElements"),
        Operator(
            "layout",
            (11, 26),
            moves=True,
            picks=True,
            guard="alike along the axes in which is looked up",
        ),
    )

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        move = _gather_nd if unit.node.op_type == "GatherND" else _gather_elements
        forward = into(0) in known
        gauge = known[into(0)] if forward else known[OUT]
        return [(OUT if forward else into(0), move(unit, gauge, forward, view))]

    def examples(self) -> Iterator[ir.Model]:
        per_channel = {"a": (4,), "b": (4,)}
        yield example(
            "(int64[9,1] ids) => (float[9,4] y)",
            "x = GatherND(table, ids) n = Norm(x) y = Identity(n)",
            {**per_channel, "table": (9, 4)},
        )
        yield example(
            "(float[2,6,4] x) => (float[2,3,5] y)",
            "n = Norm(x) t = GatherND<batch_dims=1>(n, i) y = MatMul(t, w)",
            {**per_channel, "w": (4, 5)},
            integers={"i": [[[0], [5], [2]], [[1], [1], [4]]]},
        )
        yield example(
            "(float[2,6,4] x) => (float[2,2,5] y)",
            "n = Norm(x) t = GatherElements<axis=1>(n, i) y = MatMul(t, w)",
            {**per_channel, "w": (4, 5)},
            integers={"i": [[[0, 1, 2, 5], [4, 4, 4, 4]], [[3, 2, 0, 5], [1, 1, 0, 0]]]},
        )
        yield example(
            "(int64[9,4] ids) => (float[9,4] y)",
            "x = GatherElements(table, ids) n = Norm(x) y = Identity(n)",
            {**per_channel, "table": (9, 4)},
        )


def _gather_nd(unit: Unit, gauge: Gauge, forward: bool, view: GraphFacts) -> Gauge:
    """(batch, looked up, rest) to (batch, indices, rest)."""
    data, indices = view.shape(unit.input(0)), view.shape(unit.input(1))
    if data is None or indices is None:
        raise Refuse("the shape of what it looks up in is unknown")
    depth, batch = indices[-1], unit.node.attributes.get_int("batch_dims", 0)
    if not isinstance(depth, int):
        raise Refuse("it is not known in how many axes it looks up")
    rest = len(data) - batch - depth
    there = gauge.rank - batch - rest
    check_constant_along(gauge, range(batch, batch + there), "looks up")
    ones = (1,) * (len(indices) - 1 - batch if forward else depth)

    def moved(array: np.ndarray) -> np.ndarray:
        return array.reshape((*array.shape[:batch], *ones, *array.shape[batch + there :]))

    return gauge.each(moved)


def _gather_elements(unit: Unit, gauge: Gauge, forward: bool, view: GraphFacts) -> Gauge:
    data, out = view.shape(unit.input(0)), view.shape(unit.output)
    if data is None or out is None:
        raise Refuse("the shape of what it looks up in is unknown")
    axis = unit.node.attributes.get_int("axis", 0) % gauge.rank
    check_constant_along(gauge, (axis,), "looks up")
    for other in gauge.varies:
        if not same_dim(data[other], out[other]):
            raise Refuse("it leaves out a part of an axis on which the scale varies")
    return gauge


RULE = Lookup()
