"""Pad: a gauge that is constant along the padded axes passes, where what is put in obeys it too.

Copies of the tensor's own entries do (reflect, edge, wrap). A constant fill v stands for S v + c:
zeros are zeros behind a scale, and no others behind a shift.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import check_constant_along, check_no_shift, of_the_data
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import (
    OUT,
    Demands,
    Known,
    Refuse,
    Rule,
    Unit,
    into,
)


class Pad(Rule):
    ops: ClassVar = {
        "Pad": Operator(
            "layout",
            (2, 26),
            guard="alike along what is padded; a shift only by copies, or where nothing is added",
        )
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        node, gauge = unit.node, of_the_data(known)
        pads = _pads(node, gauge.rank, view)
        padded = [axis for axis, widths in enumerate(pads) if any(widths)]
        check_constant_along(gauge, padded, "pads")
        mode = node.attributes.get_string("mode", "constant")
        if mode == "constant" and any(width > 0 for widths in pads for width in widths):
            check_no_shift(gauge, "it puts in a constant, which a shift would have to change")
            if _fill(node, view) != 0:
                raise Refuse("it puts in another constant than zero")
        return [(into(0), gauge), (OUT, gauge)]

    def examples(self) -> Iterator[ir.Model]:
        weights = {"a": (4,), "b": (4,), "w": (4, 5)}
        around = [0, 1, 0, 0, 1, 0]
        yield example(
            "(float[B,3,4] x) => (float[B,5,5] y)",
            "n = Mul(x, a) p = Pad(n, pads) y = MatMul(p, w)",
            {"a": (4,), "w": (4, 5)},
            integers={"pads": around},
        )
        for mode in ("reflect", "edge", "wrap"):
            yield example(
                "(float[B,3,4] x) => (float[B,5,5] y)",
                f'n = Norm(x) p = Pad<mode="{mode}">(n, pads) y = MatMul(p, w)',
                weights,
                integers={"pads": around},
            )
        yield example(
            "(float[B,3,4] x) => (float[B,3,5] y)",
            "n = Norm(x) p = Pad(n, pads) y = MatMul(p, w)",
            weights,
            integers={"pads": [0] * 6},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,4,5] y)",
            'p = MatMul(x, w) t = Pad<mode="edge">(p, pads, , axes) n = Norm(t) y = Identity(n)',
            {"a": (5,), "b": (5,), "w": (4, 5)},
            integers={"pads": [0, 1], "axes": [-2]},
        )


def _pads(node: ir.Node, rank: int, view: GraphFacts) -> list[tuple[int, int]]:
    """The widths at both ends of every axis; negative ones cut off."""
    if "pads" in node.attributes:
        listed = list(node.attributes.get_ints("pads"))
        axes = list(range(rank))
    else:
        given, named = (node.inputs[i] if i < len(node.inputs) else None for i in (1, 3))
        if given not in view.constants or (named is not None and named not in view.constants):
            raise Refuse("its widths are computed")
        assert given is not None
        listed = [int(width) for width in view.constants[given].ravel()]
        axes = list(range(rank))
        if named is not None:
            axes = [int(axis) % rank for axis in view.constants[named].ravel()]
    if len(listed) != 2 * len(axes):
        raise Refuse("its widths do not fit the tensor")
    pads = [(0, 0)] * rank
    for axis, begin, end in zip(axes, listed[: len(axes)], listed[len(axes) :], strict=True):
        pads[axis] = (begin, end)
    return pads


def _fill(node: ir.Node, view: GraphFacts) -> float:
    """What is put in; NaN where it is computed."""
    value = node.inputs[2] if len(node.inputs) > 2 else None
    if value is None:
        return node.attributes.get_float("value", 0.0)
    return float(view.constants[value].ravel()[0]) if value in view.constants else np.nan


RULE = Pad()
