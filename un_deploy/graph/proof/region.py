"""What is compared: a tensor of the folded graph, and the original's slice that it stands for.

How that is found, and what both are computed from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.proof.kept_constants import KeptConstants
from un_deploy.graph.proof.proven_claims import ProvenClaims
from un_deploy.graph.proof.sizes import Sizes
from un_deploy.graph.proof.slices import OutsideError, Slice, leading_to, slice_of


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


class Regions:
    """Finds the region that tells of a claim: from tensors of which claims are proven."""

    def __init__(self, sources: Sources, kept: KeptConstants, proven: ProvenClaims) -> None:
        self._sources = sources
        self._kept = kept
        self._proven = proven

    def of(self, value: ir.Value, claim: Claim, *, to_sizes: bool = False) -> Region:
        """From the tensor's other claims, as behind a norm that is gone, or from before it.

        Args:
            value: of the folded graph.
            claim: what it is claimed to stand for.
            to_sizes: and from the shapes of tensors.

        Raises:
            OutsideError: the original computes the tensor from something else.
        """
        target = self._sources.old_tensors[claim.original]
        alone = Slice(value, (), (value,), ())
        if self._proven.has_numbers(value):
            with suppress(OutsideError):
                return self._between(alone, target, claim, to_sizes)
        if value.producer() is None:
            raise OutsideError(f"{value.name!r} is an input")
        with suppress(OutsideError):
            new = slice_of(value, self._proven.has_numbers, self._kept.is_constant)
            return self._between(new, target, claim, to_sizes)
        # Where a layout went too, the nearest tensors may stand for none that leads to the target.
        before = leading_to(target)

        def is_leaf(leaf: ir.Value) -> bool:
            return any(self._proven.tells_numbers(old, {leaf}) for old in before)

        new = slice_of(value, is_leaf, self._kept.is_constant)
        return self._between(new, target, claim, to_sizes)

    def _between(self, new: Slice, target: ir.Value, claim: Claim, to_sizes: bool) -> Region:
        leaves = dict.fromkeys(new.leaves).keys()

        def region(*, to_sizes: bool) -> Region:
            old = slice_of(
                target,
                lambda v: self._proven.tells_numbers(v, leaves),
                self._sources.constants.__contains__,
                to_sizes=to_sizes,
            )
            return Region(new, old, claim, self._proven.on_leaves(leaves, old.leaves))

        try:
            return region(to_sizes=to_sizes)
        except OutsideError:  # the shape of a tensor elsewhere may say how to reshape
            return region(to_sizes=True)
