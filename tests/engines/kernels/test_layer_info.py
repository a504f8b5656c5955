"""The inspector's file: up to 10 and from 11, names alone and details."""

from __future__ import annotations

import json
from typing import Any

import pytest

from un_deploy.engines.kernels.layer_info import (
    IOTensor,
    Layer,
    LayerInfo,
    LayerTensor,
    parse_layer_info,
    write_layer_info,
)
from un_deploy.errors import InputError


def tensor(name: str, **kind: str) -> dict[str, Any]:
    return {"Name": name, "Location": "Device", "Dimensions": [-1, 8], **kind}


def layer(**kind: str) -> dict[str, Any]:
    return {
        "Name": "/fc/MatMul + /fc/Add",
        "LayerType": "gemm",
        "Inputs": [tensor("x", **kind)],
        "Outputs": [tensor("y", **kind)],
        "TacticName": "sm80_xmma_gemm",
        "StreamId": 0,
        "Metadata": "[ONNX Layer: /fc/MatMul]\x1f[ONNX Layer: /fc/Add]",
    }


def test_names_alone_are_plain_strings() -> None:
    for tensors in ({"Bindings": ["x", "y"]}, {"I/O Tensors": [{"Name": "x"}, {"Name": "y"}]}):
        info = parse_layer_info(json.dumps({"Layers": ["a", "b", "a"], **tensors}))
        assert info == LayerInfo(
            (Layer("a"), Layer("b"), Layer("a")), (IOTensor("x"), IOTensor("y"))
        )


def test_details_of_10() -> None:
    words = "Row major linear FP16 format"
    given = {"Layers": [layer(**{"Format/Datatype": words})], "Bindings": ["x", "y"]}
    (found,) = parse_layer_info(json.dumps(given)).layers
    assert found.inputs == (LayerTensor("x", (-1, 8), words, None),)
    assert (found.kind, found.tactic, found.stream) == ("gemm", "sm80_xmma_gemm", 0)
    assert found.onnx_nodes == ("/fc/MatMul", "/fc/Add")
    assert found.detail == given["Layers"][0]


def test_details_of_11() -> None:
    """The example of NVIDIA's migration guide for the inspector."""
    given = {
        "Layers": [layer(Format="Row major linear (kLINEAR)", Datatype="Half")],
        "I/O Tensors": [
            {
                "Name": "input_0",
                "IOMode": "Input",
                "DataType": "Float",
                "Dimensions": [1, 3, 224, 224],
                "Location": "Device",
                "IsShapeInferenceIO": False,
                "ProfileInfo": [],
            }
        ],
        "Engine Metadata": {},
    }
    info = parse_layer_info(json.dumps(given))
    assert info.layers[0].outputs == (
        LayerTensor("y", (-1, 8), "Row major linear (kLINEAR)", "Half"),
    )
    assert info.io_tensors == (IOTensor("input_0", "Input", "Float", (1, 3, 224, 224)),)


def test_constants_that_are_told_apart() -> None:
    given = {**layer(Datatype="Half"), "Constants": [tensor("w", Datatype="Half")]}
    (found,) = parse_layer_info(json.dumps({"Layers": [given], "I/O Tensors": []})).layers
    assert found.constants == (LayerTensor("w", (-1, 8), "", "Half"),)


@pytest.mark.parametrize(
    ("weights", "constants"),
    [
        ({"Type": "Half", "Count": 9408}, (LayerTensor("Weights", (9408,), "", "Half"),)),
        ({"Count": 9408}, (LayerTensor("Weights", (9408,), "", ""),)),
        ({"Type": "Half", "Count": 0}, ()),
        (None, ()),
    ],
)
def test_weights_of_a_convolution_are_a_constant(
    weights: object, constants: tuple[LayerTensor, ...]
) -> None:
    given = {**layer(**{"Format/Datatype": "Half"}), "Weights": weights}
    (found,) = parse_layer_info(json.dumps({"Layers": [given], "Bindings": []})).layers
    assert found.constants == constants


@pytest.mark.parametrize(
    ("metadata", "nodes"),
    [
        ("", ()),
        ("[ONNX Layer: a]", ("a",)),
        ("[ONNX Layer: a]\x1e[ONNX Layer: b]\x1f[ONNX Layer: a]", ("a", "b")),
        ("[ONNX Layer: a[0]][ONNX Layer: b]", ("a[0]", "b")),
        ("something else", ()),
    ],
)
def test_the_onnx_nodes_of_a_layer(metadata: str, nodes: tuple[str, ...]) -> None:
    given = {"Layers": [{"Name": "a", "Metadata": metadata}], "Bindings": []}
    assert parse_layer_info(json.dumps(given)).layers[0].onnx_nodes == nodes


def test_separators_may_stand_in_strings_as_they_are() -> None:
    """JSON forbids control characters in strings; the inspector writes them."""
    text = json.dumps({"Layers": [layer()], "Bindings": []}).replace("\\u001f", "\x1f")
    assert parse_layer_info(text).layers[0].onnx_nodes == ("/fc/MatMul", "/fc/Add")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"Layers": ["a"', "the layers are not JSON"),
        ("[]", 'no "Layers"'),
        ('{"Layers": "a", "Bindings": []}', 'no "Layers"'),
        ('{"Layers": ["a"]}', 'neither "I/O Tensors" nor "Bindings"'),
        ('{"Layers": [1], "Bindings": []}', "not in its form"),
        ('{"Layers": [{"LayerType": "gemm"}], "Bindings": []}', "not in its form: .*'Name'"),
        ('{"Layers": [], "I/O Tensors": [{}]}', "not in its form: .*'Name'"),
    ],
)
def test_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_layer_info(text)


def test_the_inspectors_text_is_the_file() -> None:
    text = json.dumps({"Layers": [layer()], "Bindings": ["x"]}, indent=1)
    assert write_layer_info(text) == text + "\n"
    assert parse_layer_info(write_layer_info(text)) == parse_layer_info(text)
    with pytest.raises(InputError, match='no "Layers"'):
        write_layer_info("{}")
