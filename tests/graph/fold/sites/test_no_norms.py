"""Rotary tables and logit scales are not told as norms; norms whose numbers are hidden are."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import assert_folds, build, fold_and_prove, operators
from un_deploy.graph.fold.fold import fold_graph

HEADS = "float[B,2,3,4] x => float[B,2,3,4] y"
HALVES = {"low": [0], "half": [2], "high": [4], "last": [3]}
TURNED = """l = Slice(q, low, half, last) h = Slice(q, half, high, last) m = Neg(h)
            r = Concat<axis=3>(m, l)"""
ROTARY = {
    "as Llama computes it": f"{TURNED} c = Mul(q, cos) s = Mul(r, sin) y = Add(c, s)",
    "half by half": """l = Slice(q, low, half, last) h = Slice(q, half, high, last)
        lc = Mul(l, cos) hs = Mul(h, sin) u = Sub(lc, hs)
        hc = Mul(h, cos) ls = Mul(l, sin) v = Add(hc, ls) y = Concat<axis=3>(u, v)""",
    "from tables in front": f"{TURNED} c = Mul(cos, q) s = Mul(sin, r) y = Add(s, c)",
}


def tables(case: str) -> dict[str, np.ndarray]:
    """cos and sin of positions by frequencies; cos of 0 is 1, sin of 0 is 0."""
    width = 2 if case == "half by half" else 4
    angles = np.outer(np.arange(3), 10.0 ** -np.arange(width))
    return {"cos": np.float32(np.cos(angles)), "sin": np.float32(np.sin(angles))}


@pytest.mark.parametrize("case", ROTARY)
def test_a_rotary_table_is_no_norm(case: str) -> None:
    model = build(HEADS, f"q = Relu(x) {ROTARY[case]}", **HALVES, **tables(case))
    report = fold_and_prove(model).report
    assert report.sites == () and report.near_misses == ()


@pytest.mark.parametrize("case", ROTARY)
def test_a_rotary_table_of_one_frequency_is_no_norm(case: str) -> None:
    """As of heads of which two channels turn: its columns are alike."""
    alike = {
        name: np.repeat(table[:, :1], table.shape[1], 1) for name, table in tables(case).items()
    }
    report = fold_and_prove(build(HEADS, f"q = Relu(x) {ROTARY[case]}", **HALVES, **alike)).report
    assert report.sites == () and report.near_misses == ()


def test_a_factor_of_heads_by_channels_is_a_norm_still() -> None:
    body = "n = Mul(x, a) t = Transpose<perm=[0,2,1,3]>(n) r = Reshape(t, s) y = MatMul(r, w)"
    signature = "float[B,2,3,4] x => float[B,3,5] y"
    folded = assert_folds(build(signature, body, a=(2, 1, 4), s=[0, 3, 8], w=(8, 5)))
    assert operators(folded.model) == ["Transpose", "Reshape", "MatMul"]


SCORES = "t = Transpose<perm=[0,1,3,2]>(x) q = MatMul(x, t)"


def test_the_scale_of_each_heads_logits_is_no_norm() -> None:
    """As Swin v2 learns it."""
    body = f"{SCORES} p = Mul(q, a) s = Softmax(p) y = MatMul(s, x)"
    report = fold_and_prove(build(HEADS, body, a=(2, 1, 1))).report
    assert report.sites == () and report.near_misses == ()


def test_a_scale_of_each_heads_result_folds() -> None:
    """As NormFormer scales its heads."""
    body = f"""{SCORES} p = Softmax(q) o = MatMul(p, x) n = Mul(o, a)
               u = Transpose<perm=[0,2,1,3]>(n) r = Reshape(u, s) y = MatMul(r, w)"""
    signature = "float[B,2,3,4] x => float[B,3,5] y"
    assert_folds(build(signature, body, a=(2, 1, 1), s=[0, 3, 8], w=(8, 5)))


HIDDEN = {
    "a tensor of unknown size": (
        "float[B,3,N] x => float[B,3,M] y",
        "m = Mul(x, a) y = Add(m, b)",
        "might widen it",
    ),
    "parameters that the caller may override": (
        "float[B,4,N] x => float[B,4,N] y",
        "y = BatchNormalization(x, a, b, b, a)",
        "keep_initializers_as_inputs=False",
    ),
    "a norm in training": (
        "float[B,4,N] x => float[B,4,N] y",
        "y, p, q = BatchNormalization<training_mode=1>(x, a, b, b, a)",
        "export the network in eval mode",
    ),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_a_norm_that_cannot_be_told_is_told_as_one_that_stays(case: str) -> None:
    signature, body, reason = HIDDEN[case]
    model = build(signature, body, a=(4,), b=(4,))
    if "override" in case:
        model.graph.inputs.append(model.graph.initializers["a"])
    report = fold_graph(model).report
    (site,) = report.stayed
    assert (site.channels, reason in site.reason) == (4, True), site
    assert report.near_misses == ()
