"""The operators that stand in for onnx's own, against onnx's where that is right."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from tests.support.graphs import build
from un_deploy.graph.analysis.reference import Float64


def evaluate(node: ir.Node, *inputs: np.ndarray, opset: int = 20) -> np.ndarray:
    return Float64({"": opset}, 10).node(node, inputs)[0]


@pytest.mark.parametrize("opset", [11, 13, 14, 15, 20])
def test_batch_normalization_uses_the_stored_statistics(opset: int) -> None:
    """Before opset 14 onnx's evaluator mixes in the batch's, whatever the momentum."""
    signature = "float[2,3,4] x, float[3] s, float[3] b, float[3] m, float[3] v => float[2,3,4] y"
    body = "y = BatchNormalization<epsilon=0.25, momentum=0.9>(x, s, b, m, v)"
    (node,) = build(signature, body, opset=opset).graph
    rng = np.random.default_rng(0)
    x, (s, b, m, v) = rng.standard_normal((2, 3, 4)), rng.uniform(0.5, 1.5, (4, 3, 1))
    got = evaluate(node, x, *(p.ravel() for p in (s, b, m, v)), opset=opset)
    np.testing.assert_allclose(got, s * (x - m) / np.sqrt(v + 0.25) + b, rtol=1e-14)


@pytest.mark.parametrize("spatial", [(5,), (5, 4), (2, 3, 4)])
def test_global_max_pool_of_any_rank(spatial: tuple[int, ...]) -> None:
    (node,) = build("float x => float y", "y = GlobalMaxPool(x)").graph
    x = np.random.default_rng(0).standard_normal((2, 3, *spatial))
    pooled = evaluate(node, x)
    assert pooled.shape == (2, 3, *[1] * len(spatial))
    assert pooled.ravel().tolist() == [x[i, c].max() for i in range(2) for c in range(3)]


@pytest.mark.parametrize(
    ("attributes", "spatial"),
    [
        ("", (5,)),
        ("strides=[2,3]", (5, 4)),
        ("strides=[2,2], pads=[1,0,2,1]", (5, 4)),
        ("strides=[3,2], output_padding=[2,1], pads=[1,1,1,1]", (5, 4)),
        ("dilations=[2,1], pads=[0,1,1,0]", (5, 4)),
        ('auto_pad="SAME_UPPER", strides=[2,2]', (5, 4)),
        ("output_shape=[11,9], strides=[2,2], pads=[0,0,0,0]", (5, 4)),
        ("strides=[2,1,2]", (2, 3, 4)),
    ],
)
def test_transposed_convolution_is_onnx_s_of_one_group(
    attributes: str, spatial: tuple[int, ...]
) -> None:
    text = (
        f"y = ConvTranspose<{attributes}>(x, w, b)" if attributes else "y = ConvTranspose(x, w, b)"
    )
    model = build("float x, float w, float b => float y", text)
    (node,) = model.graph
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in ((2, 3, *spatial), (3, 4, *[3] * len(spatial)), 4))
    got = evaluate(node, x, w, b)
    (wanted,) = ReferenceEvaluator(ir.to_proto(model)).run(None, {"x": x, "w": w, "b": b})
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


def test_transposed_convolution_in_groups_is_one_a_group() -> None:
    (grouped,) = build(
        "float x, float w, float b => float y", "y = ConvTranspose<group=2, strides=[2,2]>(x, w, b)"
    ).graph
    (single,) = build(
        "float x, float w, float b => float y", "y = ConvTranspose<strides=[2,2]>(x, w, b)"
    ).graph
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in ((2, 6, 4, 5), (6, 2, 3, 3), 4))
    got = evaluate(grouped, x, w, b)
    first, second = (
        evaluate(single, x[:, half], w[half], b[out])
        for half, out in ((slice(3), slice(2)), (slice(3, 6), slice(2, 4)))
    )
    np.testing.assert_allclose(got, np.concatenate([first, second], axis=1), rtol=0, atol=1e-12)
