"""The mean over tokens lets a norm through, the mean over channels does not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build

WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[1], [-2], [0, 1]])
def test_forward(axes: list[int], keepdims: int) -> None:
    rank = 3 if keepdims else 3 - len(axes)
    out = {1: "5", 2: "B,5", 3: "1,1,5" if len(axes) == 2 else "B,1,5"}[rank]
    reduce = f"t = ReduceMean<keepdims={keepdims}>(n, i)"
    body = f"{NORM} {reduce} y = MatMul(t, w)"
    assert_folds(build(f"float[B,3,4] x => float[{out}] y", body, **WEIGHTS, i=axes))


@pytest.mark.parametrize("keepdims", [0, 1])
def test_backward_into_a_table(keepdims: int) -> None:
    body = f"""e = Gather(table, ids) t = ReduceMean<keepdims={keepdims}>(e, i)
               m = Mul(t, a) y = Add(m, b)"""
    out = "1,4" if keepdims else "4"
    model = build(f"int64[3] ids => float[{out}] y", body, a=(4,), b=(4,), table=(9, 4), i=[0])
    assert_folds(model)


def test_axes_as_an_attribute() -> None:
    body = f"{NORM} t = ReduceMean<axes=[-2]>(n) y = MatMul(t, w)"
    assert_folds(build("float[B,3,4] x => float[B,1,5] y", body, opset=17, **WEIGHTS))


def test_no_axes_and_told_to_do_nothing() -> None:
    body = f"{NORM} t = ReduceMean<noop_with_empty_axes=1>(n) y = MatMul(t, w)"
    assert_folds(build("float[B,3,4] x => float[B,3,5] y", body, **WEIGHTS))


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax", "ReduceMin"])
@pytest.mark.parametrize("opset", [11, 20])
def test_sums_and_extremes(op: str, keepdims: int, opset: int) -> None:
    """Axes as an attribute and as an input."""
    given = "(n, i)" if opset == 20 else "(n)"
    axes = "" if opset == 20 else ", axes=[1]"
    body = f"{NORM} t = {op}<keepdims={keepdims}{axes}>{given} y = MatMul(t, w)"
    out = "B,1,5" if keepdims else "B,5"
    more = {"i": [1]} if opset == 20 else {}
    assert_folds(build(f"float[B,3,4] x => float[{out}] y", body, opset=opset, **WEIGHTS, **more))


def test_a_sum_has_the_shift_as_often_as_it_has_terms() -> None:
    body = f"{NORM} y = ReduceSum<keepdims=0>(n, i)"
    body = body.replace("y =", "t =") + " y = MatMul(t, w)"
    model = build(
        "float[B,3,2] x => float[B,1] y", body, i=[1],
        a=np.float32([2, 3]), b=np.float32([1, 10]), w=np.float32([[1], [1]]),
    )  # fmt: skip
    bias = assert_folds(model).exact["w_folded_bias"]()
    assert bias.tolist() == [3 * (1 + 10)]


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMax"])
def test_backward_over_known_sizes(op: str) -> None:
    body = f"p = MatMul(x, w) t = {op}<keepdims=0>(p, i) m = Mul(t, a) y = Add(m, b)"
    weights = {"a": (5,), "b": (5,), "w": (4, 5), "i": [1]}
    assert_folds(build("float[B,3,4] x => float[B,5] y", body, **weights))


def test_a_scale_alone_passes_a_sum_over_an_unknown_size() -> None:
    body = "n = Mul(x, a) t = ReduceSum<keepdims=0>(n, i) y = MatMul(t, w)"
    assert_folds(build("float[B,N,4] x => float[B,5] y", body, a=(4,), w=(4, 5), i=[1]))


REFUSALS = {
    "a shift, as often as nobody knows": (
        "float[B,N,4] x => float[B,4] y",
        f"{NORM} y = ReduceSum<keepdims=0>(n, i)",
        {"a": (4,), "b": (4,), "i": [1]},
        "as often as an axis of unknown size has entries",
    ),
    "a negative scale of a maximum": (
        "float[B,3,4] x => float[B,4] y",
        f"{NORM} y = ReduceMax<keepdims=0>(n, i)",
        {"a": np.float32([1, -1, 1, 1]), "b": (4,), "i": [1]},
        "the scale is negative in channel 1, and would exchange maximum and minimum",
    ),
    "the sum over channels": (
        "float[B,3,4] x => float[B,3] y",
        f"{NORM} y = ReduceSum<keepdims=0>(n, i)",
        {"a": (4,), "b": (4,), "i": [2]},
        "it sums over an axis on which the scale varies",
    ),
    "the mean over channels": (
        "float[B,3,4] x => float[B,3] y",
        f"{NORM} y = ReduceMean<keepdims=0>(n, i)",
        {"a": (4,), "b": (4,), "i": [-1]},
        "it takes the mean over an axis on which the scale varies",
    ),
    "the mean over all axes": (
        "float[B,3,4] x => float[1,1,1] y",
        f"{NORM} y = ReduceMean(n)",
        {"a": (4,), "b": (4,)},
        "it takes the mean over an axis on which the scale varies",
    ),
    "the mean over computed axes": (
        "float[2,3,4] x, int64[1] i => float[2,1,5] y",
        f"{NORM} t = ReduceMean(n, i) y = MatMul(t, w)",
        WEIGHTS,
        "its axes are computed",
    ),
    "a contradicted shape": (
        "float[2,3,4] x => float[2,1,5] y",
        f"{NORM} d = Identity(n) t = ReduceMean(d, i) y = MatMul(t, w)",
        {**WEIGHTS, "i": [1], "claims": "float[7] d"},
        "the shape of 'd' is unknown",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)
