"""Affines are values: composed, inverted and re-arranged exactly as the tensors they act on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from un_deploy.graph.analysis.affine_map import Affine, align
from un_deploy.graph.analysis.dims import reshape_groups


def affine(shape: tuple[int, ...], seed: int = 0) -> Affine:
    rng = np.random.default_rng(seed)
    return Affine(rng.uniform(0.5, 1.5, shape), rng.standard_normal(shape))


def test_it_applies_scale_then_shift() -> None:
    per_channel = Affine(np.array([[2.0, 3.0]]), np.array([[10.0]]))
    assert per_channel(np.array([[1.0, 1.0], [2.0, 2.0]])).tolist() == [[12, 13], [14, 16]]
    assert per_channel.varies == {1}
    assert per_channel.rank == 2


def test_after_applies_its_argument_first() -> None:
    double, plus_one = Affine(np.array(2.0), np.array(0.0)), Affine(np.array(1.0), np.array(1.0))
    assert double.after(plus_one)(np.array(3.0)) == 8
    assert plus_one.after(double)(np.array(3.0)) == 7


def test_scale_and_shift_have_one_rank() -> None:
    with pytest.raises(ValueError, match="ranks differ"):
        Affine(np.ones((1, 2)), np.zeros(2))


def test_identity() -> None:
    identity = Affine.identity(2)
    assert identity.is_identity and identity.varies == frozenset()
    assert not Affine(np.ones((1, 2)), np.array([[0.0, 1.0]])).is_identity
    assert not Affine(np.array([[1.0, 2.0]]), np.zeros((1, 1))).is_identity
    assert Affine(np.ones((1, 5)), np.zeros((1, 5))).is_identity


def test_same_sees_one_channel_in_a_million() -> None:
    one = affine((1, 768))
    for field in ("scale", "shift"):
        moved = {"scale": one.scale.copy(), "shift": one.shift.copy()}
        moved[field][0, 700] *= 1 + 1e-6
        assert not one.same(Affine(**moved))
    assert one.same(Affine(one.scale * (1 + 1e-14), one.shift * (1 - 1e-14)))


def test_same_compares_what_broadcasts_and_not_other_ranks() -> None:
    assert Affine.identity(2).same(Affine(np.ones((1, 3)), np.zeros((1, 3))))
    assert not Affine.identity(2).same(Affine.identity(3))


def test_align_adds_and_drops_only_axes_of_size_one() -> None:
    assert align(np.ones(4), 3).shape == (1, 1, 4)
    assert align(np.ones((1, 1, 4)), 1).shape == (4,)
    with pytest.raises(ValueError, match="does not fit rank 1"):
        align(np.ones((2, 4)), 1)
    assert affine((4,)).aligned(2).varies == {1}


@pytest.mark.parametrize(
    ("before", "after", "varies"),
    [
        ((2, 3, 8), (2, 3, 2, 4), {2, 3}),
        ((2, 3, 2, 4), (2, 3, 8), {2}),
        ((2, 3, 8), (6, 8), {1}),
        ((2, 1, 8), (2, 8), {1}),
        ((6, 8), (2, 3, 8), {2}),
    ],
)
def test_reshape_keeps_the_order_of_elements(
    before: tuple[int, ...], after: tuple[int, ...], varies: set[int]
) -> None:
    shape = [1] * len(before)
    for axis in range(2 if before == (2, 3, 2, 4) else len(before) - 1, len(before)):
        shape[axis] = before[axis]
    gauge = affine(tuple(shape))
    groups = reshape_groups(before, after)
    assert groups is not None
    moved = gauge.reshape(groups, before, after)
    assert moved is not None and moved.varies == varies
    x = np.random.default_rng(1).standard_normal(before)
    np.testing.assert_array_equal(moved(x.reshape(after)), gauge(x).reshape(after))


def test_reshape_of_a_varying_axis_of_unknown_size_is_none() -> None:
    groups = [((0, 1), (0,))]
    assert affine((1, 4)).reshape(groups, (None, 4), (None,)) is None
    assert Affine.identity(2).reshape(groups, (None, 4), (None,)) is not None


SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


@st.composite
def affines(draw: st.DrawFn, shape: tuple[int, ...]) -> Affine:
    """Constant along some axes, each of scale and shift along axes of its own."""

    def one() -> tuple[int, ...]:
        return tuple(size if draw(st.booleans()) else 1 for size in shape)

    rng = np.random.default_rng(draw(st.integers(0, 99)))
    sign = rng.choice([-1.0, 1.0])
    return Affine(sign * rng.uniform(0.5, 1.5, one()), rng.standard_normal(one()))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_chain_of_affines_and_moves_is_what_it_does_to_a_tensor(data: st.DataObject) -> None:
    """Compose, invert, transpose and reshape at random, beside a tensor that is treated alike."""
    shape = data.draw(SHAPES)
    x = y = np.random.default_rng(0).standard_normal(shape)
    chain = Affine.identity(len(shape))
    for _ in range(data.draw(st.integers(1, 6))):
        step = data.draw(st.sampled_from(["after", "inverse", "transpose", "reshape"]))
        if step == "after":
            following = data.draw(affines(x.shape))
            chain, y = following.after(chain), following(y)
        elif step == "inverse":
            chain, x, y = chain.inverse(), y, x
        elif step == "transpose":
            order = data.draw(st.permutations(range(x.ndim)))
            chain = chain.each(lambda a, order=order: a.transpose(order))
            x, y = x.transpose(order), y.transpose(order)
        else:
            target = data.draw(st.permutations(list(x.shape)).map(merged))
            groups = reshape_groups(x.shape, target)
            assert groups is not None
            moved = chain.reshape(groups, x.shape, target)
            assert moved is not None
            chain, x, y = moved, x.reshape(target), y.reshape(target)
        np.testing.assert_allclose(chain(x), y, rtol=1e-9, atol=1e-9)


def merged(shape: list[int]) -> tuple[int, ...]:
    """Another shape of as many elements: the first two axes as one."""
    return (shape[0] * shape[1], *shape[2:]) if len(shape) > 1 else tuple(shape)
