"""Weights that are stored in a type that makes them small stay in it, bit for bit."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto as T
from onnx import helper

from tests.support.graphs import NORM
from un_deploy.graph.fold.fold import fold_graph

TYPES = ("INT4", "UINT4", "INT8", "UINT8", "INT16", "UINT16", "INT32", "FLOAT4E2M1")
TYPES += ("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ")
FORMS = {
    "per tensor": ("DequantizeLinear(q, s)", ()),
    "per channel": ("DequantizeLinear<axis=1>(q, s)", (6,)),
    "in blocks": ("DequantizeLinear<axis=0, block_size=2>(q, s)", (2, 6)),
    "with zero points": ("DequantizeLinear<axis=1>(q, s, z)", (6,)),
}


def model(body: str, kind: str, scales: tuple[int, ...], opset: int = 23) -> ir.Model:
    """A norm in front of what `body` makes of weights q of shape (4, 6)."""
    proto = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": {opset}, "com.microsoft": 1]>'
        f"g (float[B,3,4] x) => (float[B,3,6] y) {{ {NORM} {body} }}"
    )
    rng = np.random.default_rng(0)
    floats = {"a": rng.random(4) + 0.5, "b": rng.random(4), "s": rng.random(scales) + 0.5}
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.float32(array), name) for name, array in floats.items()
    )
    number = 1.0 if kind.startswith("FLOAT") else 3
    shapes = {"q": (4, 6), "z": scales, "p": (6, 1, 2)}
    for name, shape in shapes.items():
        if f"{name}," in body or f"{name})" in body:
            count = int(np.prod(shape))
            numbers = [0 if kind == "INT32" and name == "z" else number] * count
            proto.graph.initializer.append(
                helper.make_tensor(name, getattr(T, kind), shape, numbers)
            )
    return ir.from_proto(proto)


def weights(model: ir.Model) -> dict[str, tuple[ir.DataType, bytes]]:
    tensors = {n: v.const_value for n, v in model.graph.initializers.items() if n in "qzp"}
    return {name: (t.dtype, t.tobytes()) for name, t in tensors.items() if t is not None}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("form", FORMS)
def test_of_any_type_and_form(form: str, kind: str) -> None:
    dequantised, scales = FORMS[form]
    given = model(f"w = {dequantised} y = MatMul(n, w)", kind, scales)
    folded = fold_graph(given.clone())
    assert weights(folded.model) == weights(given) and weights(given)["q"][0].name == kind
    (site,) = folded.report.sites
    assert site.status == "stayed"


@pytest.mark.parametrize("kind", ["INT8", "UINT4", "FLOAT8E4M3FN"])
@pytest.mark.parametrize(
    "made", ["f = Cast<to=1>(q) w = Mul(f, s)", "c = Identity(q) w = DequantizeLinear(c, s)"]
)
def test_whatever_makes_numbers_of_them(made: str, kind: str) -> None:
    given = model(f"{made} y = MatMul(n, w)", kind, ())
    folded = fold_graph(given.clone())
    assert weights(folded.model) == weights(given)
    assert [site.status for site in folded.report.sites] == ["stayed"]


def test_a_product_of_onnx_runtime_with_weights_of_4_bits() -> None:
    body = "y = com.microsoft.MatMulNBits<K=4, N=6, bits=4, block_size=16>(n, p, s)"
    given = model(body, "UINT8", (6,))
    folded = fold_graph(given.clone())
    assert weights(folded.model) == weights(given)
    (site,) = folded.report.sites
    assert "does not commute" in site.reason


def test_activations_that_are_quantised_too() -> None:
    body = (
        "i = QuantizeLinear(n, s, z) d = DequantizeLinear(i, s, z) w = DequantizeLinear(q, s) "
        "y = MatMul(d, w)"
    )
    given = model(body, "INT8", ())
    folded = fold_graph(given.clone())
    assert weights(folded.model) == weights(given)
    (site,) = folded.report.sites
    assert "QuantizeLinear" in site.reason


def test_a_linear_layer_beside_it_takes_nothing_either() -> None:
    """One reader with quantised weights keeps the norm for all."""
    body = "w = DequantizeLinear(q, s) h = MatMul(n, w) k = MatMul(n, v) y = Add(h, k)"
    given = model(body, "INT8", ())
    given.graph.register_initializer(
        ir.Value(name="v", const_value=ir.tensor(np.ones((4, 6), np.float32), name="v"))
    )
    node = next(n for n in given.graph if n.outputs[0].name == "k")
    node.replace_input_with(1, given.graph.initializers["v"])
    folded = fold_graph(given.clone())
    assert weights(folded.model) == weights(given)


def test_a_bias_of_int32_stays_too() -> None:
    """A shift alone would go into it."""
    proto = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 23]> g (float[B,4,5] x) => (float[B,6,5] y) {'
        " n = Add(x, b) w = DequantizeLinear(q, s) c = DequantizeLinear(p, s) y = Conv(n, w, c) }"
    )
    rng = np.random.default_rng(0)
    for name, array in {
        "b": np.float32(rng.random((4, 1))), "s": np.float32(0.1),
        "q": rng.integers(-9, 9, (6, 4, 1)).astype(np.int8),
        "p": rng.integers(-9, 9, 6).astype(np.int32),
    }.items():  # fmt: skip
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    given = ir.from_proto(proto)
    folded = fold_graph(given.clone())
    assert weights(folded.model) == weights(given)
