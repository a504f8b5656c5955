"""What the rooms around the rules know of an operator, as data: stated here and nowhere else.

A rule states it of its operators, in `ops`; `without_rule` of all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

#: What kind of work an operator is, and a layer of a runtime too.
Group = Literal[
    "products", "attention", "normalization", "activation", "elementwise", "layout", "other"
]


@dataclass(frozen=True)
class Operator:
    """What is known of an operator; by default nothing.

    Attributes:
        group: what kind of work it is.
        opsets: the first and last whose meaning its rule knows, later ones too as far as they mean
            the same; None without a rule.
        subtracts: inputs that it subtracts from others.
        bias: of an operator that absorbs what reaches it (its data is input 0, its weight input 1):
            which input holds its bias, or that an Add behind it does.
        channels: the axis of the channels of its data and of its output, where it absorbs.
        transposed: the attribute, if any, that says that its data lies transposed.
        picks: its output is entries of input 0 along its axis, at the indices in input 1.
        shift_from: the inputs that a shift of its output may come from.
        sums: its results may be nothing but rounding where they should be zero.
        weighs: its constants are factors: an infinite entry is a training run gone wrong.
        multiplies: it is a product, a convolution or attention, whose kernel has to compute in
            the precision that was asked for.
        moves: it only moves numbers.
        rearranges: it moves all of them, none twice: a chain of these may be the identity.
        slides: it slides a window over places: their number decides what it covers.
        fills: its constants may be infinite, or no numbers: they mark places.
        joins: its inputs may each bring a gauge of their own: it waits for all that do.
        guard: what has to hold of a scale and shift that pass or are absorbed, for readers.
        uniform: it treats all places along an axis alike, but for what its constants say of them.
        measures: it is a norm that measures its data, which nothing may change; its own scale and
            shift take in what reaches its output.
    """

    group: Group = "other"
    opsets: tuple[int, int] | None = None
    subtracts: tuple[int, ...] = ()
    bias: int | Literal["behind"] | None = None
    channels: int = -1
    transposed: str = ""
    picks: bool = False
    shift_from: Literal["first", "every", "computed"] = "first"
    sums: bool = False
    weighs: bool = False
    multiplies: bool = False
    moves: bool = False
    rearranges: bool = False
    slides: bool = False
    fills: bool = False
    joins: bool = False
    guard: str = ""
    uniform: bool = False
    measures: bool = False

    @property
    def absorbs(self) -> bool:
        """Whether its constants take in whatever reaches it, so that it passes nothing on."""
        return self.bias is not None or self.measures

    @property
    def linear(self) -> bool:
        """Whether it multiplies its data by a weight."""
        return self.absorbs and not self.measures

    @property
    def adds(self) -> bool:
        """Whether it is a sum of its inputs: a shift of one ends in another, or in both."""
        return self.sums and self.shift_from == "every"

    def input_channels(self, node: ir.Node) -> int:
        """The axis of the channels of its data."""
        transposed = node.attributes.get_int(self.transposed, 0)
        return -1 - self.channels if transposed else self.channels


def absorbing(
    opsets: tuple[int, int],
    *,
    bias: int | Literal["behind"],
    channels: int,
    transposed: str = "",
    slides: bool = False,
    guard: str = "",
) -> Operator:
    """A linear operator with weights."""
    return Operator(
        "products",
        opsets,
        bias=bias,
        channels=channels,
        transposed=transposed,
        slides=slides,
        guard=guard,
        sums=True,
        weighs=True,
        multiplies=True,
        uniform=True,
    )
