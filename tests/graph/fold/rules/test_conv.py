"""Conv absorbs along its channels; zero padding keeps a shift out."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, fold_and_prove, operators

PER_CHANNEL = {"a": (4, 1, 1), "b": (4, 1, 1)}


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_groups(group: int, bias: bool) -> None:
    conv = f"Conv<group={group}>(n, w{', c' if bias else ''})"
    weights = {**PER_CHANNEL, "w": (8, 4 // group, 3, 3)} | ({"c": (8,)} if bias else {})
    signature = "float[B,4,6,6] x => float[B,8,4,4] y"
    folded = assert_folds(build(signature, f"{NORM} y = {conv}", **weights))
    assert operators(folded.model) == ["Conv"]
    behind = f"p = {conv.replace('n,', 'x,')} m = Mul(p, d) y = Add(m, e)".replace("d)", "ad)")
    weights = {**weights, "ad": (8, 1, 1), "e": (8, 1, 1)}
    del weights["a"], weights["b"]
    assert_folds(build(signature, behind, **weights))


@pytest.mark.parametrize(
    ("image", "kernel"),
    [("6", (3,)), ("6,6", (3, 3)), ("6,6,6", (3, 3, 3))],
    ids=["1d", "2d", "3d"],
)
def test_one_two_and_three_dimensions(image: str, kernel: tuple[int, ...]) -> None:
    ones = (1,) * len(kernel)
    out = image.replace("6", "4")
    model = build(
        f"float[B,4,{image}] x => float[B,5,{out}] y",
        NORM + " y = Conv(n, w)",
        a=(4, *ones),
        b=(4, *ones),
        w=(5, 4, *kernel),
    )
    assert_folds(model)


def test_batch_normalization_before_and_behind() -> None:
    bn = "BatchNormalization<epsilon=0.001>"
    constants = {"a": (4,), "b": (4,), "mean": (4,), "avar": (4,)}
    before = f"n = {bn}(x, a, b, mean, avar) y = Conv(n, w)"
    assert_folds(build("float[B,4,6,6] x => float[B,5,6,6] y", before, w=(5, 4, 1, 1), **constants))
    behind = f"p = Conv<pads=[1,1,1,1]>(x, w) y = {bn}(p, a, b, mean, avar)"
    assert_folds(build("float[B,3,6,6] x => float[B,4,6,6] y", behind, w=(4, 3, 3, 3), **constants))


@pytest.mark.parametrize("pad", ["pads=[1,1,1,1]", 'auto_pad="SAME_UPPER"'])
def test_a_scale_passes_zero_padding(pad: str) -> None:
    model = build(
        "float[B,4,6,6] x => float[B,5,6,6] y",
        f"n = Mul(x, a) y = Conv<{pad}>(n, w)",
        a=(4, 1, 1),
        w=(5, 4, 3, 3),
    )
    assert_folds(model)


def test_padding_of_nothing_is_none() -> None:
    for pad in ("pads=[0,0,0,0]", 'auto_pad="VALID"', 'auto_pad="NOTSET"'):
        model = build(
            "float[B,4,6,6] x => float[B,5,4,4] y",
            f"{NORM} y = Conv<{pad}>(n, w)",
            **PER_CHANNEL,
            w=(5, 4, 3, 3),
        )
        assert_folds(model)


@pytest.mark.parametrize("pad", ["pads=[1,1,1,1]", 'auto_pad="SAME_LOWER"'])
def test_a_shift_stays_in_front_of_zero_padding(pad: str) -> None:
    body = f"{NORM} y = Conv<{pad}>(n, w)"
    model = build("float[B,4,6,6] x => float[B,5,6,6] y", body, **PER_CHANNEL, w=(5, 4, 3, 3))
    folded = fold_and_prove(model)
    (site,) = folded.report.stayed
    assert "it pads its input with zeros" in site.reason
    assert operators(folded.model) == ["Add", "Conv"]


def test_a_channel_whose_scale_is_0_is_named_in_front_of_zero_padding() -> None:
    body = f"{NORM} y = Conv<pads=[1,1,1,1]>(n, w)"
    dead = {**PER_CHANNEL, "a": np.array([1, 2, 0, 1], np.float32).reshape(4, 1, 1)}
    model = build("float[B,4,6,6] x => float[B,5,6,6] y", body, **dead, w=(5, 4, 3, 3))
    assert_stays(model, "no shift could be added to channel 2, which is scaled by 0")


REFUSALS = {
    "a computed weight": (
        "float[B,4,6,6] x, float[5,4,1,1] z => float[B,5,6,6] y",
        NORM + " y = Conv(n, z)",
        PER_CHANNEL,
        "its weight or bias is no constant",
    ),
    "a computed bias": (
        "float[B,4,6,6] x, float[5] z => float[B,5,6,6] y",
        NORM + " y = Conv(n, w, z)",
        {**PER_CHANNEL, "w": (5, 4, 1, 1)},
        "its weight or bias is no constant",
    ),
    "columns scaled, as many as channels": (
        "float[B,4,4,4] x => float[B,5,4,4] y",
        NORM + " y = Conv(n, w)",
        {"a": (4,), "b": (4,), "w": (5, 4, 1, 1)},
        "vary along axis 3, not only along the channels",
    ),
    "a bias that is no vector, as in a damaged file": (
        "float[B,4,6,6] x => float[B,5,6,6] y",
        NORM + " y = Conv(n, w, c)",
        {**PER_CHANNEL, "w": (5, 4, 1, 1), "c": (5, 1)},
        "its bias is not one number for each channel",
    ),
    "a bias of another length": (
        "float[B,4,6,6] x => float[B,5,6,6] y",
        NORM + " y = Conv(n, w, c)",
        {**PER_CHANNEL, "w": (5, 4, 1, 1), "c": (1,)},
        "its bias is not one number for each channel",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)


def test_columns_scaled_behind_it() -> None:
    body = "p = Conv(x, w) m = Mul(p, a) y = Add(m, b)"
    weights = {"a": (4,), "b": (4,), "w": np.ones((4, 4, 1, 1), np.float32)}
    assert_stays(build("float[B,4,4,4] x => float[B,4,4,4] y", body, **weights), "along axis 3")
