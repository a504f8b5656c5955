"""Channels merged with an open batch, moved, and split again, as MobileViT cuts its patches."""

from __future__ import annotations

import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, fold_and_prove, operators

#: (B, 4, 6, 6) as rows of patches of 2 x 2: (B, pixels, patches, channels).
CUT = """
    r1 = Reshape({}, rows) t1 = Transpose<perm=[0,2,1,3]>(r1) p1 = Reshape(t1, patches)
    u1 = Transpose<perm=[0,3,2,1]>(p1)
"""
JOIN = """
    u2 = Transpose<perm=[0,3,2,1]>({}) r2 = Reshape(u2, rows_too) t2 = Transpose<perm=[0,2,1,3]>(r2)
    y2 = Reshape(t2, image)
"""
SIZES = {"rows": [-1, 2, 3, 2], "patches": [-1, 4, 9, 4], "rows_too": [-1, 3, 2, 2]}
IMAGE = {"image": [-1, 4, 6, 6]}
SIGNATURE = "float[B,4,6,6] x => float[B,4,6,6] y"
KERNEL = {"k": (4, 4, 1, 1)}


def cut_and_joined(inside: str, opset: int = 20, signature: str = SIGNATURE):
    body = f"h = Conv(x, k) {CUT.format('h')} {inside} {JOIN.format('n')} y = Conv(y2, j)"
    weights = {"a": (4,), "b": (4,), "w": (4, 4), **KERNEL, "j": (4, 4, 1, 1)}
    used = {name: shape for name, shape in weights.items() if f" {name})" in body}
    return build(signature, body, opset=opset, **used, **SIZES, **IMAGE)


@pytest.mark.parametrize("opset", [9, 13, 20])
@pytest.mark.parametrize(
    "inside",
    [
        "m = Mul(u1, a) n = Add(m, b)",
        "l = MatMul(u1, w) q = Softmax(l) m = Mul(q, a) n = Add(m, b)",
        "m = Mul(u1, a) l = Add(m, b) q = Softmax(l) n = MatMul(q, w)",
    ],
)
def test_a_norm_between_them(inside: str, opset: int) -> None:
    """Into the convolution in front and the one behind, through all that moves the patches."""
    folded = assert_folds(cut_and_joined(inside, opset))
    left = operators(folded.model)
    assert "Mul" not in left and "Add" not in left
    assert left.count("Reshape") == (4 if "Softmax" in inside else 0)


def test_with_a_batch_that_is_known() -> None:
    signature = SIGNATURE.replace("B", "2")
    assert_folds(cut_and_joined("l = Softmax(u1) m = Mul(l, a) n = Add(m, b)", signature=signature))


def test_of_a_batch_that_is_read() -> None:
    """The tensor between is read for its shape too."""
    body = f"""
        h = Conv(x, k) {CUT.format("h")} q = Softmax(u1) m = Mul(q, a)
        n = Add(m, b) {JOIN.format("n")}
        z = Shape(r2) c = Cast<to=1>(z) d = ReduceSum<keepdims=0>(c)
        o = Conv(y2, j) y = Mul(o, d)
    """
    shapes = {"a": (4,), "b": (4,), **KERNEL, "j": (4, 4, 1, 1)}
    folded = fold_and_prove(build(SIGNATURE, body, **shapes, **SIZES, **IMAGE))
    assert len(folded.report.folded) == 1


REFUSALS = {
    "what lies between is read": (
        "t2 = Transpose<perm=[0,2,1,3]>(r2)",
        "t2 = Transpose<perm=[0,2,1,3]>(r2) e = Tanh(r2) e1 = ReduceMean<keepdims=0>(e)",
        "y3 = Add(y2, e1) y = Conv(y3, j)",
    ),
    "an activation stands between": (
        "t2 = Transpose<perm=[0,2,1,3]>(r2)",
        "v = Sigmoid(r2) t2 = Transpose<perm=[0,2,1,3]>(v)",
        "y = Conv(y2, j)",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    before, instead, end = REFUSALS[case]
    joined = JOIN.format("n").replace(before, instead)
    body = f"h = Conv(x, k) {CUT.format('h')} q = Softmax(u1) m = Mul(q, a) n = Add(m, b) {joined}"
    shapes = {"a": (4,), "b": (4,), **KERNEL, "j": (4, 4, 1, 1)}
    model = build(SIGNATURE, f"{body} {end}", **shapes, **SIZES, **IMAGE)
    assert_stays(model, "mixes an axis along which the scale varies with one of unknown size")


def test_channels_that_stay_merged_are_refused() -> None:
    body = f"{NORM} t = Transpose<perm=[0,2,1]>(n) r = Reshape(t, s) y = MatMul(r, w)"
    model = build("float[B,3,4] x => float[C,3] y", body, a=(4,), b=(4,), s=[-1, 3], w=(3, 3))
    assert_stays(model, "mixes an axis along which the scale varies with one of unknown size")
