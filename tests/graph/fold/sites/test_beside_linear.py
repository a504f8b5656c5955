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
    "a factor and a number in front of a MatMul": (
        TOKENS,
        "h = Mul(x, k) g = Add(h, k) y = MatMul(g, w)",
        {},
        2,
    ),
    "a factor and a bias in front of three": (
        f"{TOKENS}, float[B,3,5] z, float[B,3,5] v",
        "h = Mul(x, k) g = Sub(h, d) y = MatMul(g, w) z = MatMul(g, w2) v = MatMul(g, w3)",
        {"w2": (4, 5), "w3": (4, 5), "d": (4,)},
        6,
    ),
    "a factor behind a split of the channels": (
        "float[B,3,4] x => float[B,3,2,2] y",
        "p = MatMul(x, w) q = Add(p, c) r = Reshape(q, s) y = Mul(r, k)",
        {"w": (4, 4), "c": (4,), "s": [0, 3, 2, 2]},
        3,
    ),
    "a factor in front of axes put together": (
        "float[B,3,2,2] x => float[B,3,5] y",
        "p = Div(x, k) r = Reshape(p, s) y = MatMul(r, w)",
        {"s": [0, 3, 4]},
        2,
    ),
    "a factor behind a weight on the left": (
        "float[B,4,3] x => float[B,5,3] y",
        "p = MatMul(w, x) y = Mul(p, k)",
        {"w": (5, 4)},
        1,
    ),
    "a factor in front of an Einsum of a weight on the left": (
        "float[B,4,3] x => float[B,5,3] y",
        'p = Mul(x, k) y = Einsum<equation="oi,bin->bon">(w, p)',
        {"w": (5, 4)},
        1,
    ),
    "a bias in a Sum": ("float[B,4] x => float[B,5] y", "p = Gemm(x, w) y = Sum(c, p)", {}, 1),
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
    kinds = {site.kind for site in folded.report.sites}
    assert kinds <= ({"norm"} if "in front of" in case and " and " in case else {"factor", "bias"})


NONE = {
    "the halves of a GELU": (
        "p = MatMul(x, w) d = Div(p, k) e = Erf(d) o = Add(e, k) m = Mul(p, o) h = Mul(m, k)"
        " y = MatMul(h, v)"
    ),
    "a factor of the scores": "t = Transpose<perm=[0,2,1]>(x) s = MatMul(x, t) q = Mul(s, k)"
    " a = Softmax(q) o = MatMul(a, x) y = MatMul(o, w)",
    "a position table": "h = Add(x, tab) q = MatMul(h, w) y = Add(q, c)",
    "a position table behind a Reshape": (
        "p = MatMul(x, v2) r = Reshape(p, s) h = Add(r, tab) q = MatMul(h, w) y = Add(q, c)"
    ),
    "the scale of the queries, behind the split into heads": (
        "p = MatMul(x, v2) r = Reshape(p, s2) q = Transpose<perm=[0,2,1,3]>(r) m = Mul(q, k)"
        " t = Transpose<perm=[0,1,3,2]>(q) l = MatMul(m, t) f = Softmax(l) o = MatMul(f, q)"
        " u = Transpose<perm=[0,2,1,3]>(o) z = Reshape(u, s) y = MatMul(z, w)"
    ),
    "the factor of a SiLU": (
        "p = MatMul(x, w) d = Mul(p, k) s = Sigmoid(d) m = Mul(p, s) y = MatMul(m, v)"
    ),
}


@pytest.mark.parametrize("case", NONE)
def test_what_is_no_site(case: str) -> None:
    body = NONE[case]
    given = {"w": (4, 5), "v": (5, 5), "c": (5,), "k": (), "tab": (3, 4), "v2": (4, 4)}
    used = {n: shape for n, shape in given.items() if f" {n})" in body or f"({n}," in body}
    used |= {"s": [0, 3, 4]} if "Reshape" in body else {}
    used |= {"s2": [0, 3, 2, 2]} if "s2" in body else {}
    folded = fold_and_prove(build(TOKENS, body, **used))
    assert folded.report.sites == () and folded.report.near_misses == ()


def test_a_bias_that_cannot_go_is_named() -> None:
    body = "h = Add(x, d) y = Conv<pads=[1,1,1,1]>(h, w, c)"
    model = build(IMAGE, body, w=(5, 3, 3, 3), c=(5,), d=(3, 1, 1))
    folded = fold_and_prove(model)
    (site,) = folded.report.stayed
    assert site.kind == "bias" and "it pads its input with zeros" in site.reason
    assert operators(folded.model) == ["Add", "Conv"]


NAMED = {
    "a factor in front of a weight that another operator reads": (
        "h = Mul(x, k) p = MatMul(h, w) q = MatMul(x, w) y = Add(p, q)",
        "Mul_0",
        "the weight of MatMul_1 is read by others, too",
    ),
    "a factor in front of tied embeddings": (
        "e = Gather(u, i) s = Add(x, e) h = Mul(s, k) t = Transpose(u) y = MatMul(h, t)",
        "Mul_2",
        "the weight of MatMul_4 is read by others, too",
    ),
    "a bias that a MatMul would gain in its place": (
        "h = Add(x, k) y = MatMul(h, w)",
        "Add_0",
        "MatMul_1 would gain a bias in its place",
    ),
    "a factor of zero": (
        "p = MatMul(x, w) y = Mul(p, o)",
        "Mul_1",
        "it multiplies by zero",
    ),
    "a factor that an activation reads too": (
        "h = Mul(x, k) p = MatMul(h, v2) r = Relu(h) s = Add(p, r) y = MatMul(s, w)",
        "Mul_0",
        "what it makes is also read by Relu_2",
    ),
    "a factor of what a sum reads too": (
        "p = MatMul(x, w) h = Mul(p, k) e = Exp(p) y = Add(e, h)",
        "Mul_1",
        "what it reads is also read by Exp_2",
    ),
}


@pytest.mark.parametrize("case", NAMED)
def test_what_stays_beside_a_linear_operator_is_named(case: str) -> None:
    body, node, reason = NAMED[case]
    given = {"w": (4, 5), "v2": (4, 4), "k": (), "u": (5, 4), "i": [0, 2, 1]}
    given |= {"o": np.array(0, np.float32)}
    used = {n: one for n, one in given.items() if f" {n})" in body or f"({n}," in body}
    used |= {"u": (5, 4)} if "(u)" in body else {}
    report = fold_and_prove(build(TOKENS, body, **used)).report
    (miss,) = report.near_misses
    assert (miss.node, report.sites) == (node, ()) and reason in miss.reason, miss


def test_what_folds_in_a_later_round_is_no_near_miss() -> None:
    """The number stays in front of a MatMul without a bias; then a norm gives it one."""
    body = "h = Add(x, k) p = MatMul(h, w) m = Mul(p, a) y = Add(m, b)"
    model = build(TOKENS, body, w=(4, 5), a=(5,), b=(5,), k=())
    folded = fold_and_prove(model)
    assert [site.kind for site in folded.report.folded] == ["bias", "norm"]
    assert folded.report.near_misses == () and operators(folded.model) == ["MatMul", "Add"]


@pytest.mark.parametrize(("cast", "folds"), [((1, 1), True), ((11, 11), True), ((11, 1), False)])
def test_a_factor_computed_from_sizes_folds_unless_it_is_rounded(
    cast: tuple[int, int], folds: bool
) -> None:
    """As attention's 1 / sqrt(width) is written; the proof could not tell what its Cast rounds."""
    wide, narrow = cast
    type_, dtype = ("float", np.float32) if narrow == 1 else ("double", np.float64)
    body = (
        f"p = MatMul(x, w) s = Shape(x) g = Gather(s, i) f = Cast<to={wide}>(g) q = Sqrt(f)"
        f" k = Cast<to={narrow}>(q) y = Div(p, k)"
    )
    model = build(f"{type_}[B,3,4] x => {type_}[B,3,5] y", body, dtype=dtype, w=(4, 5), i=2)
    folded = fold_and_prove(model)
    assert (operators(folded.model) == ["MatMul"]) == folds
