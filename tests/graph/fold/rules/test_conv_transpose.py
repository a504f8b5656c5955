"""ConvTranspose takes a scale on either side and a shift behind; a shift in front stays out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import (
    NORM,
    assert_folds,
    assert_stays,
    build,
    fold_and_prove,
    operators,
    stored,
)

PER_CHANNEL = {"a": (4, 1, 1), "b": (4, 1, 1)}
SIGNATURE = "float[B,4,6,6] x => float[B,8,8,8] y"


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_groups(group: int, bias: bool) -> None:
    weights = {"w": (4, 8 // group, 3, 3)} | ({"c": (8,)} if bias else {})
    last = ", c" if bias else ""
    before = f"n = Mul(x, a) y = ConvTranspose<group={group}>(n, w{last})"
    folded = assert_folds(build(SIGNATURE, before, **weights, a=(4, 1, 1)))
    assert operators(folded.model) == ["ConvTranspose"]
    assert folded.report.gained_biases == ()
    behind = f"p = ConvTranspose<group={group}>(x, w{last}) m = Mul(p, a) y = Add(m, b)"
    folded = assert_folds(build(SIGNATURE, behind, **weights, a=(8, 1, 1), b=(8, 1, 1)))
    assert operators(folded.model) == ["ConvTranspose"]
    assert folded.report.gained_biases == (() if bias else ("p",))


def test_the_numbers_of_two_groups() -> None:
    """Input channels 2 and 4 go into their rows, output channels 2, 4, 5, 10 out of theirs."""
    model = build(
        "float[B,2,3] x => float[B,4,3] y",
        "n = Mul(x, s) p = ConvTranspose<group=2>(n, w, c) m = Mul(p, t) y = Add(m, d)",
        s=np.float32([[2], [4]]),
        w=np.float32([[[1], [3]], [[5], [7]]]),
        c=np.float32([1, 1, 1, 1]),
        t=np.float32([[2], [4], [5], [10]]),
        d=np.float32([[0], [1], [2], [3]]),
    )
    folded = assert_folds(model)
    assert len(folded.report.folded) == 2
    w, c = (stored(folded.model.graph.initializers[name]) for name in "wc")
    assert w.tolist() == [[[2 * 1 * 2], [2 * 3 * 4]], [[4 * 5 * 5], [4 * 7 * 10]]]
    assert c.tolist() == [2, 5, 7, 13]


@pytest.mark.parametrize(
    ("image", "kernel"),
    [("6", (3,)), ("6,6", (3, 3)), ("6,6,6", (3, 3, 3))],
    ids=["1d", "2d", "3d"],
)
def test_one_two_and_three_dimensions(image: str, kernel: tuple[int, ...]) -> None:
    ones = (1,) * len(kernel)
    model = build(
        f"float[B,4,{image}] x => float[B,5,{image.replace('6', '8')}] y",
        "n = Mul(x, a) p = ConvTranspose(n, w) m = Mul(p, at) y = Add(m, d)",
        a=(4, *ones),
        w=(4, 5, *kernel),
        at=(5, *ones),
        d=(5, *ones),
    )
    assert operators(assert_folds(model).model) == ["ConvTranspose"]


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ("strides=[2,2]", 13),
        ("strides=[2,2], pads=[1,0,1,2]", 11),
        ("strides=[3,3], output_padding=[1,2]", 19),
        ("dilations=[2,2]", 10),
        ('strides=[2,2], auto_pad="SAME_UPPER"', 12),
    ],
)
def test_a_scale_passes_whatever_the_window_does(attributes: str, size: int) -> None:
    body = f"n = Mul(x, a) p = ConvTranspose<{attributes}>(n, w) m = Mul(p, at) y = Add(m, d)"
    signature = f"float[B,4,6,6] x => float[B,5,{size},W] y"
    weights = {"a": (4, 1, 1), "w": (4, 5, 3, 3), "at": (5, 1, 1), "d": (5, 1, 1)}
    assert operators(assert_folds(build(signature, body, **weights)).model) == ["ConvTranspose"]


def test_a_kernel_below_its_stride_leaves_holes() -> None:
    """Where nothing is summed the old zero comes from a bias and a shift that cancel."""
    body = "p = ConvTranspose<strides=[2,2]>(x, w) m = Mul(p, a) n = Add(m, b) y = Conv(n, v)"
    weights = {"a": (8, 1, 1), "b": (8, 1, 1), "w": (4, 8, 1, 1), "v": (3, 8, 1, 1)}
    assert_folds(build("float[B,4,6,6] x => float[B,3,11,11] y", body, **weights))
    body = body.replace("y = Conv(n, v)", "r = Pad(n, pads) y = Conv(r, v)")
    weights["pads"] = [0, 0, 1, 0, 0, 0, 2, 0]
    assert_folds(build("float[B,4,6,6] x => float[B,3,14,11] y", body, **weights))


def test_a_batch_normalization_behind_it() -> None:
    body = "p = ConvTranspose(x, w) y = BatchNormalization(p, a, b, mean, avar)"
    constants = {"a": (8,), "b": (8,), "mean": (8,), "avar": (8,)}
    assert_folds(build(SIGNATURE, body, w=(4, 8, 3, 3), **constants))


def test_a_shift_stays_in_front() -> None:
    body = f"{NORM} y = ConvTranspose(n, w)"
    folded = fold_and_prove(build(SIGNATURE, body, **PER_CHANNEL, w=(4, 8, 3, 3)))
    (site,) = folded.report.stayed
    assert "a shift would reach each pixel through another part of its kernel" in site.reason
    assert operators(folded.model) == ["Add", "ConvTranspose"]


REFUSALS = {
    "a bias that is no vector, as in a damaged file": (
        SIGNATURE,
        "n = Mul(x, a) y = ConvTranspose(n, w, c)",
        {"a": (4, 1, 1), "w": (4, 8, 3, 3), "c": (8, 1)},
        "its bias is not one number for each channel",
    ),
    "a computed weight": (
        "float[B,4,6,6] x, float[4,8,3,3] z => float[B,8,8,8] y",
        "n = Mul(x, a) y = ConvTranspose(n, z)",
        {"a": (4, 1, 1)},
        "its weight or bias is no constant",
    ),
    "a computed bias": (
        "float[B,4,6,6] x, float[8] z => float[B,8,8,8] y",
        "n = Mul(x, a) y = ConvTranspose(n, w, z)",
        {"a": (4, 1, 1), "w": (4, 8, 3, 3)},
        "its weight or bias is no constant",
    ),
    "columns scaled in front": (
        "float[B,4,4,4] x => float[B,8,6,6] y",
        "n = Mul(x, a) y = ConvTranspose(n, w)",
        {"a": (4,), "w": (4, 8, 3, 3)},
        "the scale varies along axis 3, not only along the channels",
    ),
    "columns shifted behind": (
        SIGNATURE,
        "p = ConvTranspose(x, w) m = Mul(p, a) y = Add(m, b)",
        {"a": (8,), "b": (8,), "w": (4, 8, 3, 3)},
        "vary along axis 3, not only along the channels",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)
