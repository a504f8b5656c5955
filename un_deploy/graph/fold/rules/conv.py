"""Conv, 1-d to 3-d, with groups: absorbs what reaches it along its channels.

With x = S x' + c and y = T y' + d per channel: W'[o, i] = S[i] W[o, i] / T[o] and
b' = (b + sum over i and the kernel of c[i] W[o, i] - d) / T. Where the image is padded with
zeros the window at the border misses part of that sum, so a shift cannot enter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.fold.edits import AddBias, Edit, SetConstant
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import along, check_bias
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import absorbing
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into


class Conv(Rule):
    ops: ClassVar = {
        "Conv": absorbing(
            (1, 26),
            bias=2,
            channels=1,
            slides=True,
            guard="of channels alone; no shift into zero padding",
        )
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        node = unit.node
        if any(v is not None and v not in view.constants for v in node.inputs[1:]):
            raise Refuse("its weight or bias is no constant")
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        check_bias(bias, view.sizes(unit.input(1))[0], view)
        into_it = along(known.get(into(0)), 1)
        along(known.get(OUT), 1)
        if into_it.shifts and _pads(node):
            raise Refuse("it pads its input with zeros, which a shift would have to change")
        return ()

    def edits(self, unit: Unit, known: Known, view: GraphFacts) -> Iterable[Edit]:
        node, weight = unit.node, unit.input(1)
        s, t = along(known[into(0)], 1), along(known[OUT], 1)
        w = view.exact(weight)
        shape = w.shape
        channels, per_group = shape[0], shape[1]
        groups = node.attributes.get_int("group", 1)

        def per_weight(vector: np.ndarray) -> np.ndarray:
            """(out channels, in channels of its group), from a vector over the input channels."""
            grid = np.broadcast_to(vector, groups * per_group).reshape(groups, per_group)
            return np.repeat(grid, channels // groups, axis=0)

        def shift() -> np.ndarray:
            if not s.shifts:
                return np.zeros(channels)
            summed = w().reshape(channels, per_group, -1).sum(axis=2)
            return (per_weight(s.shift) * summed).sum(axis=1)

        if s.scales or t.scales:
            kernel = [1] * (len(shape) - 2)
            factor = per_weight(s.scale).reshape(channels, per_group, *kernel)
            yield SetConstant(node, 1, w.scaled(factor, t.scale.reshape(-1, 1, *kernel)), shape)
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is not None and (s.shifts or t.scales or t.shifts):
            b = view.constants.exact(bias)
            yield SetConstant(node, 2, lambda: t.new_of(b() + shift()), (channels,))
        elif bias is None and (s.shifts or t.shifts):
            yield AddBias(node, unit.operator, lambda: t.new_of(shift()), (channels,))

    def examples(self) -> Iterator[ir.Model]:
        image = {"a": (4, 1, 1), "b": (4, 1, 1)}
        yield example(
            "(float[B,4,8,8] x) => (float[B,6,4,4] y)",
            "n = Norm(x) y = Conv<strides=[2,2], group=2>(n, w, c)",
            {**image, "w": (6, 2, 2, 2), "c": (6,)},
        )
        yield example(
            "(float[B,4,8,8] x) => (float[B,4,8,8] y)",
            "n = Norm(x) y = Conv(n, w)",
            {**image, "w": (4, 4, 1, 1)},
        )
        yield example(
            "(float[B,3,8,8] x) => (float[B,4,8,8] y)",
            "p = Conv<pads=[1,1,1,1]>(x, w, c) n = Mul(p, a) y = Add(n, b)",
            {**image, "w": (4, 3, 3, 3), "c": (4,)},
        )


def _pads(node: ir.Node) -> bool:
    if node.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        return True
    return any(node.attributes.get_ints("pads", ()))


RULE = Conv()
