"""ConvTranspose, 1-d to 3-d, with groups: takes a scale on either side, and a shift behind it.

Its weight is (in channels, out channels of their group, kernel). With x = S x' and y = T y' + d per
channel: W'[i, o] = S[i] W[i, o] / T[o] and b' = (b - d) / T, wherever it pads and however far it
strides. A shift in front would reach each pixel through another part of the kernel, fewer at the
border: no bias can hold that.
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


class ConvTranspose(Rule):
    ops: ClassVar = {
        "ConvTranspose": absorbing(
            (1, 26), bias=2, channels=1, slides=True, guard="of channels alone; a shift behind it"
        )
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        node = unit.node
        if any(v is not None and v not in view.constants for v in node.inputs[1:]):
            raise Refuse("its weight or bias is no constant")
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        groups = node.attributes.get_int("group", 1)
        check_bias(bias, groups * view.sizes(unit.input(1))[1], view)
        into_it = along(known.get(into(0)), 1)
        along(known.get(OUT), 1)
        if into_it.shifts:
            raise Refuse("a shift would reach each pixel through another part of its kernel")
        return ()

    def edits(self, unit: Unit, known: Known, view: GraphFacts) -> Iterable[Edit]:
        node, weight = unit.node, unit.input(1)
        s, t = along(known[into(0)], 1), along(known[OUT], 1)
        w = view.exact(weight)
        shape = w.shape
        groups = node.attributes.get_int("group", 1)
        inputs, per_group = shape[0], shape[1]
        channels, kernel = groups * per_group, (1,) * (len(shape) - 2)

        if s.scales or t.scales:
            of_group = np.broadcast_to(t.scale, channels).reshape(groups, per_group)
            divisor = np.repeat(of_group, inputs // groups, axis=0).reshape(inputs, -1, *kernel)
            yield SetConstant(node, 1, w.scaled(s.scale.reshape(-1, 1, *kernel), divisor), shape)
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is not None and (t.scales or t.shifts):
            b = view.constants.exact(bias)
            yield SetConstant(node, 2, lambda: t.new_of(b()), (channels,))
        elif bias is None and t.shifts:
            yield AddBias(
                node,
                unit.operator,
                lambda: t.new_of(np.zeros(channels)),
                (channels,),
            )

    def examples(self) -> Iterator[ir.Model]:
        yield example(
            "(float[B,4,5,5] x) => (float[B,6,11,11] y)",
            "n = Mul(x, a) y = ConvTranspose<strides=[2,2], group=2>(n, w)",
            {"a": (4, 1, 1), "w": (4, 3, 3, 3)},
        )
        yield example(
            "(float[B,4,5,5] x) => (float[B,6,9,9] y)",
            "p = ConvTranspose<strides=[2,2], pads=[1,1,1,1], group=2>(x, w, c)"
            " n = Norm(p) y = Identity(n)",
            {"a": (6, 1, 1), "b": (6, 1, 1), "w": (4, 3, 3, 3), "c": (6,)},
        )
        yield example(
            "(float[B,4,5] x) => (float[B,3,9] y)",
            "p = ConvTranspose<strides=[2], pads=[1,1]>(x, w) n = Norm(p) y = Identity(n)",
            {"a": (3, 1), "b": (3, 1), "w": (4, 3, 3)},
        )


RULE = ConvTranspose()
