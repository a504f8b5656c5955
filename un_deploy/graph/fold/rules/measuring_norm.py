"""Norms that measure their data: their own scale and shift take in what reaches their output.

With n for what is measured, y = gamma n(x) + beta and y = T y' + d: gamma' = gamma / T and
beta' = (beta - d) / T. Nothing passes into x: n(S x' + c) is another function of x' for nearly
every S. So where the norm behind attention alone is gone from a post-norm block, the LayerNorm in
front of the block takes in the scale that the stream has there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.analysis.norms.operators import OPERATORS, scale_and_shift
from un_deploy.graph.fold.edits import AddBias, Edit, SetConstant
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import check_no_shift, what_varies
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit


def _operator(name: str, first: int, guard: str) -> Operator:
    known = OPERATORS[name]
    return Operator(
        "normalization",
        (first, 26),
        bias=known.shift,
        channels=known.channels,
        weighs=True,
        measures=True,
        guard=guard,
    )


_CHANNELS = "behind it, of channels alone"


class MeasuringNorm(Rule):
    ops: ClassVar = {
        "LayerNormalization": _operator(
            "LayerNormalization", 17, "behind it, along the axes that it measures"
        ),
        "RMSNormalization": _operator(
            "RMSNormalization", 23, "behind it, along the axes that it measures"
        ),
        "InstanceNormalization": _operator("InstanceNormalization", 6, _CHANNELS),
        # Before, a scale and a shift were those of a group.
        "GroupNormalization": _operator("GroupNormalization", 21, _CHANNELS),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        if any(port != OUT and not gauge.is_identity for port, gauge in known.items()):
            raise Refuse("it measures what it reads, so that has to stay")
        if OUT not in known or known[OUT].is_identity:
            return ()
        gauge = _held(unit, known[OUT])
        _check(unit, view)
        if len(unit.inputs) < 3 or unit.inputs[2] is None:
            if unit.operator.bias is None:
                check_no_shift(gauge, "it has no shift that could take in another")
            elif gauge.rank > 1:
                check_no_shift(gauge, "it has no shift yet, and measures more than the channels")
        return ()

    def edits(self, unit: Unit, known: Known, view: GraphFacts) -> Iterable[Edit]:
        node, gauge = unit.node, _held(unit, known[OUT])
        scale, shift = scale_and_shift(node)
        assert scale is not None
        sizes = view.sizes(scale)
        scales, shifts = np.any(gauge.scale != 1), np.any(gauge.shift != 0)
        if scales:
            one = np.ones((1,) * len(sizes))
            yield SetConstant(node, 1, view.exact(scale).scaled(one, gauge.scale), sizes)
        if shift is not None and (scales or shifts):
            yield SetConstant(node, 2, view.exact(shift).through(gauge), sizes)
        elif shifts:
            yield AddBias(
                node, unit.operator, lambda: gauge.new_of(np.zeros(sizes)).reshape(sizes), sizes
            )

    def examples(self) -> Iterator[ir.Model]:
        behind = "n = Norm(h) y = Tanh(n)"
        tokens = "(float[B,3,4] x) => (float[B,3,4] y)"
        row = {"a": (4,), "b": (4,), "ag": (4,), "c": (4,)}
        yield example(tokens, f"h = LayerNormalization(x, ag, c) {behind}", row)
        yield example(
            tokens,
            f"h = LayerNormalization<epsilon=0.1>(x, ag) {behind}",
            {"a": (4,), "b": (4,), "ag": (4,)},
        )
        yield example(
            "(float[B,3,4] x) => (float[B,3,4] y)",
            f"h = LayerNormalization<axis=1>(x, ag, c) {behind}",
            {"a": (4,), "b": (4,), "ag": (3, 4), "c": (3, 4)},
        )
        yield example(
            tokens,
            "h = RMSNormalization(x, ag) n = Mul(h, a) y = Tanh(n)",
            {"a": (4,), "ag": (4,)},
            opset=23,
        )
        for operator in ("InstanceNormalization", "GroupNormalization<num_groups=2>"):
            yield example(
                "(float[B,4,5] x) => (float[B,4,5] y)",
                f"h = {operator}(x, ag, c) {behind}",
                {"a": (4, 1), "b": (4, 1), "ag": (4,), "c": (4,)},
                opset=21,
            )


def _held(unit: Unit, gauge: Gauge) -> Gauge:
    """The gauge of its output, in the axes of its scale.

    Raises:
        Refuse: it varies along others.
    """
    axes = _axes(unit, gauge.rank)
    if others := gauge.varies - set(axes):
        where = min(others)
        raise Refuse(f"{what_varies(gauge, where)} along axis {where}, and its own does not")
    return gauge.each(lambda array: array.reshape([array.shape[axis] for axis in axes]))


def _axes(unit: Unit, rank: int) -> list[int]:
    """Along which its scale and shift vary."""
    if unit.operator.channels == 1:
        return [1]
    return list(range(unit.node.attributes.get_int("axis", -1) % rank, rank))


def _check(unit: Unit, view: GraphFacts) -> None:
    """Hold its scale and shift against its output.

    Raises:
        Refuse: they are no constants of its type and size, or more of it is read than its output.
    """
    node = unit.node
    given = [value for value in scale_and_shift(node) if value is not None]
    if not given or any(value not in view.constants for value in given):
        raise Refuse("its scale or shift is no constant")
    if any(value.name for value in node.outputs[1:]):
        raise Refuse("its mean or deviation is given, too")
    if len({view.dtype(value) for value in (unit.input(0), *given)}) > 1:
        raise Refuse("its scale has another type than what it measures")
    shape = view.shape(unit.output) or ()
    told = [shape[axis] for axis in _axes(unit, len(shape))] if shape else []
    wanted = tuple(size for size in told if isinstance(size, int))
    if any(view.sizes(value) != wanted for value in given):
        raise Refuse("its scale and shift are not one number for each entry that they scale")


RULE = MeasuringNorm()
