"""TensorRT takes symmetric int8 in QDQ form; every other form is refused before a build."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.engines.building.from_graph import PreparedGraph, engine_of, prepare
from un_deploy.errors import InputError

SIGNATURE = "float[2,16] x => float[2,8] y"
QDQ = "k = QuantizeLinear(x, s, z) d = DequantizeLinear(k, s, z)"
LINEAR = "w = DequantizeLinear(q, s) h = MatMul(d, w)"
BIASED = f"{QDQ} {LINEAR} b = DequantizeLinear(c, one, zero) y = Add(h, b)"
"""As quantize_static writes a bias: its scale in a list of one, its zero point alone."""

FORM = "TensorRT takes int8 as QuantizeLinear and DequantizeLinear with zero points of 0"


def model(body: str, zero: int = 0, kind: type = np.int8) -> ir.Model:
    rng = np.random.default_rng(0)
    constants = {
        "s": np.array(0.1, np.float32),
        "z": np.array(zero, kind),
        "one": np.array([0.1], np.float32),
        "zero": np.array(0, np.int32),
        "q": rng.integers(-127, 127, (16, 8), np.int8),
        "c": rng.integers(-999, 999, 8, np.int32),
        "u": np.ones((16, 8), np.uint8),
        "f": rng.standard_normal((16, 8)).astype(np.float32),
    }
    for name in constants.keys() - read(body):
        del constants[name]
    return build(SIGNATURE, body, 21, np.float32, "", **constants)


def loaded(prepared: PreparedGraph) -> onnx.GraphProto:
    return onnx.load(prepared.saved()).graph


def read(body: str) -> set[str]:
    return set(body.replace("(", " ").replace(")", " ").replace(",", " ").split())


def test_a_bias_of_int32_becomes_the_numbers_that_it_stands_for() -> None:
    given = model(BIASED)
    stored = given.graph.initializers["c"].const_value
    assert stored is not None
    graph = loaded(prepare(given, None))
    kinds = [node.op_type for node in graph.node]
    assert kinds == ["QuantizeLinear", "DequantizeLinear", "DequantizeLinear", "MatMul", "Add"]
    (bias,) = (tensor for tensor in graph.initializer if tensor.name == graph.node[-1].input[1])
    wanted = stored.numpy().astype(np.float32) * np.float32(0.1)
    assert np.array_equal(onnx.numpy_helper.to_array(bias), wanted)
    assert "c" not in {tensor.name for tensor in graph.initializer}
    assert "c" in given.graph.initializers and len(given.graph) == 6


@pytest.mark.parametrize(
    ("body", "zero", "kind", "why"),
    [
        (BIASED, 3, np.int8, r"the zero point of 'QuantizeLinear_0' \(QuantizeLinear\) is not 0"),
        (BIASED, 0, np.uint8, r"\(QuantizeLinear\) is of uint8, which TensorRT would compute"),
        (
            "w = DequantizeLinear(u, s) y = MatMul(x, w)",
            0,
            np.int8,
            r"'DequantizeLinear_0' \(DequantizeLinear\) is of uint8",
        ),
        ("k = QuantizeLinear(x, s) y = Cast<to=1>(k)", 0, np.int8, "is of uint8"),
        (
            "k, t, o = DynamicQuantizeLinear(x) i = MatMulInteger(k, q, o) y = Cast<to=1>(i)",
            0,
            np.int8,
            r"with operators \(1 DynamicQuantizeLinear, 1 MatMulInteger\)",
        ),
        (
            "k = QuantizeLinear(x, s, z) l = QLinearMatMul(k, s, z, q, s, z, s, z) "
            "y = DequantizeLinear(l, s, z)",
            0,
            np.int8,
            r"with operators \(1 QLinearMatMul\)",
        ),
    ],
)
def test_what_tensorrt_does_not_take_is_refused_by_name(
    body: str, zero: int, kind: type, why: str
) -> None:
    with pytest.raises(InputError, match=f"{why}.*: {FORM}"):
        prepare(model(body, zero, kind), None)


def test_a_precision_is_refused_where_the_file_has_its_own() -> None:
    with pytest.raises(InputError, match="in what types it computes: leave precision away"):
        prepare(model(BIASED), "fp16")
    weights = model("w = DequantizeLinear(q, s) y = MatMul(x, w)")
    assert prepare(weights, "fp16").precision is not None


def test_a_graph_that_is_not_quantised_is_what_it_was() -> None:
    graph = loaded(prepare(model("y = MatMul(x, f)"), None))
    assert [node.op_type for node in graph.node] == ["MatMul"]


def test_tensorrt_rtx_builds_it_and_multiplies_in_int8() -> None:
    pytest.importorskip("tensorrt_rtx")
    engine = engine_of(prepare(model(BIASED), None), origin="net", flavor="tensorrt-rtx")
    kernels = engine.built.kernels
    (product,) = (kernel for kernel in kernels if kernel.layer_type == "gemm")
    assert product.inputs[0].type == "Int8"
