"""Scales, weights, tables and indices that operators compute: ONNX Runtime judges what is folded.

onnx's reference evaluator gets each of these wrong, or float64 does. Whatever is not on the closed
list of evaluators stays as it is, and so does the norm that would have to go through it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.support.graphs import NORM, build, feeds_for, to_bytes
from un_deploy.graph.fold.fold import fold_graph

RNG = np.random.default_rng(0)


def small(*shape: int) -> np.ndarray:
    """Statistics that an epsilon of 1e-5 is not lost in."""
    return RNG.uniform(1e-3, 2e-2, shape).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A graph whose constants are computed; `folds` norms go."""

    signature: str
    body: str
    constants: dict[str, Any] = field(default_factory=dict)
    opset: int = 17
    folds: int = 1


ROWS, ROW_WEIGHTS = "float[B,3,4] x => float[B,3,5] y", {"a": (4,), "b": (4,), "k": (4, 5)}
IMAGE = "float[B,3,8,8] x => float[B,4,8,8] y"
BATCH_NORM = "y = BatchNormalization(c, a, b, u, v)"
STATISTICS = {"a": (4,), "b": (4,), "u": (4,), "v": np.abs(RNG.standard_normal(4)).astype("f") + 1}
CHANNELS = {"a": (3, 10), "b": (3, 10), "ten": np.float32([10]), "k": (3, 3)}
PICKED = "float[B,3,10] x => float[B,3] y"
RATIO = {"ratio": np.float32([0.7])}

CASES = {
    # A scale along the batch axis: no Conv takes it.
    "a scale with axes from the back": Case(
        "float[4,4,6] x => float[4,5,6] y",
        "s2 = Unsqueeze<axes=[-2,-1]>(a) n = Mul(x, s2) y = Conv(n, k)",
        {"a": (4,), "k": (5, 4, 1)},
        opset=11,
        folds=0,
    ),
    "a scale with axes in no order": Case(
        "float[2,4,6,6] x => float[2,5,6,6] y",
        "s2 = Unsqueeze<axes=[2,1]>(a) n = Mul(x, s2) y = Conv(n, k)",
        {"a": (4,), "k": (5, 4, 1, 1)},
        opset=12,
    ),
    "a scale squeezed from the back": Case(
        ROWS,
        "s2 = Squeeze<axes=[-1,-3]>(a) n = Mul(x, s2) y = MatMul(n, k)",
        {"a": (1, 4, 1), "k": (4, 5)},
        opset=11,
    ),
    "a weight with axes from the back": Case(
        IMAGE,
        f"k4 = Unsqueeze<axes=[-2,-1]>(k) c = Conv(x, k4) {BATCH_NORM}",
        {"k": (4, 3), **STATISTICS},
        opset=11,
    ),
    "a weight with axes in no order": Case(
        IMAGE,
        f"k4 = Unsqueeze<axes=[3,2]>(k) c = Conv(x, k4) {BATCH_NORM}",
        {"k": (4, 3), **STATISTICS},
        opset=12,
    ),
    "a weight squeezed from the back": Case(
        ROWS,
        f"k2 = Squeeze<axes=[-1,-2]>(k) {NORM} y = MatMul(n, k2)",
        {**ROW_WEIGHTS, "k": (4, 5, 1, 1)},
        opset=11,
    ),
    "the default epsilon beside a small variance": Case(
        IMAGE, f"c = Conv(x, k) {BATCH_NORM}", {"k": (4, 3, 1, 1), **STATISTICS, "v": small(4)}
    ),
    "the default epsilon behind a transposed convolution": Case(
        IMAGE,
        f"c = ConvTranspose(x, k) {BATCH_NORM}",
        {"k": (3, 4, 1, 1), **STATISTICS, "v": small(4)},
    ),
    "the default epsilon alone": Case(
        "float[B,3] x => float[B,4] y",
        f"c = MatMul(x, k) {BATCH_NORM}",
        {"k": (3, 4), **STATISTICS, "v": np.zeros(4, np.float32)},
    ),
    "Softmax over all axes from one on": Case(
        ROWS, f"{NORM} w = Softmax<axis=0>(k) y = MatMul(n, w)", ROW_WEIGHTS, opset=12, folds=0
    ),
    "LogSoftmax over all axes from one on": Case(
        ROWS, f"{NORM} w = LogSoftmax<axis=0>(k) y = MatMul(n, w)", ROW_WEIGHTS, opset=11, folds=0
    ),
    "Hardmax over all axes from one on": Case(
        ROWS, f"{NORM} w = Hardmax<axis=0>(k) y = MatMul(n, w)", ROW_WEIGHTS, opset=12, folds=0
    ),
    "a weight normalised by absolute values": Case(
        ROWS, f"{NORM} w = LpNormalization<axis=0, p=1>(k) y = MatMul(n, w)", ROW_WEIGHTS, folds=0
    ),
    "a table that is pooled, the last window cut": Case(
        ROWS,
        f"{NORM} t = AveragePool<kernel_shape=[3,1], strides=[3,1], ceil_mode=1>(p)"
        " u = Squeeze(t, z) q = Add(n, u) y = MatMul(q, k)",
        {**ROW_WEIGHTS, "p": (1, 1, 7, 4), "z": [0, 1]},
    ),
    "a table that is pooled with pads in front": Case(
        ROWS,
        f"{NORM} t = MaxPool<kernel_shape=[2,1], strides=[2,1], "
        'auto_pad="SAME_LOWER">(p) u = Squeeze(t, z) q = Add(n, u) y = MatMul(q, k)',
        {**ROW_WEIGHTS, "p": (1, 1, 5, 4), "z": [0, 1]},
    ),
    "a table normalised across channels": Case(
        "float[4,3,4] x => float[4,3,5] y",
        f"{NORM} t = LRN<size=3>(p) u = Squeeze(t, z) q = Add(n, u) y = MatMul(q, k)",
        {**ROW_WEIGHTS, "p": (1, 4, 3, 4), "z": [0]},
        folds=0,
    ),
    "a table brought to another length by its corners": Case(
        ROWS,
        f'{NORM} t = Resize<mode="linear", coordinate_transformation_mode="align_corners">(p, , s)'
        " u = Squeeze(t, z) q = Add(n, u) y = MatMul(q, k)",
        {**ROW_WEIGHTS, "p": (1, 1, 5, 4), "s": np.float32([1, 1, 0.7, 1]), "z": [0, 1]},
        folds=0,
    ),
    "a table brought to another length by the nearest": Case(
        ROWS,
        f'{NORM} t = Resize<mode="nearest">(p, , s) u = Squeeze(t, z) q = Add(n, u)'
        " y = MatMul(q, k)",
        {**ROW_WEIGHTS, "p": (1, 1, 6, 4), "s": np.float32([1, 1, 0.5, 1]), "z": [0, 1]},
    ),
    "an index computed in float32": Case(
        PICKED,
        f"{NORM} f = Mul(ten, ratio) i = Cast<to=7>(f) c = Gather<axis=2>(n, i)"
        " d = Squeeze(c, two) y = MatMul(d, k)",
        {**CHANNELS, **RATIO, "two": [2]},
    ),
    "a bound computed in float32": Case(
        "float[B,10] x => float[B,5] y",
        f"{NORM} f = Mul(ten, ratio) e = Cast<to=7>(f) c = Slice(n, zero, e, one)"
        " y = MatMul(c, k)",
        {"a": (10,), "b": (10,), "ten": np.float32([10]), **RATIO, "zero": [0], "one": [1],
         "k": (7, 5)},
    ),
    "numbers compared in float32": Case(
        ROWS,
        "f = Mul(ten, ratio) q = Equal(f, seven) s = Where(q, a, r) n = Mul(x, s)"
        " y = MatMul(n, k)",
        {"a": (4,), "r": (4,), "k": (4, 5), "ten": np.float32([10]), **RATIO,
         "seven": np.float32([7])},
    ),
    "a weight that was in float16": Case(
        ROWS, f"{NORM} h = Cast<to=10>(k) w = Cast<to=1>(h) y = MatMul(n, w)", ROW_WEIGHTS
    ),
    "a scale that was in float16": Case(
        ROWS,
        "h = Cast<to=10>(a) s = Cast<to=1>(h) n = Mul(x, s) y = MatMul(n, k)",
        {"a": (4,), "k": (4, 5)},
    ),
    "a weight that is filled": Case(
        ROWS,
        f"{NORM} w = ConstantOfShape<value=float[1] {{2.0}}>(s) y = MatMul(n, w)",
        {"a": (4,), "b": (4,), "s": [4, 5]},
    ),
    "indices that are not there": Case(
        PICKED,
        f"{NORM} f = Sub(i, i) c = Gather<axis=2>(n, f) d = Squeeze(c, two) y = MatMul(d, k)",
        {"a": (3, 10), "b": (3, 10), "k": (3, 3), "i": [7], "two": [2]},
    ),
    "statistics normalised by statistics": Case(
        ROWS,
        "s = BatchNormalization(g, a, b, u, v) n = Mul(x, s) y = MatMul(n, k)",
        {"g": (1, 4), **STATISTICS, "k": (4, 5)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_onnx_runtime_gives_the_same_before_and_after(case: Case) -> None:
    model = build(case.signature, case.body, opset=case.opset, **case.constants)
    folded = fold_graph(model.clone())
    feeds = feeds_for(model)
    (before,), (after,) = (_run(to_bytes(one), feeds) for one in (model, folded.model))
    assert before.shape == after.shape
    np.testing.assert_allclose(after, before, rtol=0, atol=2e-6 * np.abs(before).max())
    assert len(folded.report.folded) == case.folds, [s.reason for s in folded.report.stayed]


def _run(model: bytes, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)
