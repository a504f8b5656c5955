"""A gauge of a result is one of its operands where these do not repeat along its axes."""

from __future__ import annotations

import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build

WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}
SIGNATURE = "float[B,3,4] x, float[B,2] c => float[B,3,5] y"


def test_an_operand_of_fewer_axes() -> None:
    body = f"k = Gemm(c, v) {NORM} s = Add(n, k) y = MatMul(s, w)"
    signature = "float[3,3,4] x, float[3,2] c => float[3,3,5] y"
    assert_folds(build(signature, body, **WEIGHTS, v=(2, 4)))


REFUSALS = {
    "it repeats along the channels": (
        "float[B,3,4] x, float[B,3,1] z => float[B,3,5] y",
        f"k = Relu(z) {NORM} s = Add(n, k) y = MatMul(s, w)",
        {},
        "'k' is broadcast along axis 2, on which the scale varies",
    ),
    "a shape that is not known": (
        "float[2,3,4] x, float[2,3,4] z => float[2,3,5] y",
        f"{NORM} k = Identity(z) s = Add(n, k) y = MatMul(s, w)",
        {"claims": "float[7] k"},
        "the shape of 'k' is unknown",
    ),
    "a result whose shape is not known": (
        "float[2,3,4] x, float[2,3,4] z => float[2,3,5] y",
        f"k = Sigmoid(z) {NORM} s = Add(n, k) y = MatMul(s, w)",
        {"claims": "float[7] s"},
        "the shape of 's' is unknown",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, more, reason = REFUSALS[case]
    assert_stays(build(signature, body, **WEIGHTS, **more), reason)
