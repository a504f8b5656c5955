"""Pools let a norm of the channels through, but for signs and padding that is counted."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, operators

CHANNELS = {"a": (4, 1, 1), "b": (4, 1, 1), "w": (5, 4, 1, 1)}
SIGNATURE = "float[B,4,6,6] x => float[B,5,H,W] y"
POOLS = [
    "AveragePool<kernel_shape=[2,3]>",
    "AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>",
    'AveragePool<kernel_shape=[3,3], strides=[2,2], auto_pad="SAME_UPPER">',
    "AveragePool<kernel_shape=[2,2], count_include_pad=1>",
    "MaxPool<kernel_shape=[2,2], strides=[2,2]>",
    'MaxPool<kernel_shape=[2,2], auto_pad="VALID">',
    "GlobalAveragePool",
    "GlobalMaxPool",
]


@pytest.mark.parametrize("pool", POOLS)
def test_forward(pool: str) -> None:
    folded = assert_folds(build(SIGNATURE, f"{NORM} p = {pool}(n) y = Conv(p, w)", **CHANNELS))
    assert operators(folded.model) == [pool.split("<")[0], "Conv"]


@pytest.mark.parametrize("pool", POOLS)
def test_backward(pool: str) -> None:
    body = f"c = Conv(x, w) p = {pool}(c) m = Mul(p, a) y = Add(m, b)"
    weights = {"a": (5, 1, 1), "b": (5, 1, 1), "w": (5, 4, 1, 1)}
    assert operators(assert_folds(build(SIGNATURE, body, **weights)).model)[0] == "Conv"


@pytest.mark.parametrize("opset", [7, 10, 11, 19, 22])
def test_one_dimension_at_every_form_of_the_operator(opset: int) -> None:
    body = f"{NORM} p = AveragePool<kernel_shape=[2], strides=[2]>(n) y = Conv(p, w)"
    signature = "float[B,4,6] x => float[B,3,3] y"
    assert_folds(build(signature, body, opset=opset, a=(4, 1), b=(4, 1), w=(3, 4, 1)))


def test_a_negative_scale_passes_a_mean() -> None:
    body = f"{NORM} p = GlobalAveragePool(n) y = Conv(p, w)"
    negative = np.float32([1, -2, 3, -0.5]).reshape(4, 1, 1)
    assert_folds(build(SIGNATURE, body, **{**CHANNELS, "a": negative}))


COUNTING = "AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>"


def test_a_scale_passes_counted_padding() -> None:
    body = f"n = Mul(x, a) p = {COUNTING}(n) y = Conv(p, w)"
    assert_folds(build(SIGNATURE, body, a=(4, 1, 1), w=(5, 4, 1, 1)))


REFUSALS = {
    "a negative scale before a maximum": (
        f"{NORM} p = MaxPool<kernel_shape=[2,2]>(n) y = Conv(p, w)",
        {**CHANNELS, "a": np.float32([1, 1, -1, 1]).reshape(4, 1, 1)},
        "the scale is negative in channel 2, and would turn a maximum into a minimum",
    ),
    "counted padding beyond the border": (
        "n = Mul(x, a) p = AveragePool<kernel_shape=[4,4], strides=[3,3], ceil_mode=1, "
        "count_include_pad=1>(n) y = Conv(p, w)",
        {"a": (4, 1, 1), "w": (5, 4, 1, 1)},
        "runtimes differ on what its last window covers",
    ),
    "columns": (
        f"{NORM} p = AveragePool<kernel_shape=[2,2]>(n) y = Conv(p, w)",
        {"a": (6,), "b": (6,), "w": (5, 4, 1, 1)},
        "it pools over an axis on which the scale varies",
    ),
    "columns of all": (
        f"{NORM} p = GlobalMaxPool(n) y = Conv(p, w)",
        {"a": (6,), "b": (6,), "w": (5, 4, 1, 1)},
        "it pools over an axis on which the scale varies",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    body, weights, reason = REFUSALS[case]
    assert_stays(build(SIGNATURE, body, **weights), reason)


def test_the_places_of_the_maxima_are_read() -> None:
    signature = "float[B,4,6,6] x => float[B,4,5,5] y, int64[B,4,5,5] i"
    body = f"{NORM} y, i = MaxPool<kernel_shape=[2,2]>(n)"
    body = body.replace("y, i =", "p, i =") + " y = Conv(p, w)"
    model = build(signature, body, a=(4, 1, 1), b=(4, 1, 1), w=(4, 4, 1, 1))
    assert_stays(model, "the places of its maxima are read")


@pytest.mark.parametrize("padding", ["pads=[1,1,1,1]", 'auto_pad="SAME_LOWER"'])
def test_a_shift_stays_in_front_of_counted_padding(padding: str) -> None:
    body = f"s = Add(x, b) n = Mul(s, a) p = AveragePool<kernel_shape=[3,3], {padding}, "
    body += "count_include_pad=1>(n) y = Relu(p)"
    model = build("float[B,4,6,6] x => float[B,4,H,W] y", body, a=(4, 1, 1), b=(4, 1, 1))
    assert_stays(model, "it counts padded zeros, which a shift would have to change")
