"""Gemm absorbs like MatMul, with its factors and whatever shape its third operand has."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, operators, stored

SIGNATURE = "float[B,4] x => float[B,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1,), (1, 1), ()])
def test_every_shape_of_a_third_operand_that_is_the_same_in_each_row(
    shape: tuple[int, ...],
) -> None:
    folded = assert_folds(build(SIGNATURE, NORM + " y = Gemm(n, w, c)", **WEIGHTS, c=shape))
    assert operators(folded.model) == ["Gemm"]


@pytest.mark.parametrize("c", ["c", "Neg(c)"])
@pytest.mark.parametrize("shape", [(3, 1), (3, 5)])
def test_a_third_operand_that_differs_from_row_to_row(shape: tuple[int, ...], c: str) -> None:
    signature = "float[3,4] x => float[3,5] y"
    body = f"{NORM} d = {c} y = Gemm<beta=0.5>(n, w, d)".replace("d = c", "d = Identity(c)")
    folded = assert_folds(build(signature, body, **WEIGHTS, c=shape))
    assert operators(folded.model) == ["Gemm"]
    behind = "p = Gemm(x, w, c) m = Mul(p, a) y = Add(m, b)"
    assert_folds(build(signature, behind, a=(5,), b=(5,), w=(4, 5), c=shape))


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("beta", [1.0, -2.0])
@pytest.mark.parametrize("trans_b", [0, 1])
def test_its_factors_and_transposes(alpha: float, beta: float, trans_b: int) -> None:
    gemm = f"Gemm<alpha={alpha}, beta={beta}, transB={trans_b}>"
    weight = (5, 4) if trans_b else (4, 5)
    before = build(SIGNATURE, f"{NORM} y = {gemm}(n, w, c)", a=(4,), b=(4,), w=weight, c=(5,))
    assert_folds(before)
    behind = f"p = {gemm}(x, w, c) m = Mul(p, a) y = Add(m, b)"
    assert_folds(build(SIGNATURE, behind, a=(5,), b=(5,), w=weight, c=(5,)))
    assert_folds(build(SIGNATURE, f"{NORM} y = {gemm}(n, w)", a=(4,), b=(4,), w=weight))


def test_the_left_operand_transposed() -> None:
    weights = {"a": (4, 1), "b": (4, 1), "w": (4, 5), "c": (5,)}
    model = build("float[4,B] x => float[B,5] y", NORM + " y = Gemm<transA=1>(n, w, c)", **weights)
    old = {name: stored(value) for name, value in model.graph.initializers.items()}
    folded = assert_folds(model)
    np.testing.assert_allclose(folded.exact["w"](), old["a"] * old["w"], rtol=1e-15)


def test_a_gemm_without_a_bias_gains_its_third_input() -> None:
    folded = assert_folds(build(SIGNATURE, NORM + " y = Gemm(n, w)", **WEIGHTS))
    (gemm,) = folded.model.graph
    assert len(gemm.inputs) == 3
    assert folded.report.gained_biases == ("y",)


REFUSALS = {
    "a weight of three axes, as in a damaged file": (
        "float[3,4] x => float[3,5] y",
        NORM + " y = Gemm(n, w)",
        {"a": (4,), "b": (4,), "w": (4, 5, 1)},
        "its weight is no matrix",
    ),
    "a computed right operand": (
        "float[3,4] x, float[4,5] z => float[3,5] y",
        NORM + " y = Gemm(n, z)",
        {"a": (4,), "b": (4,)},
        "its right operand is no constant",
    ),
    "a computed third operand": (
        "float[3,4] x, float[5] z => float[3,5] y",
        NORM + " y = Gemm(n, w, z)",
        WEIGHTS,
        "its third operand is no constant",
    ),
    "no third operand, and a beta that would hide it": (
        SIGNATURE,
        NORM + " y = Gemm<beta=0.0>(n, w)",
        WEIGHTS,
        "its beta is zero",
    ),
    "a third operand that beta hides": (
        SIGNATURE,
        NORM + " y = Gemm<beta=0.0>(n, w, c)",
        {**WEIGHTS, "c": (5,)},
        "its beta is zero",
    ),
    "rows scaled, as many as channels": (
        "float[4,4] x => float[4,5] y",
        NORM + " y = Gemm(n, w)",
        {"a": (4, 1), "b": (4, 1), "w": (4, 5)},
        "vary along axis 0, not only along the channels",
    ),
    "channels scaled, of a transposed operand": (
        "float[4,4] x => float[4,5] y",
        NORM + " y = Gemm<transA=1>(n, w)",
        WEIGHTS,
        "vary along axis 1, not only along the channels",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)
