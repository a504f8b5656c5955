"""Weights leave a model for a file, or while its graph is changed, and are the same afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from tests.graph.model.test_read_model import PLACES, holding
from un_deploy.graph.model.model_file import from_proto, load_model
from un_deploy.graph.model.model_kinds import operated
from un_deploy.graph.model.move_weights import give_back, move_to_file, take_aside
from un_deploy.graph.model.tensor_storage import tensor_attributes

WEIGHT = np.arange(80, dtype=np.float32).reshape(8, 10)


def weights(model: ir.Model) -> list[ir.TensorProtocol | None]:
    stored = [
        value.const_value for graph in model.graphs() for value in graph.initializers.values()
    ]
    return stored + [attribute.as_tensor() for _, attribute in tensor_attributes(model)]


@pytest.mark.parametrize("place", PLACES)
def test_a_weight_goes_to_a_file(place: str, tmp_path: Path) -> None:
    model = from_proto(holding(numpy_helper.from_array(WEIGHT, "w"), place), "m")
    move_to_file(model, tmp_path / "weights")
    (moved,) = weights(model)
    assert isinstance(moved, ir.ExternalTensor)
    assert (tmp_path / "weights").read_bytes() == WEIGHT.tobytes()
    assert moved.name == "w"
    np.testing.assert_array_equal(moved.numpy(), WEIGHT)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_small_stays(place: str, tmp_path: Path) -> None:
    small = numpy_helper.from_array(WEIGHT[:, :8], "w")
    model = from_proto(holding(small, place), "m")
    move_to_file(model, tmp_path / "weights")
    (kept,) = weights(model)
    assert not isinstance(kept, ir.ExternalTensor)


@pytest.mark.parametrize("place", PLACES)
def test_weights_taken_aside_come_back(place: str) -> None:
    model = from_proto(holding(numpy_helper.from_array(WEIGHT, "w"), place), "m")
    before = weights(model)
    aside = take_aside(model)
    assert aside == before
    proto = ir.to_proto(model)
    assert (
        len(proto.SerializeToString()) < 600 and WEIGHT.tobytes() not in proto.SerializeToString()
    )
    other = from_proto(proto, "m")
    give_back(other, aside)
    assert weights(other)[0] is before[0]


@pytest.mark.parametrize("place", [*PLACES, "weights file"])
def test_a_graph_is_changed_without_its_weights(place: str, tmp_path: Path) -> None:
    path, external = tmp_path / "m.onnx", place == "weights file"
    weight = numpy_helper.from_array(WEIGHT, "w")
    proto = holding(weight, "initializer" if external else place)
    onnx.save(proto, path, save_as_external_data=external, location="weights", size_threshold=0)
    model = load_model(path)

    def operate(graph) -> None:
        graph.outputs[0].name = "z"

    result = operated(model, operate)
    assert model.graph.outputs[0].name == "y" and result.graph.outputs[0].name == "z"
    assert weights(result) == weights(model)
