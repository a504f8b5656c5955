"""What is read is what protobuf would have read; large weights are in memory once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import ml_dtypes
import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from benchmarks.entries import run
from tests.support.random_graphs import random_graph
from un_deploy.errors import InputError
from un_deploy.graph.model import read_model as module
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.model.read_model import THIS_FILE, read_model

MEGABYTE = 1 << 20
LARGE = np.arange(MEGABYTE // 4, dtype=np.float32).reshape(512, 512)
PLACES = ("initializer", "Constant", "body")


def holding(weight: TensorProto, place: str) -> onnx.ModelProto:
    """y = x if c else x @ w, with the weight in one of the `PLACES`."""
    inner = [] if place == "initializer" else [weight]
    constant = [helper.make_node("Constant", [], ["w"], value=weight)]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", None]) for n in ("x", "y"))
    product = helper.make_node("MatMul", ["x", "w"], ["p"])
    p, q = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", None]) for n in ("p", "q"))
    nodes = [*(constant if place == "Constant" else []), product]
    then = helper.make_graph([helper.make_node("Identity", ["x"], ["q"])], "then", [], [q])
    other = helper.make_graph(nodes, "other", [], [p], inner if place == "body" else [])
    c = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    choice = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    outer = [weight] if place == "initializer" else []
    graph = helper.make_graph([choice], "main", [c, x], [y], outer)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from tensors(attribute.g)


def filled(path: Path) -> tuple[onnx.ModelProto, int]:
    """The model that was read, with the bytes that it refers to in their places; and how many."""
    model, content, count = read_model(path), path.read_bytes(), 0
    for tensor in tensors(model.graph):
        if tensor.data_location == TensorProto.EXTERNAL:
            where = {entry.key: entry.value for entry in tensor.external_data}
            assert where.pop("location") == THIS_FILE
            start, length = int(where.pop("offset")), int(where.pop("length"))
            assert not where
            tensor.ClearField("data_location")
            del tensor.external_data[:]
            tensor.raw_data = content[start : start + length]
            count += 1
    return model, count


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "dtype",
    [np.float32, np.float16, ml_dtypes.bfloat16, np.int64, np.bool_, ml_dtypes.float8_e4m3fn],
)
def test_a_large_weight_stays_in_the_file_until_it_is_read(
    dtype: type, place: str, tmp_path: Path
) -> None:
    array = (np.arange(2 * MEGABYTE).reshape(2, MEGABYTE) % 7).astype(dtype)
    weight = numpy_helper.from_array(array, "w")
    weight.doc_string = "noted"
    onnx.save(holding(weight, place), tmp_path / "m.onnx")
    assert filled(tmp_path / "m.onnx") == (onnx.load(tmp_path / "m.onnx"), 1)
    save_model(load_model(tmp_path / "m.onnx"), tmp_path / "again.onnx")
    (read,) = tensors(onnx.load(tmp_path / "again.onnx").graph)
    assert read == weight


@pytest.mark.parametrize("seed", range(10))
def test_random_graphs(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every weight a large one."""
    monkeypatch.setattr(module, "_LARGE", 0)
    path = tmp_path / "m.onnx"
    save_model(random_graph(Random(seed)), path)
    model, count = filled(path)
    assert model == onnx.load(path)
    assert count > 0


def four_bit() -> TensorProto:
    return numpy_helper.from_array(np.ones((2, 2 * MEGABYTE), ml_dtypes.int4), "w")


def too_long() -> TensorProto:
    weight = numpy_helper.from_array(LARGE, "w")
    weight.raw_data += b"\0\0\0\0"
    return weight


def listed() -> TensorProto:
    return helper.make_tensor("w", TensorProto.FLOAT, LARGE.shape, LARGE.ravel())


@pytest.mark.parametrize("weight", [four_bit, too_long, listed])
def test_numbers_in_another_form_stay_in_the_message(weight, tmp_path: Path) -> None:
    onnx.save(holding(weight(), "initializer"), tmp_path / "m.onnx")
    assert filled(tmp_path / "m.onnx") == (onnx.load(tmp_path / "m.onnx"), 0)


def test_parts_of_a_message_are_joined(tmp_path: Path) -> None:
    """Protobuf allows it: repeated fields are appended, of others the last counts."""
    model = holding(numpy_helper.from_array(LARGE, "w"), "initializer").SerializeToString()
    more = onnx.ModelProto(producer_name="the last")
    more.graph.initializer.append(numpy_helper.from_array(LARGE + 1, "w"))
    (tmp_path / "m.onnx").write_bytes(model + more.SerializeToString())
    assert filled(tmp_path / "m.onnx") == (onnx.load(tmp_path / "m.onnx"), 2)
    read = load_model(tmp_path / "m.onnx").graph.initializers["w"].const_value
    assert read is not None
    np.testing.assert_array_equal(read.numpy(), LARGE + 1)


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_was_cut_off_is_refused(place: str, tmp_path: Path) -> None:
    content = holding(numpy_helper.from_array(LARGE, "w"), place).SerializeToString()
    path = tmp_path / "m.onnx"
    for length in (1, 3, 5, 40, 200, MEGABYTE // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DecodeError):
            onnx.load(path)
        with pytest.raises(DecodeError):
            read_model(path)
    with pytest.raises(InputError, match=r"m\.onnx is not an ONNX file, or was cut off"):
        load_model(path)


@pytest.mark.parametrize("content", [b"\xff" * 40, b"\x0b\x00", b"\x07", b"no model at all"])
def test_what_is_no_protobuf_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(DecodeError):
        read_model(path)


@pytest.mark.parametrize("place", PLACES)
def test_weights_are_in_memory_once(place: str, tmp_path: Path) -> None:
    """Protobuf and ONNX's checker would have up to five copies of them."""
    weight = numpy_helper.from_array(np.ones((64, MEGABYTE // 4), np.float32), "w")
    onnx.save(holding(weight, place), tmp_path / "m.onnx")
    imports = "import sys\nfrom un_deploy.graph.model.model_file import load_model\n"
    held = "model = load_model(sys.argv[1])"
    (_, before), (_, peak) = run(imports), run(imports + held, str(tmp_path / "m.onnx"))
    assert 64 < peak - before < 80
