"""What a server is told of a model: its tensors as its operators give them, and its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.engines.plan.manifest import file_sha256
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.triton.served_model import ServedTensor, read_onnx


def served(model: ir.Model, folder: Path):
    save_model(model, folder / "net.onnx")
    return read_onnx(folder / "net.onnx")


def test_an_onnx_file(tmp_path: Path) -> None:
    model = served(
        build("int64[batch,seq] x => float[batch,seq,4] y", "y = Gather(w, x)", w=(9, 4)), tmp_path
    )
    assert (model.kind, model.weights, model.profiles, model.version) == ("onnx", {}, (), "")
    assert model.sha256 == file_sha256(tmp_path / "net.onnx")
    assert model.inputs == (ServedTensor("x", "int64", ("batch", "seq")),)
    assert model.outputs == (ServedTensor("y", "float32", ("batch", "seq", 4)),)


@pytest.mark.parametrize(
    ("signature", "shape"),
    [
        ("float[batch,6] x => float[anything,other] y", ("batch", 4)),
        ("float[batch,6] x => float[?,?] y", ("batch", 4)),
        ("float[?,6] x => float[?,4] y", (None, 4)),
        ("float[2,6] x => float[n,4] y", (2, 4)),
    ],
)
def test_an_output_is_as_its_operators_give_it(
    tmp_path: Path, signature: str, shape: tuple[int | str | None, ...]
) -> None:
    model = served(build(signature, "y = MatMul(x, w)", w=(6, 4)), tmp_path)
    assert model.outputs == (ServedTensor("y", "float32", shape),)


def test_an_output_whose_sizes_depend_on_values_keeps_what_the_file_says(tmp_path: Path) -> None:
    model = served(build("float[n,6] x => int64[2,k] y", "y = NonZero(x)"), tmp_path)
    assert model.outputs[0].shape[0] == 2
    assert not isinstance(model.outputs[0].shape[1], int)


def test_an_input_with_a_default_is_not_asked_for(tmp_path: Path) -> None:
    build_ = build("float[batch,6] x, float[6] w => float[batch,6] y", "y = Mul(x, w)", w=(6,))
    assert [tensor.name for tensor in served(build_, tmp_path).inputs] == ["x"]


def test_weights_files(tmp_path: Path) -> None:
    """One of an initializer in a folder, one of a tensor inside a node."""
    model = ir.to_proto(build("float[batch,6] x => float[batch,4] y", "h = MatMul(x, w)", w=(6, 4)))
    inside = onnx.numpy_helper.from_array(np.ones(4, np.float32))
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=inside))
    model.graph.node.append(onnx.helper.make_node("Add", ["h", "c"], ["y"]))
    places = {"weights/w.bin": model.graph.initializer[0]}
    places["c.bin"] = model.graph.node[1].attribute[0].t
    (tmp_path / "weights").mkdir()
    for place, tensor in places.items():
        (tmp_path / place).write_bytes(tensor.raw_data)
        onnx.external_data_helper.set_external_data(tensor, place)
        tensor.ClearField("raw_data")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    weights = read_onnx(tmp_path / "net.onnx").weights
    assert weights == {place: tmp_path / place for place in places}


class TestRefusals:
    def test_an_output_that_contradicts_its_operators(self, tmp_path: Path) -> None:
        model = build("float[batch,6] x => float[batch,5] y", "y = MatMul(x, w)", w=(6, 4))
        onnx.save(ir.to_proto(model), tmp_path / "net.onnx")
        with pytest.raises(InputError, match=r"output y: the file says .*5.*, its operators .*4"):
            read_onnx(tmp_path / "net.onnx")

    @pytest.mark.parametrize("place", ["{}/w.bin", "a/../w.bin"])
    def test_weights_at_a_place_that_a_copy_would_not_have(
        self, place: str, tmp_path: Path
    ) -> None:
        (tmp_path / "a").mkdir()
        model = ir.to_proto(build("float[n,6] x => float[n,4] y", "y = MatMul(x, w)", w=(6, 4)))
        tensor = model.graph.initializer[0]
        (tmp_path / "w.bin").write_bytes(tensor.raw_data)
        onnx.external_data_helper.set_external_data(tensor, place.format(tmp_path))
        tensor.ClearField("raw_data")
        (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(InputError, match=r"keeps weights at .*w\.bin: save it"):
            read_onnx(tmp_path / "net.onnx")

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"net\.onnx does not exist"):
            read_onnx(tmp_path / "net.onnx")
