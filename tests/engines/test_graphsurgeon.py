"""Surgery on a graphsurgeon Graph: outputs, regions and types at the edges, each run afterwards."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from tests.support.graphs import build
from un_deploy.engines.graphsurgeon import extract_region, mark_outputs, set_io_types
from un_deploy.errors import InputError
from un_deploy.graph.model.model_kinds import to_graphsurgeon, to_ir

FLOAT, HALF, BFLOAT16 = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)
X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def graph() -> gs.Graph:
    """y = relu(x w) + v, on (3, 4)."""
    model = build(
        "float[3,4] x, float[4] v => float[3,4] y",
        "h = MatMul(x, w)  r = Relu(h)  y = Add(r, v)",
        claims="float[3,4] h, float[3,4] r",
        w=np.eye(4, dtype=np.float32) * 2,
    )
    return to_graphsurgeon(model)


def results(graph: gs.Graph, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    proto = ir.to_proto(to_ir(graph)[0])
    onnx.checker.check_model(proto, full_check=True)
    names = [output.name for output in graph.outputs]
    return dict(zip(names, ReferenceEvaluator(proto).run(None, feeds), strict=True))


def test_an_inner_tensor_becomes_an_output_too(graph: gs.Graph) -> None:
    found = results(mark_outputs(graph, ["r"]), x=X, v=np.ones(4, np.float32))
    assert [*found] == ["y", "r"]
    np.testing.assert_array_equal(found["r"], np.maximum(2 * X, 0))
    assert [o.name for o in mark_outputs(graph, ["r", "y"]).outputs] == ["y", "r"]  # not twice


def test_a_region_is_what_lies_between(graph: gs.Graph) -> None:
    region = extract_region(graph, ["h", "v"], ["y"])
    assert [node.op for node in region.nodes] == ["Relu", "Add"]
    assert [tensor.name for tensor in region.inputs] == ["h", "v"]
    found = results(region, h=X, v=np.ones(4, np.float32))
    np.testing.assert_array_equal(found["y"], np.maximum(X, 0) + 1)


def test_a_region_up_to_an_inner_tensor_drops_what_is_behind(graph: gs.Graph) -> None:
    region = extract_region(graph, ["x"], ["r"])
    assert [node.op for node in region.nodes] == ["MatMul", "Relu"]
    np.testing.assert_array_equal(results(region, x=X)["r"], np.maximum(2 * X, 0))


def test_a_region_names_the_input_that_it_lacks(graph: gs.Graph) -> None:
    with pytest.raises(InputError, match="the region needs the input v too"):
        extract_region(graph, ["h"], ["y"])


@pytest.mark.parametrize(
    ("operate", "message"),
    [
        (lambda g: mark_outputs(g, ["z"]), "the graph has no tensor z"),
        (lambda g: mark_outputs(g, ["x"]), "x is no result of a node"),
        (lambda g: extract_region(g, ["z"], ["y"]), "the graph has no tensor z"),
        (lambda g: set_io_types(g, {"r": HALF}), "r is neither an input nor an output"),
        (lambda g: set_io_types(g, {"x": onnx.TensorProto.STRING}), "is FLOAT and cannot be made"),
        (lambda g: set_io_types(g, {"y": onnx.TensorProto.INT64}), "is FLOAT and cannot be made"),
    ],
)
def test_what_is_not_there_is_refused_by_name(graph: gs.Graph, operate, message: str) -> None:
    with pytest.raises(InputError, match=message):
        operate(graph)


@pytest.mark.parametrize(
    ("onnx_type", "dtype"), [(HALF, np.float16), (BFLOAT16, ml_dtypes.bfloat16)]
)
def test_types_at_the_edges(graph: gs.Graph, onnx_type: int, dtype: type) -> None:
    changed = set_io_types(graph, {"x": onnx_type, "y": onnx_type})
    assert [tensor.name for tensor in changed.inputs] == ["x", "v"]
    assert [node.op for node in changed.nodes].count("Cast") == 2
    found = results(changed, x=X.astype(dtype), v=np.zeros(4, np.float32))
    inside = np.maximum(2 * X.astype(dtype).astype(np.float32), 0)
    assert found["y"].dtype == dtype
    np.testing.assert_array_equal(found["y"], inside.astype(dtype))  # one rounding, at the output


def test_a_cast_that_does_what_is_asked_goes() -> None:
    """As a conversion to fp16 leaves them, which keeps inputs and outputs in fp32."""
    model = build(
        "float[3,4] x => float[3,4] y",
        "h = Cast <to = 10> (x)  r = Relu(h)  y = Cast <to = 1> (r)",
        claims="float16[3,4] h, float16[3,4] r",
    )
    changed = set_io_types(to_graphsurgeon(model), {"x": HALF, "y": HALF})
    assert [node.op for node in changed.nodes] == ["Relu"]
    found = results(changed, x=X.astype(np.float16))
    np.testing.assert_array_equal(found["y"], np.maximum(X.astype(np.float16), 0))


def test_the_type_it_has_already_changes_nothing(graph: gs.Graph) -> None:
    assert [node.op for node in set_io_types(graph, {"x": FLOAT, "y": FLOAT}).nodes] == [
        "MatMul",
        "Relu",
        "Add",
    ]
