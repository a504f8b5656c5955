"""Kernels of standard TensorRT, from its inspector: on a double that tells what 10 and 11 tell.

The texts are those of NVIDIA's trt-engine-explorer, of its guide to the inspector of 11, and of
layers that users published; no machine that this was made on runs standard TensorRT.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.doubles import tensorrt_double as double
from tests.support.graphs import build as graph
from un_deploy.engines.kernels.check_types import TypeReport, check_types
from un_deploy.engines.kernels.inspected import engine_kernels
from un_deploy.engines.kernels.kernels import Kernel
from un_deploy.engines.log import logger
from un_deploy.errors import InputError
from un_deploy.graph.precision.convert import to_precision

SAID_BY_10 = """Layers:
Name: /fc/MatMul_myl0_1, LayerType: gemm, Inputs: [ { Name: x, Dimensions: [8,64], \
Format/Datatype: Half }], Outputs: [ { Name: y, Dimensions: [8,64], Format/Datatype: Half }], \
TacticName: sm80_xmma_gemm_f16f16, StreamId: 0, Metadata: [ONNX Layer: MatMul_2]
"""
"""What the builder of TensorRT 10 says: not the form that is read."""

UNTOLD = "N/A due to dynamic shapes"


@pytest.fixture(autouse=True)
def standard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The double stands in for TensorRT."""
    monkeypatch.setitem(sys.modules, "tensorrt", double)
    logger.cache_clear()
    double.calls.clear()
    yield
    logger.cache_clear()


def tensor(name: str, type_: str, dims: tuple[int, ...] = (8, 64), version: int = 10) -> Any:
    if version == 10:
        kind = {"Location": "Device", "Format/Datatype": type_}
    else:
        kind = {"Format": "Row major linear (kLINEAR)", "Datatype": type_}
    return {"Name": name, "Dimensions": list(dims), **kind}


def layers_of_10(type_: str = "Half", weights: str = "Half", rows: int = 8) -> list[Any]:
    """A reformat, a convolution with its weights aside, and a product in a generated kernel."""
    x, h, y = (tensor(name, type_, (rows, 64)) for name in "xhy")
    return [
        {
            "Name": "Reformatting CopyNode for Input Tensor 0 to Conv_0 + Relu_1",
            "LayerType": "Reformat",
            "Inputs": [tensor("image", "Row major linear FP32", (rows, 64))],
            "Outputs": [x],
            "ParameterType": "Reformat",
            "TacticValue": "0x00000000000003e8",
            "StreamId": 0,
            "Metadata": "",
        },
        {
            "Name": "Conv_0 + Relu_1",
            "LayerType": "CaskConvolution",
            "Inputs": [x],
            "Outputs": [h],
            "ParameterType": "Convolution",
            "Weights": {"Type": weights, "Count": 9408},
            "Bias": {"Type": "Float", "Count": 64},
            "TacticName": "sm80_xmma_fprop_implicit_gemm_f16f16",
            "StreamId": 0,
            "Metadata": "[ONNX Layer: Conv_0]\x1f[ONNX Layer: Relu_1]",
        },
        {
            "Name": "__myl_FcAdd_myl0_1",
            "LayerType": "fusion",
            "Inputs": [h, tensor("__mye1_dconst", weights, (64, 64))],
            "Outputs": [y],
            "TacticName": "",
            "StreamId": 0,
            "Metadata": "[ONNX Layer: MatMul_2][ONNX Layer: Add_3]",
        },
        {"Name": "shape", "LayerType": "NoOp", "Inputs": [y], "Outputs": [y], "Metadata": ""},
    ]


def layers_of_11(type_: str = "Half") -> list[Any]:
    return [
        {
            "Name": f"{node}_myl0_{index}",
            "LayerType": "gemm" if node == "MatMul_2" else "correlation",
            "Inputs": [tensor("x", type_, version=11)],
            "Constants": [tensor("w", type_, (64, 64), version=11)],
            "Outputs": [tensor("y", type_, version=11)],
            "TacticName": "",
            "StreamId": 0,
            "Metadata": f"[ONNX Layer: {node}]",
        }
        for index, node in enumerate(("Conv_0", "MatMul_2"))
    ]


def kernels(layers: list[Any], said: str = "", rows: int = 8, **spec: Any) -> tuple[Kernel, ...]:
    shape = [rows, 64]
    plan = double.plan(
        inputs={"image": {"dtype": "FLOAT", "shape": shape}},
        outputs={"y": {"dtype": "FLOAT", "shape": shape, "of": "image"}},
        layers=layers,
        **spec,
    )
    return engine_kernels(said, plan, origin="net.onnx", flavor="tensorrt")


def verdict(found: tuple[Kernel, ...]) -> TypeReport:
    model = graph(
        "float[1,3,8,8] x => float[1,4,8,8] y",
        "c = Conv(x, k)  r = Relu(c)  h = MatMul(r, w)  y = Add(h, b)",
        k=(4, 3, 1, 1),
        w=(8, 8),
        b=(8,),
    )
    return check_types(found, *to_precision(model, "fp16"))


@pytest.mark.parametrize("said", ["", "Layers:\n", SAID_BY_10])
def test_the_inspector_tells_what_the_builder_does_not(said: str) -> None:
    reformat, convolution, product = kernels(layers_of_10(), said)
    assert (reformat.layer_type, reformat.multiplies) == ("Reformat", False)
    assert [(t.dims, t.type) for t in reformat.inputs] == [((8, 64), "Float")]
    assert [(t.dims, t.type) for t in convolution.constants] == [((9408,), "Half")]
    assert convolution.onnx_nodes == ("Conv_0", "Relu_1")
    assert (product.fused, product.multiplies) == ("FcAdd", True)
    assert product.outputs[0].bytes == 8 * 64 * 2


@pytest.mark.parametrize(
    "type_",
    [
        "Half",
        "Row major linear FP16 format",
        "Channel major FP16 format where channel % 8 == 0",
        "Two wide channel vectorized row major FP16 format",
        "Thirty-two wide channel vectorized row major FP16 format with 3 spatial dimensions",
        "Row major linear FP16 format (kLINEAR)",
    ],
)
def test_types_of_10_are_read_from_words_and_sentences(type_: str) -> None:
    report = verdict(kernels(layers_of_10(type_)))
    assert report.multiplying == {"Half": 2}
    assert (report.shown, report.products) == (2, 2)


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        ("Row major linear FP32", "Float"),
        ("Float", "Float"),
        ("Row major linear BFloat16 format", "BFloat16"),
        ("Channel major Int8 format where channel % 4 == 0", "Int8"),
        ("Channel major INT8 format where channel == 4 and column stride % 32 == 0", "Int8"),
    ],
)
def test_another_type_is_refused(type_: str, name: str) -> None:
    for layers in (layers_of_10(type_, weights=type_), layers_of_11(type_)):
        with pytest.raises(InputError, match=f"but 2 kernels multiply in .* in {name};"):
            verdict(kernels(layers))


def test_weights_in_another_type_are_refused() -> None:
    with pytest.raises(InputError, match=r"Conv_0 \+ Relu_1 in Float, Half"):
        verdict(kernels(layers_of_10(weights="Float")))


def test_types_of_11() -> None:
    assert verdict(kernels(layers_of_11())).multiplying == {"Half": 2}
    assert verdict(kernels(layers_of_11("FP16"))).multiplying == {"Half": 2}


@pytest.mark.parametrize("type_", ["Unknown format", "", "Double", "FP16 or FP32", UNTOLD])
def test_a_type_that_cannot_be_read_is_never_right(type_: str) -> None:
    for layers in (layers_of_10(type_), layers_of_11(type_)):
        report = verdict(kernels(layers))
        assert (report.shown, report.products, len(report.not_shown)) == (0, 2, 2)


def test_types_of_open_sizes_are_asked_for_with_shapes() -> None:
    """Those that the first profile is tuned for; the sizes stay open."""
    open_, shaped = layers_of_10(UNTOLD, rows=-1), layers_of_10("Half", rows=4)
    profiles = [{"image": [[1, 64], [4, 64], [8, 64]]}]
    found = kernels(open_, rows=-1, profiles=profiles, shaped=shaped)
    assert ("set_input_shape", ("image", (4, 64))) in double.calls
    assert [t.dims for t in found[1].outputs] == [(-1, 64)]
    assert verdict(found).multiplying == {"Half": 2}
    assert verdict(kernels(open_, rows=-1, profiles=profiles)).shown == 0  # told no more with them


@pytest.mark.parametrize(
    ("layers", "spec", "message"),
    [
        (["Conv_0 + Relu_1", "MatMul_2"], {}, "net.onnx: TensorRT tells of no kernels"),
        ([], {}, "net.onnx: TensorRT tells of no kernels"),
        (layers_of_10(), {"error": "no driver"}, "cannot load net.onnx: no driver"),
        ([{"LayerType": "gemm"}], {}, "the layer information is not in its form"),
        (layers_of_10(UNTOLD), {"no_context": "no memory"}, "cannot be inspected: no memory"),
    ],
)
def test_where_neither_tells(layers: list[Any], spec: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kernels(layers, SAID_BY_10, **spec)


def test_a_block_that_hides_its_kernels_proves_no_half_precision() -> None:
    """Myelin's own block reads the fp32 image, and tells of no weights."""
    block = {
        "Name": "{ForeignNode[Conv_0...Add_3]}",
        "LayerType": "Myelin",
        "Inputs": [tensor("image", "Float")],
        "Outputs": [tensor("y", "Float")],
        "Metadata": "\x1f".join(f"[ONNX Layer: {n}]" for n in ("x_fp16", "Conv_0", "MatMul_2")),
    }
    report = verdict(kernels([block]))
    assert (report.shown, report.products) == (0, 2)
    assert "does not tell what the kernel {ForeignNode" in report.not_shown[0].reason
