"""Pad lets through what is alike along the padded axes; zeros are zeros behind a scale alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, operators
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

SIGNATURE = "float[B,5,4] x => float[B,N,3] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 3)}
AROUND = [0, 1, 0, 0, 2, 0]


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap"])
def test_copies_obey_a_shift(mode: str) -> None:
    body = f'{NORM} p = Pad<mode="{mode}">(n, pads) y = MatMul(p, w)'
    folded = assert_folds(build(SIGNATURE, body, **WEIGHTS, pads=AROUND))
    assert operators(folded.model) == ["Pad", "MatMul", "Add"]


@pytest.mark.parametrize("mode", ["constant", "edge"])
def test_a_width_of_zero_adds_nothing(mode: str) -> None:
    body = f'{NORM} p = Pad<mode="{mode}">(n, pads, one) y = MatMul(p, w)'
    assert_folds(build(SIGNATURE, body, **WEIGHTS, pads=[0] * 6, one=np.ones((), np.float32)))


def test_cutting_off_adds_nothing() -> None:
    """onnx's reference does not run it, so the proof alone judges."""
    body = f"{NORM} p = Pad(n, pads) y = MatMul(p, w)"
    model = build(SIGNATURE, body, **WEIGHTS, pads=[0, -1, 0, 0, -2, 0])
    folded = fold_graph(model.clone())
    assert folded.report.folded and prove(model, folded).passed


@pytest.mark.parametrize("opset", [9, 11, 18])
def test_zeros_behind_a_scale(opset: int) -> None:
    """Widths as an attribute, as an input, and with axes."""
    pad = {
        9: "Pad<pads=[0,1,0,0,2,0]>(n)",
        11: "Pad(n, pads, zero)",
        18: "Pad(n, pads, zero, axes)",
    }[opset]
    more = {"pads": AROUND if opset == 11 else [1, 2], "zero": np.zeros((), np.float32)}
    more |= {"axes": [-2]} if opset == 18 else {}
    used = {name: given for name, given in more.items() if name in pad}
    body = f"n = Mul(x, a) p = {pad} y = MatMul(p, w)"
    assert_folds(build(SIGNATURE, body, opset=opset, a=(4,), w=(4, 3), **used))


def test_backward() -> None:
    body = "p = MatMul(x, w) q = Pad(p, pads) y = Mul(q, a)"
    model = build(SIGNATURE, body, a=(3,), w=(4, 3), pads=AROUND)
    assert operators(assert_folds(model).model) == ["MatMul", "Pad"]


ONE = np.ones((), np.float32)
REFUSALS = {
    "zeros behind a shift": (
        f"{NORM} p = Pad(n, pads) y = Relu(p)",
        {"a": (4,), "b": (4,), "pads": AROUND},
        "it puts in a constant, which a shift would have to change",
    ),
    "ones behind a scale": (
        "n = Mul(x, a) p = Pad(n, pads, one) y = MatMul(p, w)",
        {"a": (4,), "w": (4, 3), "pads": AROUND, "one": ONE},
        "it puts in another constant than zero",
    ),
    "channels are padded": (
        f'{NORM} p = Pad<mode="edge">(n, pads) y = MatMul(p, w)',
        {"a": (4,), "b": (4,), "w": (6, 3), "pads": [0, 0, 1, 0, 0, 1]},
        "it pads along an axis on which the scale varies",
    ),
    "widths for another rank": (
        "n = Mul(x, a) p = Pad(n, pads) y = MatMul(p, w)",
        {"a": (4,), "w": (4, 3), "pads": [0, 1, 0, 1]},
        "its widths do not fit the tensor",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    body, weights, reason = REFUSALS[case]
    assert_stays(build("float[B,5,4] x => float[B,N,M] y", body, **weights), reason)


@pytest.mark.parametrize("inputs", ["(n, pads)", "(n, zeros, one)"])
def test_what_is_computed_is_refused(inputs: str) -> None:
    signature = "float[B,5,4] x, int64[6] pads, float one => float[B,N,3] y"
    body = f"n = Mul(x, a) p = Pad{inputs} y = MatMul(p, w)"
    more = {"zeros": AROUND} if "zeros" in inputs else {}
    reason = "another constant than zero" if more else "its widths are computed"
    assert_stays(build(signature, body, a=(4,), w=(4, 3), **more), reason)


def test_a_computed_fill_is_not_scaled() -> None:
    signature = "float[B,5,4] x, float[1,4] z => float[B,N,3] y"
    body = "s = Mul(z, a) f = ReduceMax<keepdims=0>(s) p = Pad(x, pads, f) y = MatMul(p, w)"
    assert_stays(build(signature, body, a=(4,), w=(4, 3), pads=AROUND), "over an axis on which")
