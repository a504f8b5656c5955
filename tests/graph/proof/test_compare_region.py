"""Both sides of a region are computed from numbers that are drawn, and must agree."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import NORM, build
from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.proof.compare_region import TOLERANCE, compare_region
from un_deploy.graph.proof.draw import original_of
from un_deploy.graph.proof.region import NoProofError, Region, Sources
from un_deploy.graph.proof.slices import slice_of

Wrong = Callable[[np.ndarray], np.ndarray]


def compared(
    old: ir.Model,
    new: ir.Model,
    claim: Claim | None = None,
    **gauges: Gauge | None,
) -> float:
    """Compare y of two graphs, whose leaves stand for tensors of the same names.

    Args:
        old, new: the original and another graph.
        claim: what y stands for; by default y itself.
        gauges: old = gauge(new) by leaf; x itself where nothing is given.
    """
    claims = {name: (Claim(name, gauge),) for name, gauge in (gauges or {"x": None}).items()}
    constants = Constants(old)
    tensors = {str(v.name): v for v in (*old.graph.inputs, *old.graph.initializers.values())}
    tensors |= {str(v.name): v for node in old.graph for v in node.outputs}
    sources = Sources(old, Shapes(old), constants, tensors, Exact.stored)
    slices = [
        slice_of(model.graph.outputs[0], lambda v: v.name in claims, lambda v: v.is_initializer())
        for model in (new, old)
    ]
    leaves = {leaf: claims[str(leaf.name)] for leaf in slices[0].leaves}
    return compare_region(Region(*slices, claim or Claim("y"), leaves), sources)


def assert_differs(
    old: ir.Model, new: ir.Model, says: str | None = None, **gauges: Gauge | None
) -> None:
    with pytest.raises(NoProofError, match=says) as told:
        compared(old, new, **gauges)
    assert told.value.differs


def assert_cannot_tell(old: ir.Model, new: ir.Model, says: str, **gauges: Gauge | None) -> None:
    with pytest.raises(NoProofError, match=says) as told:
        compared(old, new, **gauges)
    assert not told.value.differs


def per_channel(scale: list[float], shift: list[float]) -> Gauge:
    return Affine(np.reshape(scale, (1, 1, -1)), np.reshape(shift, (1, 1, -1)))


SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
W = np.float32(np.random.default_rng(1).standard_normal((4, 5)))
A = np.float32([0.5, 2.0, -1.0, 1.5])
B = np.float32([1.0, -3.0, 0.0, 2.0])


def folded(weight: np.ndarray, bias: np.ndarray) -> ir.Model:
    body = "p = MatMul(x, w) y = Add(p, c)"
    return build(SIGNATURE, body, w=weight, c=bias)


NORM_AND_PRODUCT = build(SIGNATURE, f"{NORM} y = MatMul(n, w)", a=A, b=B, w=W)
WEIGHT, BIAS = A.astype(np.float64)[:, None] * W, B.astype(np.float64) @ W


def test_a_product_that_took_the_norm_in_agrees_to_the_rounding_of_float64() -> None:
    assert compared(NORM_AND_PRODUCT, folded(WEIGHT, BIAS)) < 1e-14 < TOLERANCE


@pytest.mark.parametrize(
    "wrong",
    [
        lambda w: w * 1.01,
        lambda w: -w,
        lambda w: w[:, [1, 0, 2, 3, 4]],
        lambda w: w[[1, 0, 2, 3]],
        lambda w: W.astype(np.float64),
        lambda w: w + 1e-8 * np.eye(4, 5),
    ],
)
def test_a_wrong_weight_differs(wrong: Wrong) -> None:
    assert_differs(NORM_AND_PRODUCT, folded(wrong(WEIGHT), BIAS), "where the original gives")


@pytest.mark.parametrize("wrong", [lambda c: c * 1.01, lambda c: 0 * c, lambda c: c[::-1].copy()])
def test_a_wrong_bias_differs(wrong: Wrong) -> None:
    assert_differs(NORM_AND_PRODUCT, folded(WEIGHT, wrong(BIAS)), "where the original gives")


def test_a_constant_that_is_not_finite_differs() -> None:
    for bad in (np.inf, np.nan):
        weight = WEIGHT.copy()
        weight[0, 0] = bad
        assert_differs(NORM_AND_PRODUCT, folded(weight, BIAS))


def test_gauges_of_leaves_and_result_are_applied() -> None:
    """x_old = 2 x + 1, y_old = 3 y: the product's weight is 2/3 of the old one."""
    old, new = (build(SIGNATURE, "y = MatMul(x, w)", w=w) for w in (W, W.astype(float) * 2 / 3))
    twice = per_channel([2.0] * 4, [0.0] * 4)
    thrice = Claim("y", per_channel([3.0] * 5, [0.0] * 5))
    assert compared(old, new, thrice, x=twice) < 1e-14
    assert_differs(old, new, x=twice)
    with pytest.raises(NoProofError):
        compared(old, new, thrice)


def test_a_channel_that_is_tiny_on_one_side_is_seen_on_the_other() -> None:
    """Its weight is huge in the folded graph, and 1 % of that is 1 % of the result."""
    scale = np.array([1.0, 1e-12, 1.0, 1.0])
    gauge = per_channel(list(scale), [0.0] * 4)
    old = build(SIGNATURE, "y = MatMul(x, w)", w=W)
    weight = scale[:, None] * W
    assert compared(old, build(SIGNATURE, "y = MatMul(x, w)", w=weight), x=gauge) < 1e-13
    weight[1] *= 1.01
    assert_differs(old, build(SIGNATURE, "y = MatMul(x, w)", w=weight), x=gauge)


def test_where_terms_cancel_the_sum_of_the_terms_is_the_measure() -> None:
    """(x + 1e6) - 1e6 keeps ten digits of x, and that is right."""
    huge = np.full(4, 1e6)
    signature = "double[B,3,4] x => double[B,3,4] y"
    old = build(signature, "k = Add(x, h) y = Sub(k, h)", h=huge)
    new = build(signature, "y = Add(x, z)", z=np.zeros(4))
    assert compared(old, new) < TOLERANCE
    assert_differs(old, build(signature, "y = Add(x, z)", z=np.full(4, 1e-3)))


def test_what_the_shift_of_a_claim_takes_away_is_a_term_too() -> None:
    """y = x - 1 of a tiny x keeps nine digits of it, and that is right."""
    signature = "double[B,3,4] x => double[B,3,4] y"
    old = build(signature, "y = Mul(x, k)", k=np.full(4, 1e-7))
    claim = Claim("y", per_channel([1.0] * 4, [1.0] * 4))

    def new(shift: float) -> ir.Model:
        return build(
            signature, "m = Mul(x, k) y = Add(m, s)", k=np.full(4, 1e-7), s=np.full(4, shift)
        )

    assert 1e-10 < compared(old, new(-1.0), claim) < 1e-8
    with pytest.raises(NoProofError, match="where the original gives"):
        compared(old, new(-1.0 + 1e-9), claim)


def test_what_runs_at_fewer_sizes_than_the_original_is_not_proven() -> None:
    """Two rows of the same bias fit a batch of two, and none of three."""
    bias = np.arange(4.0)
    old, new = (
        build("double[B,4] x => double[B,4] y", "y = Add(x, b)", b=b)
        for b in (bias, np.stack([bias, bias]))
    )
    assert_cannot_tell(old, new, "cannot be computed where the original can")


def test_another_shape_differs() -> None:
    old = build("float[2,3,3] x => float[2,3,3] y", "y = Neg(x)")
    turned = build("float[2,3,3] x => float[3,2,3] y", "n = Neg(x) y = Transpose<perm=[1,0,2]>(n)")
    assert_differs(old, turned, r"has the shape \(3, 2, 3\), not \(2, 3, 3\)")


def test_two_axes_of_one_size_are_told_apart_by_their_numbers() -> None:
    old = build("float[2,3,3] x => float[2,3,3] y", "y = Neg(x)")
    turned = build("float[2,3,3] x => float[2,3,3] y", "n = Neg(x) y = Transpose<perm=[0,2,1]>(n)")
    assert_differs(old, turned)


def test_of_a_claim_on_the_shape_alone_no_numbers_are_compared() -> None:
    old = build("float[B,3] x => float[B,3] y", "y = Neg(x)")
    new = build("float[B,3] x => float[B,3] y", "y = Identity(x)")
    assert compared(old, new, Claim("y", shape_only=True)) == 0.0
    assert_differs(old, new)


def test_an_operator_that_nobody_can_evaluate_tells_nothing() -> None:
    old = build("float[B,3] x => float[B,3] y", "y = Gelu(x)")
    assert_cannot_tell(old, old.clone(), "cannot be compared with the original: .*Gelu")


class TestEveryRowAndPlace:
    def test_every_row_of_a_table_is_looked_up(self) -> None:
        table = np.random.default_rng(0).standard_normal((50, 4))
        body = "y = Gather(t, x)"
        old, new, wrong = (
            build("int64[3] x => double[3,4] y", body, t=t)
            for t in (table, table.copy(), np.where(np.arange(50)[:, None] == 49, 0, table))
        )
        assert compared(old, new) == 0.0
        assert_differs(old, wrong)

    def test_a_slice_beyond_small_sizes_is_compared_at_larger_ones(self) -> None:
        """The first eight tokens go: with five there is nothing left to compare."""
        body = "s = Slice(x, start, end, axis) y = Mul(s, a)"
        constants = {"start": [8], "end": [9999], "axis": [1]}
        signature = "float[B,S,4] x => float[B,T,4] y"
        old, new, wrong = (
            build(signature, body, a=a, **constants) for a in (A, A.copy(), np.float32(1.01) * A)
        )
        assert compared(old, new) == 0.0
        assert_differs(old, wrong)

    def test_a_tensor_that_plays_no_part_proves_nothing(self) -> None:
        """Whatever z holds, none of its entries is taken: y could read anything there."""
        body = "k = Concat<axis=1>(x, z) y = Slice(k, zero, three, one)"
        constants = {"zero": [0], "three": [3], "one": [1]}
        model = build("float[2,3,4] x, float[2,1,4] z => float[2,3,4] y", body, **constants)
        assert_cannot_tell(model, model.clone(), "'z' plays no part", x=None, z=None)

    def test_a_long_static_axis_is_cut_but_not_where_a_constant_has_it(self) -> None:
        """A position's own bias is compared at every position."""
        positions = np.random.default_rng(0).standard_normal((1, 300, 4)).astype(np.float32)
        signature = "float[2,300,4] x => float[2,300,4] y"
        old = build(signature, "y = Add(x, k)", k=positions)
        wrong = positions.copy()
        wrong[0, 299, 3] += 1e-3
        assert compared(old, build(signature, "y = Add(x, k)", k=positions)) == 0.0
        assert_differs(old, build(signature, "y = Add(x, k)", k=wrong))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float", "double"])
def test_whatever_the_type_the_tolerance_is_that_of_float64(name: str) -> None:
    """A millionth is beyond what a half type shows, and is seen all the same."""
    signature = f"{name}[B,3,4] x => {name}[B,3,4] y"
    old, wrong = (
        build(signature, "y = Mul(x, a)", a=a) for a in (np.ones(4), np.full(4, 1 + 1e-6))
    )
    assert compared(old, old.clone()) == 0.0
    assert_differs(old, wrong)


class TestOriginalOf:
    def test_it_is_the_gauge_of_the_new_tensor(self) -> None:
        gauge = Affine(np.array([[2.0, 3.0]]), np.array([[1.0, 0.0]]))
        new = np.array([[5.0, 5.0]])
        np.testing.assert_array_equal(original_of(new, Claim("n", gauge)), [[11.0, 15.0]])

    def test_without_a_gauge_and_of_whole_numbers_it_is_the_tensor(self) -> None:
        gauge = Affine(np.array([2.0]), np.array([1.0]))
        whole = np.array([1, 2])
        assert original_of(whole, Claim("i", gauge)) is whole
        half = np.array([0.5])
        assert original_of(half, Claim("h")) is half
