"""Computes both sides of a region and compares them.

Numbers are drawn for the new tensors and old = gauge(new) gives the original's, so nothing is
inverted. Then old_out = gauge_out(new_out) must hold to the rounding of float64, whatever the
tensors' types, since the folded constants are taken unrounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain, combinations, islice, product

import numpy as np
import onnx_ir as ir
import sympy

from un_deploy.graph.analysis.dims import Dim
from un_deploy.graph.analysis.evaluators import Unknown
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.proof.draw import Draw, original_of
from un_deploy.graph.proof.region import NoProofError, Region, Sources
from un_deploy.graph.proof.sizes import NoSizeError, Sizes, merged
from un_deploy.graph.proof.slices import Evaluation
from un_deploy.graph.proof.tables import RegionConstants
from un_deploy.graph.proof.windows import LEAST, reach, strides, windows

Array = np.ndarray

#: What |old - gauge(new)| may be, as a share of the terms that are summed. float64 rounds to 1e-16;
#: sums of ten thousand terms and gauges composed over a hundred norms stay below 1e-13.
TOLERANCE = 1e-10

#: Sizes of open dimensions, of the first axis and of others: small, as images and sentences need
#: them, and long. Where a dimension is open, two of them must give a comparison.
_OPEN = ((3, 5), (4, 32), (16, 16), (4, 7), (4, 64), (4, 128), (3, 512), (512, 512))
_COMPARED = 2

#: How often open dimensions are bound to sizes that are fixed elsewhere.
_MOST_BOUND = 400

#: Integer constants of more entries are no bounds and no shapes.
_FEW = 8


def compare_region(region: Region, sources: Sources) -> float:
    """The largest |old - gauge(new)|, as a share of the largest entry.

    Raises:
        NoProofError: an entry is off by more than `TOLERANCE` of its terms, or cannot be told.
    """
    if windows(region.old.nodes) != windows(region.new.nodes):
        # They may agree at some sizes and not at others.
        raise NoProofError("slides other windows than the original", differs=False)
    bench = _Bench(region, sources)
    if bench.narrowings[0] != bench.narrowings[1]:
        raise NoProofError("rounds to other types than the original", differs=False)
    reason, worst, compared = "no sizes fit", 0.0, 0
    for sizes, stretched in bench.choices:
        try:
            worst = max(worst, bench.at(sizes, stretched=stretched))
        except (NoSizeError, Unknown, ValueError) as error:  # what does not broadcast
            reason = str(error) or reason
            continue
        compared += 1
        if compared == _COMPARED or not sizes.opened or bench.one_size_shows_all:
            return worst
    if not compared:
        raise NoProofError(f"cannot be compared with the original: {reason}", differs=False)
    return worst


class _Bench:
    """Computes one region, at one choice of sizes after the other."""

    def __init__(self, region: Region, sources: Sources) -> None:
        self.region = region
        self._sources = sources
        opset = sources.original.opset_imports.get("", 0)
        self._evaluation = Evaluation(opset)
        self._used = region.used
        old, new = region.old, region.new
        known = sources.constants
        self._of_old = RegionConstants(old.nodes, old.constants, lambda v: Exact.of(v, known))
        self._of_new = RegionConstants(new.nodes, new.constants, sources.exact)

    @property
    def narrowings(self) -> tuple[list[str], list[str]]:
        """The narrower types that both sides cast to."""
        old, new = self.region.old, self.region.new
        both = (self._evaluation.narrowings(side.nodes, self._dtype) for side in (old, new))
        return next(both), next(both)

    def _dtype(self, value: ir.Value) -> ir.DataType | None:
        """Its own type, or that of what it stands for: behind a loop a tensor has none."""
        claimed = (self._old(claim) for claim in self.region.leaves.get(value, ()))
        told = map(self._sources.shapes.dtype, (value, *claimed))
        return next((dtype for dtype in told if dtype is not None), None)

    @cached_property
    def is_uniform(self) -> bool:
        """Whether the operators treat all places along an axis alike."""
        return all(operator_named(node.op_type).uniform for node in self.region.nodes)

    @cached_property
    def one_size_shows_all(self) -> bool:
        """Whether they do, and no window may reach the border at one size and not at another."""
        return self.is_uniform and not windows(self.region.nodes)

    @cached_property
    def cut(self) -> Mapping[int, int]:
        """Static sizes of the leaves that no constant has, and the smaller ones to take."""
        if not self.is_uniform:
            return {}
        least = max(map(reach, self.region.nodes), default=LEAST)
        claims = [self.region.claim, *(c for claims in self.region.leaves.values() for c in claims)]
        gauges = [claim.gauge for claim in claims if claim.gauge is not None]
        kept = self._constant_sizes | {n for g in gauges for n in (*g.scale.shape, *g.shift.shape)}
        # What is left over behind the last window stays the same.
        cut = {size: least + (size - least) % self._stride for size in self._leaf_sizes - kept}
        return {size: smaller for size, smaller in cut.items() if size > smaller}

    @cached_property
    def _stride(self) -> int:
        return math.lcm(*(s for node in self.region.nodes for s in strides(node)))

    @cached_property
    def _leaf_dims(self) -> list[Dim]:
        """The dimensions of the tensors that the region starts from."""
        shapes = (self._sources.shapes.of(self._old(claim)) or () for _, claim in self._used)
        return [dim for shape in shapes for dim in shape]

    @cached_property
    def _leaf_sizes(self) -> set[int]:
        """The static ones."""
        return {dim for dim in self._leaf_dims if isinstance(dim, int)}

    @cached_property
    def _divisors(self) -> set[int]:
        """What others are divided by, as rows of a Reshape are: with multiples they are whole."""
        open_ = (dim for dim in self._leaf_dims if isinstance(dim, sympy.Expr))
        return {int(ratio.q) for dim in open_ for ratio in dim.atoms(sympy.Rational)}

    @cached_property
    def _constant_sizes(self) -> set[int]:
        return {
            size for side in (self._of_old, self._of_new) for shape in side.shapes for size in shape
        }

    @cached_property
    def _bounds(self) -> set[int]:
        """What bounds or shapes the constants may state."""
        few = (array for side in (self._of_old, self._of_new) for array in side.small(_FEW))
        whole = (array for array in few if array.dtype.kind == "i")
        return {int(number) for array in whole for number in array.ravel() if 1 < number < 1024}

    @cached_property
    def _wholes(self) -> set[int]:
        """What a Reshape may merge open axes into, by themselves or with one of a fixed size."""
        fixed = (self._leaf_sizes | {1}) - {0}
        return {n // size for n in self._bounds for size in fixed if n % size == 0}

    @property
    def choices(self) -> Iterator[tuple[Sizes, bool]]:
        """Sizes to try, the cheapest first; at last with open ones bound to what others ask.

        With each comes whether a lookup may have more indices than the graph gives it.
        """
        ways: list[tuple[Mapping[int, int], bool]] = [({}, False)]
        if self._looks_up:
            ways.insert(0, ({}, True))
        if self.cut:
            ways.insert(0, (self.cut, False))
        for cut, stretched in ways:
            opened = 0
            for first, others in _OPEN:
                sizes = self._sources.sizes(first, others, cut, {})
                yield sizes, stretched
                opened = max(opened, sizes.opened)
                if not opened:
                    break
            bindings = self._bindings(opened), merged(self._wholes, opened, self._stride)
            for bound in chain(*(islice(each, _MOST_BOUND) for each in bindings)):
                yield self._sources.sizes(*_OPEN[0], cut, bound), stretched

    def _bindings(self, opened: int) -> Iterator[Mapping[int, int]]:
        """Up to three open dimensions with a size that is fixed elsewhere, or divides one."""
        known = self._constant_sizes | self._bounds | self._leaf_sizes | self._divisors
        fixed = [*sorted(known - {0, 1}), *({1} & self._leaf_sizes)]
        # At a size of 1 whatever is broadcast looks right, so it comes last.
        for count, with_one in product((1, 2, 3), (False, True)):
            for which in combinations(range(opened), count):
                for sizes in product(fixed, repeat=count):
                    if (1 in sizes) == with_one:
                        yield dict(zip(which, sizes, strict=True))

    @cached_property
    def _looks_up(self) -> bool:
        """Whether rows of tables are looked up, and the rest treats all places alike."""
        operators = [operator_named(node.op_type) for node in self.region.nodes]
        return not self.is_uniform and all(one.uniform or one.picks for one in operators)

    def at(self, sizes: Sizes, *, stretched: bool) -> float:
        """Compare at these sizes, as often as it takes to look up every row of a table.

        Raises:
            NoSizeError: they do not fit, or leave nothing to compare.
            Unknown: an operator cannot be evaluated.
            NoProofError: the two sides differ.
        """
        draw, worst, turn = Draw(self.region, sizes, stretched=stretched), 0.0, 0
        idle = set(self.region.leaves)
        while turn < draw.rounds:
            values = self._drawn(draw, turn)
            worst = max(worst, self._compared(values, sizes.empty))
            idle = {leaf for leaf in idle if self._is_idle(leaf, values)}
            turn += 1
        if idle:
            name = min(str(leaf.name) for leaf in idle)
            raise NoSizeError(f"{name!r} plays no part at these sizes")
        return worst

    def _old(self, claim: Claim) -> ir.Value:
        return self._sources.old_tensors[claim.original]

    def _drawn(self, draw: Draw, turn: int) -> dict[ir.Value, Array]:
        """Numbers for the leaves of both sides."""
        values: dict[ir.Value, Array] = {}
        for leaf, claims in self.region.leaves.items():
            values[leaf] = draw.leaf(leaf, self._old(claims[0]), turn)
        for leaf, claim in self._used:
            values[self._old(claim)] = original_of(values[leaf], claim)
        values.update((shape, draw.shape(shape)) for shape in self.region.old.sizes)
        if strangers := draw.drawn - {leaf for leaf, _ in self._used}:
            raise NoSizeError(f"the original does not read {min(str(v.name) for v in strangers)!r}")
        return values

    def _run_old(self, values: Mapping[ir.Value, Array]) -> Array:
        return self._evaluation.run(self.region.old, self._of_old.beside(values))

    def _compared(self, values: Mapping[ir.Value, Array], empty: bool) -> float:
        # One side after the other: the constants of both are never in memory at once.
        old, region = self._run_old(values), self.region
        try:
            new = self._evaluation.run(region.new, self._of_new.beside(values))
        except (Unknown, ValueError) as error:
            text = f"cannot be computed where the original can: {error}"
            raise NoProofError(text, differs=False) from error
        if old.shape != new.shape:
            raise NoProofError(f"has the shape {new.shape}, not {old.shape}", differs=True)
        if region.claim.shape_only:
            return 0.0
        found = original_of(new, region.claim)
        if not old.size and not empty:
            raise NoSizeError("nothing is left to compare at these sizes")
        if old.dtype.kind != "f":
            if not np.array_equal(old, found):
                raise NoProofError("holds other numbers than the original's", differs=True)
            return 0.0
        return self._largest(old, found, new, values)

    def _is_idle(self, leaf: ir.Value, values: Mapping[ir.Value, Array]) -> bool:
        """Whether a tensor that the region starts from plays no part, where operators choose."""
        tensors = [self._old(claim) for value, claim in self._used if value is leaf]
        if self.is_uniform or self.region.claim.shape_only or not tensors:
            return False
        if values[leaf].dtype.kind != "f" or not values[leaf].size:
            return False
        if all(tensor in self._sources.constants for tensor in tensors):
            return False
        spoilt = {**values, **{t: np.full_like(values[t], np.nan) for t in tensors}}
        return not np.any(np.isnan(self._run_old(spoilt)))

    def _largest(
        self, old: Array, found: Array, new: Array, values: Mapping[ir.Value, Array]
    ) -> float:
        """The largest difference, as a share of the largest entry; entry by entry it is bounded."""
        if old.size and np.all(np.isnan(old)):
            raise NoSizeError("nothing but NaN is left to compare")
        alike = (old == found) | (np.isnan(old) & np.isnan(found))
        with np.errstate(invalid="ignore"):
            error = np.where(alike, 0.0, np.abs(old - found))
        infinite = ~np.isfinite(error)  # on one side alone, or of another sign
        if np.any(infinite) or not np.all(alike | (error <= TOLERANCE * np.abs(old))):
            terms = self._evaluation.magnitude(self.region.old, self._of_old.beside(values))
            terms = np.fmax(terms, _terms_of(new, self.region.claim))
            bad = infinite | ~(alike | (error <= TOLERANCE * terms))
            if np.any(bad):
                place = tuple(int(i) for i in np.argwhere(bad)[0])
                raise NoProofError(
                    f"gives {found[place]:.9g} where the original gives {old[place]:.9g} "
                    f"(entry {list(place)} of a drawn example)",
                    differs=True,
                )
        finite = np.abs(old[np.isfinite(old)])
        return float(np.max(error, initial=0)) / (float(np.max(finite, initial=0)) or 1.0)


def _terms_of(new: Array, claim: Claim) -> Array:
    """The absolute values of what the claim sums: a shift may take away nearly all of a number."""
    if claim.gauge is None or new.dtype.kind != "f":
        return np.abs(new)
    return np.abs(claim.gauge.scale * new) + np.abs(claim.gauge.shift)
