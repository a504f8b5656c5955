"""The arithmetic of tensor dimensions: integers, symbolic expressions and the unknown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TypeAlias

import sympy

Dim: TypeAlias = int | sympy.Expr | None
"""The size of one axis: a number, an expression over `symbol`s, or None where nothing is known."""
Shape: TypeAlias = tuple[Dim, ...]
AxisGroups: TypeAlias = list[tuple[tuple[int, ...], tuple[int, ...]]]


def symbol(name: str) -> sympy.Symbol:
    """The dimension of this name: a positive integer, the same wherever the name is the same."""
    return sympy.Symbol(name, integer=True, positive=True)


def simplest(dim: Dim) -> Dim:
    """The same dimension, as an int where it is one, and None where it cannot be a size."""
    if isinstance(dim, sympy.Expr):
        if not dim.is_Integer:
            return dim if dim.is_finite is not False else None
        dim = int(dim)
    return dim if dim is None or dim >= 0 else None


def same_dim(a: Dim, b: Dim) -> bool:
    """Whether two dimensions are equal for every value of their symbols.

    An unknown dimension equals nothing, not even itself.
    """
    if a is None or b is None:
        return False
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return a == b or sympy.expand(sympy.sympify(a) - b) == 0


def same_shape(a: Shape | None, b: Shape | None) -> bool:
    """Whether two shapes are known, of one rank and equal dimension by dimension."""
    if a is None or b is None or len(a) != len(b):
        return False
    return all(same_dim(x, y) for x, y in zip(a, b, strict=True))


def reshape_groups(before: Shape, after: Shape) -> AxisGroups | None:
    """Which axes of a reshape's input correspond to which axes of its output.

    A reshape keeps the order of the elements, so wherever the product of the leading dimensions
    is the same on both sides, the axes before and after that point correspond separately.

    Returns:
        The finest groups of axes with equal products, in order: ``(B, N, 768)`` to
        ``(B, N, 12, 64)`` gives ``[((0,), (0,)), ((1,), (1,)), ((2,), (2, 3))]``. An axis of size
        1 on a border sits alone, beside an axis of size 1 or nothing. Where a size is unknown, or
        the products are not seen to be equal, the axes between what agrees at both ends are one
        group. None where a size is zero, or the products differ.
    """
    if any(dim == 0 for dim in (*before, *after)):
        return None
    groups = _all_groups(before, after)
    if groups is not None:
        return groups
    first, first_after = _agreeing(before, after)
    last, last_after = _agreeing(before[first:][::-1], after[first_after:][::-1])
    end, end_after = len(before) - last, len(after) - last_after
    between = before[first:end], after[first_after:end_after]
    if all(isinstance(dim, int) for dim in (*between[0], *between[1])):
        return None
    head = _all_groups(before[:first], after[:first_after])
    tail = _all_groups(before[end:], after[end_after:])
    assert head is not None and tail is not None
    middle = tuple(range(first, end)), tuple(range(first_after, end_after))
    moved = [
        (tuple(axis + end for axis in old), tuple(axis + end_after for axis in new))
        for old, new in tail
    ]
    return [*head, middle, *moved]


def _agreeing(before: Shape, after: Shape) -> tuple[int, int]:
    """How many of the first axes have a common product, as many as can be told."""
    cuts_before, cuts_after = (
        _cuts(list(takewhile(lambda dim: dim is not None, shape))) for shape in (before, after)
    )
    last = [product for product in cuts_before if product in cuts_after][-1]
    return cuts_before[last][0], cuts_after[last][0]


def _all_groups(before: Shape, after: Shape) -> AxisGroups | None:
    """The finest groups; None where a dimension is unknown, or the products differ."""
    if any(dim is None for dim in (*before, *after)):
        return None
    cut_before, cut_after = _cuts(before), _cuts(after)
    common = [product for product in cut_before if product in cut_after]
    if list(cut_before)[-1] != list(cut_after)[-1]:
        return None
    groups: AxisGroups = []
    for product, following in zip(common, [*common[1:], None], strict=True):
        (end_before, next_before) = cut_before[product]
        (end_after, next_after) = cut_after[product]
        groups += _pair_ones(range(end_before, next_before), range(end_after, next_after))
        if following is not None:
            groups.append(
                (
                    tuple(range(next_before, cut_before[following][0])),
                    tuple(range(next_after, cut_after[following][0])),
                )
            )
    return groups


def _cuts(shape: Sequence[Dim]) -> dict[sympy.Expr, tuple[int, int]]:
    """Each product of leading dimensions, with the first and the last axis it holds before.

    The two differ by the axes of size 1 that follow.
    """
    product = sympy.Integer(1)
    cuts = {product: (0, 0)}
    for axis, dim in enumerate(shape):
        product = sympy.expand(product * dim)
        first, _ = cuts.get(product, (axis + 1, 0))
        cuts[product] = (first, axis + 1)
    return cuts


def _pair_ones(before: range, after: range) -> AxisGroups:
    paired = min(len(before), len(after))
    groups: AxisGroups = [((b,), (a,)) for b, a in zip(before, after, strict=False)]
    groups += [((axis,), ()) for axis in before[paired:]]
    groups += [((), (axis,)) for axis in after[paired:]]
    return groups
