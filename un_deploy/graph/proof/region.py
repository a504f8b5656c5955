"""What is compared: a tensor of the folded graph, and the original's slice that it stands for.

And what both are computed from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.proof.sizes import Sizes
from un_deploy.graph.proof.slices import Slice


@dataclass(frozen=True)
class Region:
    """A claim on one tensor, and what computes it on either side.

    Attributes:
        new: what computes the tensor in the folded graph; without operators where two claims on
            one tensor are compared with each other.
        old: what computes the claimed tensor in the original, from tensors that the leaves of
            `new` are claimed to stand for.
        claim: what the new tensor is claimed to stand for.
        leaves: of each leaf of `new` its first claims, and those on which `old` stands.
    """

    new: Slice
    old: Slice
    claim: Claim
    leaves: Mapping[ir.Value, tuple[Claim, ...]]

    @property
    def nodes(self) -> Iterator[ir.Node]:
        """The operators of both sides."""
        yield from self.old.nodes
        yield from self.new.nodes

    @property
    def used(self) -> list[tuple[ir.Value, Claim]]:
        """The leaves' claims on which the original's side stands."""
        names = {str(leaf.name) for leaf in self.old.leaves}
        return [(v, c) for v, claims in self.leaves.items() for c in claims if c.original in names]


class NoProofError(Exception):
    """A region cannot be compared, or differs.

    Attributes:
        differs: it was seen to differ.
    """

    def __init__(self, text: str, *, differs: bool) -> None:
        super().__init__(text)
        self.differs = differs


@dataclass(frozen=True)
class Sources:
    """What regions of one pair of graphs are computed from.

    Attributes:
        original, shapes, constants: the original, and what is known of it.
        old_tensors: its tensors by name.
        exact: the exact numbers of a constant of the folded graph.
    """

    original: ir.Model
    shapes: Shapes
    constants: Constants
    old_tensors: Mapping[str, ir.Value]
    exact: Callable[[ir.Value], Exact]

    def sizes(
        self, first: int, others: int, cut: Mapping[int, int], bound: Mapping[int, int]
    ) -> Sizes:
        """See `Sizes`."""
        return Sizes(self.original, self.shapes, self.constants, first, others, cut, bound)
