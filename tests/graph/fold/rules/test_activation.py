"""What bends at zero lets a positive scale through, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, operators

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
BENDING = ["Relu(n)", "LeakyRelu<alpha=0.3>(n)", "PRelu(n, slope)", "Abs(n)"]


def _slope(op: str) -> dict:
    return {"slope": np.float32([0.5, -2, 0, 3])} if "slope" in op else {}


@pytest.mark.parametrize("op", BENDING)
def test_forward(op: str) -> None:
    body = f"n = Mul(x, a) t = {op} y = MatMul(t, w)"
    folded = assert_folds(build(SIGNATURE, body, a=(4,), w=(4, 5), **_slope(op)))
    assert operators(folded.model) == [op.split("(")[0].split("<")[0], "MatMul"]


@pytest.mark.parametrize("op", BENDING)
def test_backward(op: str) -> None:
    body = f"n = MatMul(x, w) t = {op} y = Mul(t, a)"
    signature = "float[B,3,4] x => float[B,3,4] y"
    assert_folds(build(signature, body, a=(4,), w=(4, 4), **_slope(op)))


@pytest.mark.parametrize("op", BENDING)
def test_a_negative_scale_stays(op: str) -> None:
    scale = np.float32([1, 1, 1, -1])
    body = f"n = Mul(x, a) t = {op} y = MatMul(t, w)"
    model = build(SIGNATURE, body, a=scale, w=(4, 5), **_slope(op))
    assert_stays(model, "the scale is negative in channel 3, and it bends at zero")


@pytest.mark.parametrize("op", BENDING)
def test_a_shift_stays(op: str) -> None:
    body = f"{NORM} y = {op}"
    model = build("float[B,3,4] x => float[B,3,4] y", body, a=(4,), b=(4,), **_slope(op))
    assert_stays(model, "it bends at zero, which a shift would move")


def test_a_computed_slope_is_not_scaled() -> None:
    """Its own norm stays; one of the data goes by."""
    body = "p = MatMul(x, v) s = Mul(p, a) n = PRelu(x, s) y = MatMul(n, w)"
    model = build(SIGNATURE, body, a=(4,), v=(4, 4), w=(4, 5))
    folded = assert_folds(model)  # backwards, into what makes the slope
    assert operators(folded.model) == ["MatMul", "PRelu", "MatMul"]
    body = "s = Mul(x, a) n = PRelu(x, s) y = MatMul(n, w)"
    assert_stays(build(SIGNATURE, body, a=(4,), w=(4, 5)), "its input 1 would be scaled or shifted")
