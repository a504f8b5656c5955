"""Factors and biases beside a linear operator go into it; elsewhere they belong to others."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import assert_folds, build, fold_and_prove, operators

TOKENS = "float[B,3,4] x => float[B,3,5] y"
IMAGE = "float[B,3,8,8] x => float[B,5,8,8] y"
CONV = {"w": (5, 3, 1, 1), "c": (5,)}
FOLDED = {
    "a factor behind": (TOKENS, "p = MatMul(x, w) q = Add(p, c) y = Mul(q, k)", {}, 2),
    "a divisor behind, without a bias": (TOKENS, "p = MatMul(x, w) y = Div(p, k)", {}, 1),
    "a factor in front": (TOKENS, "h = Mul(k, x) p = MatMul(h, w) y = Add(p, c)", {}, 2),
    "a factor in front of two": (
        f"{TOKENS}, float[B,3,5] z",
        "h = Mul(k, x) y = MatMul(h, w) z = MatMul(h, w2)",
        {"w2": (4, 5)},
        2,
    ),
    "a second bias": (TOKENS, "p = MatMul(x, w) q = Add(p, c) y = Add(q, d)", {"d": (5,)}, 2),
    "a number added": (TOKENS, "p = MatMul(x, w) q = Add(p, c) y = Sub(q, k)", {}, 2),
    "a bias in front": (TOKENS, "h = Add(x, d) p = MatMul(h, w) y = Add(p, c)", {"d": (4,)}, 2),
    "a factor and a bias": (
        TOKENS,
        "p = MatMul(x, w) q = Add(p, c) r = Mul(q, k) y = Add(r, d)",
        {"d": (5,)},
        2,
    ),
    "a bias of a Gemm without one": (
        "float[B,4] x => float[B,5] y",
        "p = Gemm(x, w) y = Add(p, c)",
        {},
        1,
    ),
    "a bias of a Conv": (IMAGE, "p = Conv(x, w) y = Add(p, c)", CONV | {"c": (5, 1, 1)}, 1),
    "a second bias of a Conv": (
        IMAGE,
        "p = Conv(x, w, c) y = Add(d, p)",
        CONV | {"d": (1, 5, 1, 1)},
        1,
    ),
    "pixels centred and scaled": (
        IMAGE,
        "h = Sub(x, k) g = Div(h, a) y = Conv(g, w, c)",
        CONV | {"a": (), "k": np.array(0.3, np.float32)},
        1,
    ),
    "a factor behind a ConvTranspose": (
        IMAGE,
        "p = ConvTranspose(x, w, c) y = Mul(p, k)",
        {"w": (3, 5, 1, 1), "c": (5,)},
        1,
    ),
}


@pytest.mark.parametrize("case", FOLDED)
def test_they_fold(case: str) -> None:
    signature, body, constants, left = FOLDED[case]
    given = {"w": (4, 5), "c": (5,), "k": ()} | constants
    used = {n: shape for n, shape in given.items() if f" {n})" in body or f"({n}," in body}
    used |= {n: shape for n, shape in given.items() if f", {n}," in body}
    folded = assert_folds(build(signature, body, **used))
    assert len(folded.model.graph) == left
    assert {site.kind for site in folded.report.sites} <= {"factor", "bias"}


NONE = {
    "the halves of a GELU": (
        "p = MatMul(x, w) d = Div(p, k) e = Erf(d) o = Add(e, k) m = Mul(p, o) h = Mul(m, k)"
        " y = MatMul(h, v)"
    ),
    "a factor of the scores": "t = Transpose<perm=[0,2,1]>(x) s = MatMul(x, t) q = Mul(s, k)"
    " a = Softmax(q) o = MatMul(a, x) y = MatMul(o, w)",
    "a factor in front of a weight that another operator reads": (
        "h = Mul(x, k) p = MatMul(h, w) q = MatMul(x, w) y = Add(p, q)"
    ),
    "a factor in front of tied embeddings": (
        "e = Gather(u, i) s = Add(x, e) h = Mul(s, k) t = Transpose(u) y = MatMul(h, t)"
    ),
    "a bias that a MatMul would gain in its place": "h = Add(x, k) y = MatMul(h, w)",
    "a position table": "h = Add(x, tab) q = MatMul(h, w) y = Add(q, c)",
}


@pytest.mark.parametrize("case", NONE)
def test_what_is_no_site(case: str) -> None:
    body = NONE[case]
    given = {"w": (4, 5), "v": (5, 5), "c": (5,), "k": (), "tab": (3, 4), "u": (5, 4)}
    used = {n: shape for n, shape in given.items() if f" {n})" in body or f"({n}," in body}
    used |= {"i": [0, 2, 1], "u": (5, 4)} if "Gather" in body else {}
    folded = fold_and_prove(build(TOKENS, body, **used))
    assert folded.report.sites == () and folded.report.near_misses == ()


def test_a_bias_that_cannot_go_is_named() -> None:
    body = "h = Add(x, d) y = Conv<pads=[1,1,1,1]>(h, w, c)"
    model = build(IMAGE, body, w=(5, 3, 3, 3), c=(5,), d=(3, 1, 1))
    folded = fold_and_prove(model)
    (site,) = folded.report.stayed
    assert site.kind == "bias" and "it pads its input with zeros" in site.reason
    assert operators(folded.model) == ["Add", "Conv"]
