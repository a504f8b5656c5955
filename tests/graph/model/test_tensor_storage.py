"""Weights are in memory only as long as they are read, and free of the message they came in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from un_deploy.graph.model.model_file import load_model
from un_deploy.graph.model.tensor_storage import forget_weights

MAPS = Path("/proc/self/maps")
WEIGHT = np.arange(1 << 16, dtype=np.float32).reshape(256, 256)


def saved(path: Path, *, external: bool) -> Path:
    """y = x @ w + c, where c is a Constant that holds its numbers as a list of floats."""
    held = helper.make_tensor("held", TensorProto.FLOAT, [256], np.ones(256))
    assert held.float_data
    nodes = [
        helper.make_node("Constant", [], ["c"], value=held),
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("Add", ["p", "c"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 256]) for n in ("x", "y")]
    weight = numpy_helper.from_array(WEIGHT, "w")
    graph = helper.make_graph(nodes, "main", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, path, save_as_external_data=external, location="weights")
    return path


def maps(path: Path) -> int:
    return MAPS.read_text().count(str(path))


@pytest.mark.skipif(not MAPS.is_file(), reason="only Linux tells what is mapped")
def test_a_weights_file_is_mapped_while_its_array_is_held(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path / "model.onnx", external=True))
    tensor = model.graph.initializers["w"].const_value
    assert isinstance(tensor, ir.ExternalTensor)
    assert maps(tmp_path / "weights") == 0
    row = tensor.numpy()[3]
    assert maps(tmp_path / "weights") == 1
    np.testing.assert_array_equal(row, WEIGHT[3])
    del row
    assert maps(tmp_path / "weights") == 0


def test_a_weight_of_the_model_file_is_read_without_a_copy(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path / "model.onnx", external=False))
    tensor = model.graph.initializers["w"].const_value
    assert tensor is not None
    np.testing.assert_array_equal(tensor.numpy(), WEIGHT)
    assert np.shares_memory(tensor.numpy(), tensor.numpy())


def test_a_constant_keeps_the_form_that_its_numbers_have(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path / "model.onnx", external=False))
    (constant, *_) = ir.to_proto(model).graph.node
    assert len(constant.attribute[0].t.float_data) == 256
    assert not constant.attribute[0].t.raw_data


def test_what_is_forgotten_is_the_weights_and_no_shape(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path / "model.onnx", external=False))
    weight = model.graph.initializers["w"]
    forget_weights(model)
    assert weight.const_value is None
    assert (weight.dtype, list(weight.shape)) == (ir.DataType.FLOAT, [256, 256])
    assert "c" in {node.outputs[0].name for node in model.graph}
