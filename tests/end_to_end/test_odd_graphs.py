"""Graphs that ended in a traceback once: each is folded, proven, and computes what it did."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

import un_deploy
from tests.support.graphs import NORM, build

onnxruntime = pytest.importorskip("onnxruntime")


def outputs(model: ir.Model, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """In ONNX Runtime, which has seen nothing of the fold."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    proto = ir.to_proto(model).SerializeToString()
    session = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, feeds)
    return found


def check(model: ir.Model, feeds: dict[str, np.ndarray], folds: int | None = None) -> None:
    folded, report = un_deploy.fold(model)
    assert folds in (None, len(report.folded))
    assert un_deploy.verify(model, folded).passed
    for old, new in zip(outputs(model, feeds), outputs(folded, feeds), strict=True):
        assert old.shape == new.shape
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-5)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("end", [2**31, 10**10, 2**62, 2**63 - 1])
@pytest.mark.parametrize(("start", "step"), [(1, 1), (-2, 1), (0, 2)])
def test_a_slice_that_ends_far_beyond_its_axis(end: int, start: int, step: int) -> None:
    """An end was taken for a size: one of 2 ** 31 was a tensor of gigabytes."""
    model = build(
        "float[2,N,4] x => float[2,M,5] y",
        "t = Slice(x, s, e, ax, st) m = Mul(t, a) n = Add(m, b) y = MatMul(n, k)",
        a=(4,), b=(4,), k=(4, 5), s=[start], e=[end], ax=[1], st=[step],
    )  # fmt: skip
    check(model, {"x": random(2, 5, 4)})


@pytest.mark.parametrize(
    "body",
    [
        "n = BatchNormalization(c, s, b, u, a)",
        "d = Neg(c) n = BatchNormalization(d, s, b, u, a)",
        "m = Mul(c, a) n = Add(m, b)",
        "d = MatMul(c, w) n = BatchNormalization(d, s, b, u, a)",
    ],
)
def test_a_norm_of_a_constant(body: str) -> None:
    text = f"{body} y = Add(x, n)"
    vectors = dict.fromkeys("sbua", (4,))
    model = build("float[2,4] x => float[2,4] y", text, c=(2, 4), w=(4, 4), **vectors)
    check(model, {"x": random(2, 4)}, folds=0)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("int64", np.int64), ("int32", np.int32), ("bool", bool), ("float", "f4")]
)
@pytest.mark.parametrize("shape", ["0", "0,3", "2,0"])
def test_an_input_of_size_zero(kind: str, dtype: type, shape: str) -> None:
    model = build(
        f"float[B,3,6] x, {kind}[{shape}] p => float[B,3,5] y, {kind}[{shape}] q",
        f"{NORM} y = MatMul(n, k) q = Identity(p)",
        a=(6,), b=(6,), k=(6, 5),
    )  # fmt: skip
    sizes = [int(size) for size in shape.split(",")]
    check(model, {"x": random(2, 3, 6), "p": np.zeros(sizes, dtype)}, folds=1)


@pytest.mark.parametrize("sizes", [(6, 1), (1, 6), (1, 6, 1, 1)])
def test_a_batch_normalization_whose_parameters_are_no_vectors_stays(
    sizes: tuple[int, ...],
) -> None:
    """No runtime takes it; the fold leaves it, and says why."""
    model = build(
        "float[B,6,4] x => float[B,6,4] y",
        "n = BatchNormalization(x, s, b, u, a) y = Relu(n)",
        s=(6,), b=sizes, u=(6,), a=(6,),
    )  # fmt: skip
    _, report = un_deploy.fold(model, verify=False)
    assert not report.folded
    (norm,) = report.stayed
    assert norm.reason == "its parameters are not one number for each channel"


@pytest.mark.parametrize("sizes", [(6,), (1, 6, 5), ()])
def test_a_gemm_whose_weight_is_no_matrix_absorbs_nothing(sizes: tuple[int, ...]) -> None:
    text = f"{NORM} y = Gemm(n, k)"
    model = build("float[B,6] x => float[B,5] y", text, a=(6,), b=(6,), k=sizes)
    _, report = un_deploy.fold(model, verify=False)
    assert not report.folded
