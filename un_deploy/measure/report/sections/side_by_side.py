"""Aligns two sequences of kernels or layers, LN's and UN folded's, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Protocol, TypeVar

from un_deploy.measure.report.page_elements import Cell, Table


class Named(Protocol):
    """What can be aligned."""

    @property
    def what(self) -> str:
        """What it is and what it fuses: where that is the same, two stand in one row."""
        ...


T = TypeVar("T", bound=Named)
Pair = tuple[T | None, T | None]


def aligned(left: Sequence[T], right: Sequence[T]) -> Iterator[Pair[T]]:
    """Both sequences in order, side by side where they fuse the same; None where one has none."""
    whats = ([one.what for one in left], [one.what for one in right])
    for _, i, to_i, j, to_j in SequenceMatcher(None, *whats, autojunk=False).get_opcodes():
        yield from zip_longest(left[i:to_i], right[j:to_j])


def says(pairs: Sequence[Pair[T]], things: str) -> str:
    """How many there are, and how many of them are alike."""
    same = sum(map(_same, pairs))
    both = sum(None not in pair for pair in pairs) - same
    ln, un = (sum(pair[side] is not None for pair in pairs) for side in (0, 1))
    return (
        f"{ln} {things} of LN beside {un} of UN folded, in the order in which they run: {same} of "
        f"the same kind that fuse the same operators, {both} that fuse others, "
        f"{ln - same - both} only in LN, {un - same - both} only in UN folded. They are aligned by "
        "what they fuse; that two stand in one row does not make them equal in their sizes."
    )


def table(
    pairs: Sequence[Pair[T]],
    caption: str,
    number: str,
    cells: Callable[[T], tuple[str | Cell, str | Cell]],
) -> Table:
    """A row for each pair: of each what it is and, headed `number`, its number."""
    rows = tuple(
        (_mark(pair), *(cell for one in pair for cell in (cells(one) if one else ("", ""))))
        for pair in pairs
    )
    marks = tuple("" if _same(p) else "bad" if None in p else "muted" for p in pairs)
    return Table(caption, ("row", "LN", f">{number}", "UN folded", f">{number}"), rows, marks)


def _same(pair: Pair[T]) -> bool:
    left, right = pair
    return left is not None and right is not None and left.what == right.what


def _mark(pair: Pair[T]) -> str:
    if None in pair:
        return "only LN" if pair[1] is None else "only UN"
    return "same" if _same(pair) else "differs"
