"""Symbolic dimensions: equality that never guesses, and the axes that a reshape keeps apart."""

import pytest
import sympy

from un_deploy.graph.analysis.dims import Shape, reshape_groups, same_dim, same_shape, symbol

B, N = symbol("batch"), symbol("tokens")


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (3, 3, True),
        (3, 4, False),
        (B, symbol("batch"), True),
        (B, N, False),
        (B, 1, False),
        (B * (N + 1), B * N + B, True),
        (None, None, False),
        (None, 3, False),
    ],
)
def test_dimensions_are_equal_only_where_every_size_agrees(a, b, equal):
    assert same_dim(a, b) is equal
    assert same_dim(b, a) is equal


def test_shapes_are_equal_only_when_known_and_of_one_rank():
    assert same_shape((B, 2 * N), (B, N + N))
    assert not same_shape((B, N), (B, N, 1))
    assert not same_shape((B, None), (B, None))
    assert not same_shape(None, None)


@pytest.mark.parametrize(
    ("before", "after", "groups"),
    [
        ((B, N, 768), (B, N, 12, 64), [((0,), (0,)), ((1,), (1,)), ((2,), (2, 3))]),
        ((B, N, 12, 64), (B * N, 768), [((0, 1), (0,)), ((2, 3), (1,))]),
        ((B, N + 1, 8), (B * N + B, 8), [((0, 1), (0,)), ((2,), (1,))]),
        ((6, 4), (4, 6), [((0, 1), (0, 1))]),
        ((B, 8), (B, 8, 1, 1), [((0,), (0,)), ((1,), (1,)), ((), (2,)), ((), (3,))]),
        ((1, B, 8), (1, B, 8), [((0,), (0,)), ((1,), (1,)), ((2,), (2,))]),
        ((B, 1, 8), (B, 8), [((0,), (0,)), ((1,), ()), ((2,), (1,))]),
        ((2, 1, 3), (6,), [((0, 1, 2), (0,))]),
        ((), (1,), [((), (0,))]),
        ((), (), []),
    ],
)
def test_reshape_groups_are_the_finest(before: Shape, after: Shape, groups):
    assert reshape_groups(before, after) == groups


@pytest.mark.parametrize(
    ("before", "after"),
    [((0, 3), (0, 3)), ((B, 0), (None,)), ((4,), (5,)), ((B, 4), (B, 5)), ((2, 6, N), (2, 5, N))],
)
def test_reshape_groups_of_zero_or_different_products_are_none(before, after):
    assert reshape_groups(before, after) is None


HALF = sympy.floor(N / 2)


@pytest.mark.parametrize(
    ("before", "after", "groups"),
    [
        ((B, None), (B, None), [((0,), (0,)), ((1,), (1,))]),
        ((B, N, 8), (B, None, 2, 4), [((0,), (0,)), ((1,), (1,)), ((2,), (2, 3))]),
        ((B, N, 8), (B, HALF, 2, 8), [((0,), (0,)), ((1,), (1, 2)), ((2,), (3,))]),
        ((B, N, N, 6), (None, 4, 6), [((0, 1, 2), (0, 1)), ((3,), (2,))]),
        ((None, 6), (None, 2, 3), [((0,), (0,)), ((1,), (1, 2))]),
        ((B, 6, None), (2 * B, 3, None), [((0, 1), (0, 1)), ((2,), (2,))]),
        ((None, 4), (None,), [((0, 1), (0,))]),
        ((4,), (4, None), [((0,), (0,)), ((), (1,))]),
    ],
)
def test_where_sizes_are_open_what_agrees_at_both_ends_corresponds(before, after, groups):
    assert reshape_groups(before, after) == groups
