"""SpaceToDepth and DepthToSpace: pixels of a block become channels, and back.

A gauge of the image's channels is that of each pixel of the block. So the other way a gauge passes
if the channels of one block share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import check_constant_along
from un_deploy.graph.fold.rules.example_models import example
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Refuse, Rule, Unit, into


class Depth(Rule):
    ops: ClassVar = dict.fromkeys(
        ("SpaceToDepth", "DepthToSpace"),
        Operator(
            "layout",
            (1, 26),
            moves=True,
            guard="of channels alone; channels that become one channel's pixels are alike",
        ),
    )

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        forward = into(0) in known
        gauge = known[into(0)] if forward else known[OUT]
        check_constant_along(gauge, (2, 3), "regroups pixels")
        target = OUT if forward else into(0)
        block = unit.node.attributes.get_int("blocksize")
        last = unit.node.attributes.get_string("mode", "DCR") == "CRD"
        if forward == (unit.node.op_type == "SpaceToDepth"):
            return [(target, gauge.each(lambda a: _spread(a, block * block, last)))]
        return [(target, gauge.each(lambda a: _shared(a, block * block, last)))]

    def examples(self) -> Iterator[ir.Model]:
        few, many = {"a": (4, 1, 1), "b": (4, 1, 1)}, {"a": (3, 1, 1), "b": (3, 1, 1)}
        yield example(
            "(float[B,4,4,4] x) => (float[B,3,2,2] y)",
            "n = Norm(x) p = SpaceToDepth<blocksize=2>(n) y = Conv(p, w)",
            {**few, "w": (3, 16, 1, 1)},
        )
        for mode in ("DCR", "CRD"):
            yield example(
                "(float[B,4,2,2] x) => (float[B,3,4,4] y)",
                f'c = Conv(x, w) p = DepthToSpace<blocksize=2, mode="{mode}">(c)'
                " n = Norm(p) y = Identity(n)",
                {**many, "w": (12, 4, 1, 1)},
            )
        yield example(
            "(float[B,4,4,4] x) => (float[B,3,4,4] y)",
            "n = Norm(x) s = SpaceToDepth<blocksize=2>(n) d = DepthToSpace<blocksize=2>(s)"
            " y = Conv(d, w)",
            {**few, "w": (3, 4, 1, 1)},
        )


def _spread(array: np.ndarray, pixels: int, last: bool) -> np.ndarray:
    """From the image's channels to those of all pixels; `last`: a channel's pixels lie together."""
    if array.shape[1] == 1:
        return array
    if last:
        return np.repeat(array, pixels, axis=1)
    return np.concatenate([array] * pixels, axis=1)


def _shared(array: np.ndarray, pixels: int, last: bool) -> np.ndarray:
    """From the channels of all pixels to the image's.

    Raises:
        Refuse: the pixels of one channel differ.
    """
    if array.shape[1] == 1:
        return array
    batch, channels, *rest = array.shape
    split = (channels // pixels, pixels) if last else (pixels, channels // pixels)
    blocks = array.reshape(batch, *split, *rest)
    first = np.take(blocks, [0], axis=2 if last else 1)
    if not np.all(blocks == first):
        raise Refuse("channels that become neighbouring pixels have different scales")
    return first.reshape(batch, channels // pixels, *rest)


RULE = Depth()
