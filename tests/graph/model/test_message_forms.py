"""Sparse weights are read as dense ones; maps keep their types though onnx-ir has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.support.odd_files.way import FOLD, network
from un_deploy.errors import InputError
from un_deploy.graph.model.message_forms import to_message
from un_deploy.graph.model.model_file import from_proto, load_model, save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.model.notes import notes_of

VALUES = np.float32([1, 2, 3])


def sparse(places: list[int] | list[list[int]], shape: list[int]) -> onnx.SparseTensorProto:
    values = numpy_helper.from_array(VALUES, "d")
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(places), "i"), shape)


@pytest.mark.parametrize(
    "places", [[1, 5, 6], [[0, 1], [1, 1], [1, 2]]], ids=["counted through", "by axes"]
)
def test_a_sparse_weight_becomes_dense(places: list[int]) -> None:
    proto = network()
    proto.graph.sparse_initializer.append(sparse(places, [2, 4]))
    node = helper.make_node("Constant", [], ["e"], sparse_value=sparse(places, [2, 4]))
    proto.graph.node.insert(0, node)
    before = proto.SerializeToString()

    model = from_proto(proto, "m.onnx")

    dense = [[0, 1, 0, 0], [0, 2, 3, 0]]
    held = model.graph.initializers["d"].const_value
    constant = model.graph.node(0).attributes["value"].as_tensor()
    assert held is not None
    assert held.numpy().tolist() == constant.numpy().tolist() == dense
    assert notes_of(model) == ("weights were sparse, and are written dense",)
    assert proto.SerializeToString() == before


@pytest.mark.parametrize("places", [[1, 5, 60], [[0, 1], [1, 1], [2, 2]], [1, 2]])
def test_a_sparse_weight_that_does_not_fit_is_named(places: list[int]) -> None:
    proto = network()
    proto.graph.sparse_initializer.append(sparse(places, [2, 4]))
    with pytest.raises(InputError, match=r"sparse weight 'd', which cannot be made dense"):
        from_proto(proto, "m.onnx")


def classifier() -> onnx.ModelProto:
    text = "(float[B,3,4] x) => (float[B,3,5] y, seq(map(int64, float)) z)"
    zip_map = "z = ai.onnx.ml.ZipMap<classlabels_int64s=[1,2,3,4,5]>(p)"
    body = f"{{ {FOLD} p = ReduceMax<axes=[1], keepdims=0>(y) {zip_map} }}"
    return network(f"{text} {body}", imports={"ai.onnx.ml": 3})


def test_the_type_of_a_map_is_written_as_it_was_read(tmp_path: Path) -> None:
    proto = classifier()
    onnx.save(proto, tmp_path / "m.onnx")
    save_model(load_model(tmp_path / "m.onnx"), tmp_path / "n.onnx")
    private, restore = to_ir(proto)
    again, _ = to_ir(private)
    for written in (onnx.load(tmp_path / "n.onnx"), restore(private), to_message(again)):
        assert written.graph.output[1].type == proto.graph.output[1].type
        onnx.checker.check_model(written)
    assert notes_of(again) == ()


def test_of_two_weights_of_a_name_the_last_one_counts() -> None:
    """As in ONNX Runtime, and the first one is left as it was."""
    proto = network()
    proto.graph.initializer.insert(0, numpy_helper.from_array(np.zeros(4, np.float32), "a"))
    before = proto.SerializeToString()
    model, _ = to_ir(proto)
    held = model.graph.initializers["a"].const_value
    assert held is not None and held.numpy().min() > 0
    assert notes_of(model) == ("weights were there twice: the last one of a name counts",)
    assert proto.SerializeToString() == before


def test_training_graphs_are_not_written() -> None:
    proto = network()
    proto.training_info.add().initialization.name = "start"
    model = from_proto(proto, "m.onnx")
    assert notes_of(model) == ("it holds training graphs, which are not written",)
    assert not to_message(model).training_info
