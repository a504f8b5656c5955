"""What is written is what protobuf would have written, byte for byte."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.support.random_graphs import random_graph
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.model.write_model import write_model

TYPES = [
    *("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "BOOL", "INT8", "INT64", "INT4", "UINT4"),
    *("FLOAT8E4M3FN", "COMPLEX64"),
]


def written(model: ir.Model, path: Path) -> bytes:
    with path.open("wb") as file:
        write_model(model, file)
    return path.read_bytes()


def holding(*tensors: ir.TensorProtocol) -> ir.Model:
    values = [ir.Value(name=tensor.name, const_value=tensor) for tensor in tensors]
    graph = ir.Graph([], [], nodes=[], initializers=values, opset_imports={"": 20}, name="held")
    return ir.Model(graph, ir_version=10, producer_name="tests", doc_string="a model")


@pytest.mark.parametrize("name", TYPES)
def test_large_tensors_of_every_type(name: str, tmp_path: Path) -> None:
    dtype = ir.DataType[name]
    array = (np.arange(3 * 2000).reshape(3, 2000) % 7).astype(dtype.numpy())
    large = ir.Tensor(array, dtype=dtype, name="large")
    large.doc_string = "noted"
    large.metadata_props["key"] = "kept"
    lazy = ir.LazyTensor(lambda: large, dtype, ir.Shape((3, 2000)), name="lazy")
    model = holding(ir.tensor(np.ones(3), name="small"), large, lazy)
    assert written(model, tmp_path / "a.onnx") == ir.to_proto(model).SerializeToString()
    assert model.graph.initializers["large"].const_value is large


def test_strings_and_tensors_of_a_message(tmp_path: Path) -> None:
    message = onnx.TensorProto(name="m", data_type=onnx.TensorProto.FLOAT, dims=[500])
    message.float_data.extend(range(500))
    strings = ir.StringTensor([b"long" * 100] * 20, shape=ir.Shape([20]), name="s")
    model = holding(ir.TensorProtoTensor(message), strings)
    assert written(model, tmp_path / "a.onnx") == ir.to_proto(model).SerializeToString()


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs(seed: int, tmp_path: Path) -> None:
    model = random_graph(Random(seed))
    assert written(model, tmp_path / "a.onnx") == ir.to_proto(model).SerializeToString()


def test_a_model_beyond_one_byte_of_every_length(tmp_path: Path) -> None:
    """Lengths take one to four bytes; a file object need not be a file of the system."""
    sizes = (300, 40_000, 600_000)
    model = holding(*(ir.tensor(np.zeros(size, np.float32), name=f"w{size}") for size in sizes))
    expected = ir.to_proto(model).SerializeToString()
    assert written(model, tmp_path / "a.onnx") == expected
    buffer = io.BytesIO()
    write_model(model, buffer)
    assert buffer.getvalue() == expected
    onnx.checker.check_model(onnx.load_from_string(expected), full_check=False)


def test_a_lazy_tensor_of_another_size_is_no_file(tmp_path: Path) -> None:
    lazy = ir.LazyTensor(
        lambda: ir.tensor(np.zeros(1001, np.float32)),
        ir.DataType.FLOAT,
        ir.Shape((1000,)),
        name="w",
    )
    with pytest.raises(ValueError, match="'w' does not hold the 4000 bytes of its shape"):
        save_model(holding(lazy), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_model_is_read_again(tmp_path: Path) -> None:
    model = random_graph(Random(3))
    save_model(model, tmp_path / "a.onnx")
    save_model(load_model(tmp_path / "a.onnx"), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
