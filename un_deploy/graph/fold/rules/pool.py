"""AveragePool and MaxPool, over windows and over all places: a gauge of the channels passes.

The mean of S x' + c is S mean(x') + c where its weights sum to 1, which they do not where padded
zeros are counted. The maximum of S x' + c is S max(x') + c where S is not negative; what MaxPool
pads with is below everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import onnx_ir as ir

from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.rules.channel import check_no_shift, check_positive, of_the_data
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


class Pool(Rule):
    ops: ClassVar = {
        "AveragePool": Operator(
            opsets=(7, 26),
            sums=True,
            slides=True,
            uniform=True,
            guard="alike all over the image; a shift only where no padding is counted",
        ),
        "MaxPool": Operator(
            opsets=(1, 26),
            slides=True,
            uniform=True,
            guard="alike all over the image; no negative scale; its indices are not read",
        ),
        "GlobalAveragePool": Operator(opsets=(1, 26), sums=True, guard="alike all over the image"),
        "GlobalMaxPool": Operator(
            opsets=(1, 26), guard="alike all over the image; no negative scale"
        ),
    }

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        gauge, node = of_the_data(known), unit.node
        if gauge.rank < 3 or any(axis > 1 for axis in gauge.varies):
            raise Refuse("it pools over an axis on which the scale varies")
        if "Max" in node.op_type:
            check_positive(gauge, "would turn a maximum into a minimum")
            if any(v.uses() or v.is_graph_output() for v in node.outputs[1:]):
                raise Refuse("the places of its maxima are read")
        if node.attributes.get_int("ceil_mode", 0) and not _reaches_beyond_alike(node):
            raise Refuse("runtimes differ on what its last window covers")
        if "Average" in node.op_type and _counts_padding(node):
            check_no_shift(gauge, "it counts padded zeros, which a shift would have to change")
        return [(into(0), gauge), (OUT, gauge)]

    def examples(self) -> Iterator[ir.Model]:
        channels = {"a": (4, 1, 1), "b": (4, 1, 1), "w": (5, 4, 1, 1)}
        for pool, size in (
            ("AveragePool<kernel_shape=[2,2], strides=[2,2]>(n)", 3),
            ("AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(n)", 6),
            ("MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(n)", 3),
            ("GlobalAveragePool(n)", 1),
            ("GlobalMaxPool(n)", 1),
        ):
            yield example(
                f"(float[B,4,6,6] x) => (float[B,5,{size},{size}] y)",
                f"n = Norm(x) p = {pool} y = Conv(p, w)",
                channels,
            )
        counting = "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>"
        yield example(
            "(float[B,4,6,6] x) => (float[B,5,6,6] y)",
            f"n = Mul(x, a) p = {counting}(n) y = Conv(p, w)",
            {"a": (4, 1, 1), "w": (5, 4, 1, 1)},
        )
        for pool, size in (("MaxPool<kernel_shape=[2,2]>", 5), ("GlobalAveragePool", 1)):
            yield example(
                f"(float[B,4,6,6] x) => (float[B,5,{size},{size}] y)",
                f"c = Conv(x, w) p = {pool}(c) n = Norm(p) y = Identity(n)",
                {"a": (5, 1, 1), "b": (5, 1, 1), "w": (5, 4, 1, 1)},
            )


def _reaches_beyond_alike(node: ir.Node) -> bool:
    """Whether all agree on a last window that reaches beyond the border."""
    plain = node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET"
    return plain and not node.attributes.get_int("count_include_pad", 0)


def _counts_padding(node: ir.Node) -> bool:
    """Whether a window may reach beyond the image and divide by more than the places inside."""
    if node.op_type != "AveragePool" or not node.attributes.get_int("count_include_pad", 0):
        return False
    same = node.attributes.get_string("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    return same or any(node.attributes.get_ints("pads", ()))


RULE = Pool()
