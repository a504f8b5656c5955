"""Model files: what survives a round trip, and what is refused with which words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from un_deploy.errors import InputError, TargetError
from un_deploy.graph.model.model_file import load_model, save_model


def _proto(weight: np.ndarray | None = None, opset: int = 20) -> onnx.ModelProto:
    """y = Relu(x @ w + b), with something to lose in every place that holds notes."""
    if weight is None:
        weight = np.random.default_rng(0).standard_normal((16, 8), dtype=np.float32)
    dtype = helper.np_dtype_to_tensor_dtype(weight.dtype)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], name="matmul", doc_string="a product"),
        helper.make_node("Add", ["xw", "b"], ["s"], name="add"),
        helper.make_node("Relu", ["s"], ["y"], name="relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info("x", dtype, ["batch", 16])],
        [
            helper.make_tensor_value_info("y", dtype, ["batch", 8]),
            helper.make_tensor_value_info("xw", dtype, ["batch", 8]),
        ],
        [
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(np.zeros(8, weight.dtype), "b"),
        ],
        doc_string="the graph",
        value_info=[helper.make_tensor_value_info("s", dtype, ["batch", 8])],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("com.example", 3)],
        producer_name="producer",
        producer_version="1.2",
        domain="com.example",
        model_version=7,
        doc_string="the model",
        ir_version=10,
    )
    noted = [model, model.graph, model.graph.node[0], model.graph.initializer[0]]
    noted += [model.graph.input[0], model.graph.value_info[0]]
    for place in noted:
        place.metadata_props.add(key="note", value="kept")
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(_proto(), path)
    return path


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """The same model with its weight in model.onnx.data."""
    path = tmp_path / "model.onnx"
    proto = _proto()
    onnx.save(proto, path, save_as_external_data=True, location="model.onnx.data", size_threshold=0)
    return path


def _weight(model: ir.Model) -> np.ndarray:
    tensor = model.graph.initializers["w"].const_value
    assert tensor is not None
    return tensor.numpy()


@pytest.mark.parametrize("held", ["path", "external"])
def test_everything_a_model_says_survives_a_round_trip(
    held: str, request: pytest.FixtureRequest, tmp_path: Path
):
    path = request.getfixturevalue(held)
    save_model(load_model(path), tmp_path / "copy.onnx")
    before, after = onnx.load(path), onnx.load(tmp_path / "copy.onnx")

    # onnx-ir writes the type of every initializer a second time, as value_info.
    for name in ("w", "b"):
        extra = next(info for info in after.graph.value_info if info.name == name)
        after.graph.value_info.remove(extra)
    for tensor in (*before.graph.initializer, *after.graph.initializer):
        tensor.ClearField("data_location")
    assert after == before


def test_a_second_round_trip_changes_no_byte(path: Path, tmp_path: Path):
    save_model(load_model(path), tmp_path / "a.onnx")
    save_model(load_model(tmp_path / "a.onnx"), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_the_same_model_gives_the_same_bytes(external: Path, tmp_path: Path):
    (tmp_path / "other").mkdir()
    for folder in (tmp_path / "other", tmp_path):
        save_model(load_model(external), folder / "copy.onnx")
    for name in ("copy.onnx", "copy.onnx.data"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_model_with_external_data_gets_one_weights_file_beside_it(external: Path, tmp_path: Path):
    save_model(load_model(external), tmp_path / "copy.onnx")

    copy = load_model(tmp_path / "copy.onnx")
    tensor = copy.graph.initializers["w"].const_value
    assert isinstance(tensor, ir.ExternalTensor)
    assert tensor.location == "copy.onnx.data"
    np.testing.assert_array_equal(tensor.numpy(), _weight(load_model(external)))


def test_saving_leaves_the_model_as_it_was(external: Path, tmp_path: Path):
    model = load_model(external)
    before = model.graph.initializers["w"].const_value
    save_model(model, tmp_path / "copy.onnx")
    assert model.graph.initializers["w"].const_value is before


@pytest.mark.parametrize("held", ["path", "external"])
def test_a_model_can_be_saved_over_its_own_file(held: str, request: pytest.FixtureRequest):
    path = request.getfixturevalue(held)
    model = load_model(path)
    weight = _weight(model).copy()
    # A wider bias moves the weight to another place in the file.
    model.graph.initializers["b"].const_value = ir.tensor(np.ones((100, 8), np.float32), name="b")
    model.graph.initializers["b"].shape = ir.Shape([100, 8])

    save_model(model, path, force=True)

    np.testing.assert_array_equal(_weight(model), weight)
    np.testing.assert_array_equal(_weight(load_model(path)), weight)


def test_another_model_on_an_overwritten_weights_file_raises_rather_than_reads_it(external: Path):
    model = load_model(external)
    shares = model.clone()
    save_model(model, external, force=True)
    with pytest.raises(InputError, match=r"model\.onnx\.data of .* has changed"):
        _weight(shares)


def test_an_existing_target_stays_without_force(path: Path, tmp_path: Path):
    before = path.read_bytes()
    with pytest.raises(TargetError, match="exists already"):
        save_model(load_model(path), path)
    assert path.read_bytes() == before


def test_a_weights_file_of_another_model_stays_without_force(external: Path, tmp_path: Path):
    (tmp_path / "copy.onnx.data").write_bytes(b"precious")
    with pytest.raises(TargetError, match=r"copy\.onnx\.data exists already"):
        save_model(load_model(external), tmp_path / "copy.onnx")
    assert (tmp_path / "copy.onnx.data").read_bytes() == b"precious"
    assert not (tmp_path / "copy.onnx").exists()


@pytest.mark.parametrize("held", ["path", "external"])
def test_a_weight_that_cannot_be_computed_leaves_no_trace(
    held: str, request: pytest.FixtureRequest, tmp_path: Path
):
    model = load_model(request.getfixturevalue(held))
    before = sorted(file.name for file in tmp_path.iterdir())

    def fail() -> ir.Tensor:
        raise KeyboardInterrupt

    lazy = ir.LazyTensor(fail, ir.DataType.FLOAT, ir.Shape([16, 8]), name="w")
    model.graph.initializers["w"].const_value = lazy
    other = ir.tensor(np.zeros(1000, np.float32), name="other")
    model.graph.register_initializer(ir.Value(name="other", const_value=other))

    with pytest.raises(KeyboardInterrupt):
        save_model(model, tmp_path / "copy.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == before
    assert model.graph.initializers["w"].const_value is lazy


def test_constants_inside_nodes_come_along_when_they_were_external(tmp_path: Path):
    value = numpy_helper.from_array(np.arange(100, dtype=np.float32), "value")
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value=value)],
        "g",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [100])],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10),
        tmp_path / "a.onnx",
        save_as_external_data=True,
        size_threshold=0,
        convert_attribute=True,
    )
    (tmp_path / "moved").mkdir()
    save_model(load_model(tmp_path / "a.onnx"), tmp_path / "moved" / "a.onnx")

    (node,) = onnx.load(tmp_path / "moved" / "a.onnx").graph.node
    np.testing.assert_array_equal(numpy_helper.to_array(node.attribute[0].t), np.arange(100))


def _missing(path: Path) -> None:
    path.unlink()


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def _cut_after_the_graph(path: Path) -> None:
    model = onnx.load(path)
    model.ClearField("opset_import")
    path.write_bytes(model.SerializeToString())


def _text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def _plan(path: Path) -> None:
    path.write_bytes(b"vtrt" + bytes(60))


def _no_graph(path: Path) -> None:
    path.write_bytes(onnx.ModelProto(producer_name="x").SerializeToString())


def _weights_missing(path: Path) -> None:
    path.with_name("model.onnx.data").unlink()


def _weights_short(path: Path) -> None:
    data = path.with_name("model.onnx.data")
    data.write_bytes(data.read_bytes()[:100])


def _weights_outside(path: Path) -> None:
    data = path.with_name("model.onnx.data")
    elsewhere = path.parent.parent / f"{path.parent.name}-weights"
    data.rename(elsewhere)
    data.symlink_to(elsewhere)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_missing, r"model\.onnx does not exist"),
        (_directory, r"model\.onnx is a directory: name the \.onnx file in it"),
        (_empty, r"model\.onnx is empty"),
        (_truncated, r"model\.onnx is not an ONNX file, or was cut off"),
        (_cut_after_the_graph, r"model\.onnx declares no opset, so that nobody can tell"),
        (_text, r"model\.onnx is not an ONNX file"),
        (_plan, r"model\.onnx is a TensorRT plan, which holds no graph to read"),
        (_no_graph, r"model\.onnx holds no graph"),
        (_weights_missing, r"needs the weights file model\.onnx\.data for 'w', which is not at"),
        (_weights_short, r"model\.onnx\.data ends at byte 100, but 'w' .* to byte 512"),
        (
            _weights_outside,
            r"\.data of .* is a link to .*-weights, outside .* \(cp -rL .* COPY\)",
        ),
    ],
)
def test_a_damaged_file_is_named(external: Path, damage: Callable[[Path], None], message: str):
    damage(external)
    with pytest.raises(InputError, match=message) as caught:
        load_model(external)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("opset", "known"), [(6, False), (7, True), (20, True), (99, False)])
def test_the_opsets_that_are_known(tmp_path: Path, opset: int, known: bool):
    path = tmp_path / "model.onnx"
    onnx.save(_proto(opset=opset), path)
    if known:
        load_model(path)
    else:
        with pytest.raises(InputError, match=rf"model\.onnx uses opset {opset}"):
            load_model(path)


def _change(change: Callable[[onnx.ModelProto], object]) -> onnx.ModelProto:
    model = _proto()
    change(model)
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_change(lambda m: m.graph.node[2].ClearField("op_type")), "op_type"),
        (_change(lambda m: m.graph.node.add(op_type="Nonesuch", output=["z"])), "Nonesuch"),
        (_change(lambda m: m.graph.node.add().CopyFrom(m.graph.node[0])), "'xw' is redeclared"),
        (
            _change(
                lambda m: m.graph.sparse_initializer.add().values.MergeFrom(TensorProto(name="q"))
            ),
            "the tensor 'q' has no type",
        ),
    ],
)
def test_an_invalid_model_is_refused_with_the_checker_s_reason(
    tmp_path: Path, model: onnx.ModelProto, message: str
):
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=message) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_input_that_is_an_output_too_survives(tmp_path: Path):
    model = _change(lambda m: m.graph.output.add().CopyFrom(m.graph.input[0]))
    onnx.save(model, tmp_path / "a.onnx")
    save_model(load_model(tmp_path / "a.onnx"), tmp_path / "b.onnx")
    graph = onnx.load(tmp_path / "b.onnx").graph
    assert [v.name for v in graph.output] == ["y", "xw", "x"]
    assert [v.name for v in graph.input] == ["x"]


_BEYOND_TWO_GIB = """
import resource, sys
import numpy as np, onnx_ir as ir
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.model.model_file import load_model, save_model

resource.setrlimit(resource.RLIMIT_DATA, (900 << 20, 900 << 20))
x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["batch", 8192]))
nodes, value, weights = [], x, []
for layer in range(9):
    def compute(layer=layer):
        return ir.tensor(np.full((8192, 8192), layer, np.float32), name=f"w{layer}")
    lazy = ir.LazyTensor(compute, ir.DataType.FLOAT, ir.Shape([8192, 8192]), name=f"w{layer}")
    weights.append(ir.Value(name=f"w{layer}", const_value=lazy, shape=lazy.shape,
                            type=ir.TensorType(ir.DataType.FLOAT)))
    nodes.append(ir.node("MatMul", [value, weights[-1]], name=f"matmul{layer}"))
    value = nodes[-1].outputs[0]
value.name = "y"
value.type, value.shape = x.type, x.shape
graph = ir.Graph([x], [value], nodes=nodes, initializers=weights, opset_imports={"": 20}, name="g")
folder = sys.argv[1]
save_model(ir.Model(graph, ir_version=10), f"{folder}/a.onnx")
model = load_model(f"{folder}/a.onnx")
check_weights(model)
save_model(model, f"{folder}/a.onnx", force=True)
for layer in range(9):
    assert model.graph.initializers[f"w{layer}"].const_value.numpy()[-1, -1] == layer
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_weights_beyond_two_gib_are_never_all_in_memory(tmp_path: Path):
    """2.25 GiB of weights go out, in and out again while the heap may hold 0.9 GiB."""
    subprocess.run([sys.executable, "-c", _BEYOND_TWO_GIB, str(tmp_path)], check=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data"]
    assert (tmp_path / "a.onnx.data").stat().st_size == 9 * 8192 * 8192 * 4
