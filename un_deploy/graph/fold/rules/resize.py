"""Resize and Upsample: each new place is one of the old axis, or between two or four.

The weights sum to 1, so a gauge passes that is constant along the resized axes. Cropping fills in a
number of its own, and lets nothing through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.dims import Dim, same_dim
from un_deploy.graph.analysis.evaluators.pooling import coordinates
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import check_constant_along, of_the_data
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

_GUARD = "by known factors or to sizes; alike along what is resized"


class Resize(Rule):
    ops: ClassVar = {
        "Resize": Operator(opsets=(10, 26), sums=True, guard=_GUARD),
        "Upsample": Operator(opsets=(7, 9), sums=True, guard=_GUARD),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        node, gauge = unit.node, of_the_data(known)
        if (
            node.attributes.get_int("antialias", 0)
            or node.attributes.get_int("exclude_outside", 0)
            or node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch"
            or coordinates(node, view.opset)
            not in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
        ):
            raise Refuse("it resizes in a way that is not known to keep a shift")
        check_constant_along(gauge, _resized(unit, gauge.rank, view), "resizes")
        return [(into(0), gauge), (OUT, gauge)]

    def examples(self) -> Iterator[ir.Model]:
        by = np.array([1, 1, 2, 2], np.float32)
        weights = {"a": (4, 1, 1), "b": (4, 1, 1), "w": (5, 4, 1, 1), "by": by}
        for how in ("nearest", "linear", "cubic"):
            yield example(
                "(float[B,4,3,3] x) => (float[B,5,6,6] y)",
                f'n = Norm(x) r = Resize<mode="{how}">(n, , by) y = Conv(r, w)',
                weights,
            )
        yield example(
            "(float[B,4,3,3] x) => (float[B,5,6,6] y)",
            "c = Conv(x, w) r = Resize(c, , by) n = Norm(r) y = Identity(n)",
            {**weights, "a": (5, 1, 1), "b": (5, 1, 1)},
        )
        for opset, grown in (
            (10, "Resize(n, by)"),
            (9, 'Upsample<mode="linear">(n, by)'),
            (7, "Upsample<scales=[1.0,1.0,2.0,2.0]>(n)"),
        ):
            yield example(
                "(float[B,4,3,3] x) => (float[B,5,6,6] y)",
                f"n = Norm(x) r = {grown} y = Conv(r, w)",
                weights,
                opset=opset,
            )


def _resized(unit: Unit, rank: int, view: GraphFacts) -> list[int]:
    """The axes that are not known to stay as they are."""
    node = unit.node
    axes = [axis % rank for axis in node.attributes.get_ints("axes", range(rank))]
    factors = node.attributes.get_floats("scales")  # as Upsample has them up to opset 8
    places = (2, 3) if view.opset >= 11 else (1, 3)
    scales, sizes = (node.inputs[i] if i < len(node.inputs) else None for i in places)
    stated = scales if sizes is None else sizes
    if factors is None and (stated is None or (sizes is None and stated not in view.constants)):
        raise Refuse("its sizes are computed")
    numbers: Sequence[float | None] = factors or [None] * len(axes)
    if stated in view.constants and stated is not None:
        numbers = view.constants[stated].ravel().tolist()
    if len(numbers) != len(axes):
        raise Refuse("its sizes do not fit the tensor")
    before, after = view.shape(unit.input(0)), view.shape(unit.output)
    if before is None or after is None:
        raise Refuse("the shape of what it resizes is unknown")
    resized = []
    for axis, number in zip(axes, numbers, strict=True):
        old, new = before[axis], after[axis]
        if sizes is not None and same_dim(old, new):
            continue
        factor: float | None
        if sizes is None:
            factor = number
        else:
            factor = new / old if isinstance(old, int) and isinstance(new, int) and old else None
        if factor != 1:
            if factor is not None:
                _check_exact(node, old, factor, sizes is None, view.opset)
            resized.append(axis)
    return resized


def _check_exact(node: ir.Node, size: Dim, factor: float, by_scale: bool, opset: int) -> None:
    """Refuse where runtimes may come to other places.

    Raises:
        Refuse: rounding decides which place is nearest, or which size the corners are those of.
    """
    nearest = node.attributes.get_string("mode", "nearest") == "nearest"
    shrinks_exactly = (1 / factor).is_integer() and _is_power_of_two(1 / factor)
    if nearest and not (factor.is_integer() or shrinks_exactly):
        raise Refuse("rounding decides which of its places is the nearest")
    if nearest and factor < 1 and opset < 11:
        raise Refuse("before opset 11 nothing says which of its places is the nearest")
    how = coordinates(node, opset)
    whole = factor.is_integer() or (isinstance(size, int) and (size * factor).is_integer())
    if by_scale and how in ("align_corners", "pytorch_half_pixel") and not whole:
        raise Refuse("its size is cut to a whole number")


def _is_power_of_two(number: float) -> bool:
    return math.frexp(number)[0] == 0.5


RULE = Resize()
