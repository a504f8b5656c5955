"""A channel whose scale is (all but) 0: forward its row becomes 0, backward its bias the shift."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, build, fold_and_prove, operators

DEAD = [np.float32([1, 0, 0.5, 2]), np.float32([1, 1e-30, -0.5, 2]), np.zeros(4, np.float32)]
SHIFTS = [np.float32([1, 2, 3, 4]), np.float32([1, 0, 3, 0])]
FORWARD = {
    "MatMul": ("float[B,3,4] x => float[B,3,5] y", "y = MatMul(n, w)", (4, 5), 1),
    "Gemm": ("float[B,4] x => float[B,5] y", "y = Gemm<transB=1>(n, w)", (5, 4), 1),
    "Einsum": (
        "float[B,3,4] x => float[B,3,5] y",
        'y = Einsum<equation="bnc,cd->bnd">(n, w)',
        (4, 5),
        1,
    ),
    "Conv": ("float[B,4,6,6] x => float[B,5,4,4] y", "y = Conv(n, w)", (5, 4, 3, 3), 3),
    "a layout and a pool": (
        "float[B,6,6,4] x => float[B,5,5,5] y",
        "t = Transpose<perm=[0,3,1,2]>(n) p = MaxPool<kernel_shape=[2,2]>(t) y = Conv(p, w)",
        (5, 4, 1, 1),
        1,
    ),
}
BACKWARD = {
    "MatMul": ("float[B,3,5] x => float[B,3,4] y", "p = MatMul(x, w)", (5, 4), 1),
    "MatMul and Add": (
        "float[B,3,5] x => float[B,3,4] y",
        "q = MatMul(x, w) p = Add(q, c)",
        (5, 4),
        1,
    ),
    "Gemm": ("float[B,5] x => float[B,4] y", "p = Gemm<beta=0.5, alpha=2.0>(x, w, c)", (5, 4), 1),
    "Conv": (
        "float[B,3,6,6] x => float[B,4,6,6] y",
        "p = Conv<pads=[1,1,1,1]>(x, w)",
        (4, 3, 3, 3),
        3,
    ),
    "ConvTranspose": (
        "float[B,3,6,6] x => float[B,4,8,8] y",
        "p = ConvTranspose(x, w)",
        (3, 4, 3, 3),
        3,
    ),
    "a layout and a pool": (
        "float[B,3,6,6] x => float[B,5,5,4] y",
        "q = Conv(x, w) r = MaxPool<kernel_shape=[2,2]>(q) p = Transpose<perm=[0,2,3,1]>(r)",
        (4, 3, 1, 1),
        1,
    ),
    "a table": ("int64[B,3] x => float[B,3,4] y", "p = Gather(w, x)", (9, 4), 1),
    "a sum": (
        "float[B,3,5] x => float[B,3,4] y",
        "q = MatMul(x, w) r = MatMul(x, w) p = Add(q, r)",
        (5, 4),
        1,
    ),
}


def _channels(array: np.ndarray, rank: int) -> np.ndarray:
    return array.reshape(-1, *[1] * (rank - 1))


@pytest.mark.parametrize("shift", SHIFTS, ids=["shifts", "no shift where it is dead"])
@pytest.mark.parametrize("scale", DEAD, ids=["zero", "tiny", "all"])
@pytest.mark.parametrize("case", FORWARD)
def test_forward(case: str, scale: np.ndarray, shift: np.ndarray) -> None:
    signature, body, weight, rank = FORWARD[case]
    a, b = _channels(scale, rank), _channels(shift, rank)
    if "layout" in case:
        a, scale = np.abs(a), np.abs(scale)  # a maximum takes no negative scale
    folded = fold_and_prove(build(signature, f"{NORM} {body}", a=a, b=b, w=weight))
    assert len(folded.report.folded) == 1 and "Mul" not in operators(folded.model)


@pytest.mark.parametrize("shift", SHIFTS, ids=["shifts", "no shift where it is dead"])
@pytest.mark.parametrize("scale", DEAD, ids=["zero", "tiny", "all"])
@pytest.mark.parametrize("case", BACKWARD)
def test_backward(case: str, scale: np.ndarray, shift: np.ndarray) -> None:
    signature, body, weight, rank = BACKWARD[case]
    a, b = _channels(scale, rank), _channels(shift, rank)
    if "layout" in case:
        a = np.abs(a)
    weights = {"c": (4,)} if ", c)" in body else {}
    model = build(signature, f"{body} m = Mul(p, a) y = Add(m, b)", a=a, b=b, w=weight, **weights)
    folded = fold_and_prove(model)
    assert len(folded.report.folded) == 1 and "Mul" not in operators(folded.model)


def test_the_row_is_zero_and_the_bias_the_shift() -> None:
    body = "q = MatMul(x, w) p = Add(q, c) m = Mul(p, a) y = Add(m, b)"
    model = build("float[B,5] x => float[B,2] y", body, a=np.float32([2, 0]), b=np.float32([3, 7]),
                  w=np.ones((5, 2), np.float32), c=np.float32([1, 1]))  # fmt: skip
    exact = fold_and_prove(model).exact
    assert exact["w"]().tolist() == [[2, 0]] * 5 and exact["c"]().tolist() == [5, 7]


STAY = {
    "another reader needs what was lost": (
        "float[B,3,5] x => float[B,3,4] y, float[B,3,4] z",
        "p = MatMul(x, w) y0 = Mul(p, a) y = Add(y0, b) z = MatMul(p, v)",
        {"w": (5, 4), "v": (4, 4)},
        "'p' would be scaled by inf in channel 1, too far from 1 for float32, and MatMul_3 reads",
    ),
    "a sum whose other summand would be divided": (
        "float[B,3,4] x => float[B,3,5] y",
        f"{NORM} q = MatMul(x, v) s = Add(n, q) y = MatMul(s, w)",
        {"w": (4, 5), "v": (4, 4)},
        "by 0 in channel 1, too far from 1 for float32, by which MatMul_2 would have to divide",
    ),
    "a table that would be divided": (
        "float[B,3,4] x => float[B,3,5] y",
        f"{NORM} k = Relu(n) s = Add(k, table) y = MatMul(s, w)",
        {"w": (4, 5), "table": (3, 4), "b": np.zeros(4, np.float32)},
        "by which the constant of Add_3 would have to be divided",
    ),
}


@pytest.mark.parametrize("case", STAY)
def test_where_it_stays_the_reason_names_the_channel(case: str) -> None:
    signature, body, weights, reason = STAY[case]
    model = build(signature, body, **{"a": DEAD[0], "b": SHIFTS[0], **weights})
    folded = fold_and_prove(model)
    (site,) = folded.report.stayed
    assert reason in site.reason, site.reason
