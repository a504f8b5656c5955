"""What runtimes read is mended: order, names, the main domain, weights as inputs."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest

from tests.support.odd_files.way import CONSTANTS, PLAIN, network
from un_deploy.errors import InputError
from un_deploy.graph.model.mend import mend
from un_deploy.graph.model.notes import notes_of


def mended(proto: onnx.ModelProto) -> ir.Model:
    model = ir.from_proto(proto)
    mend(model, "m.onnx")
    return model


def reversed_nodes(graph: onnx.GraphProto) -> None:
    nodes = list(graph.node)[::-1]
    del graph.node[:]
    graph.node.extend(nodes)


def test_what_is_in_order_stays_as_it_is() -> None:
    proto = network()
    model = mended(proto)
    assert [node.op_type for node in model.graph] == [node.op_type for node in proto.graph.node]
    assert (model.graph.name, notes_of(model)) == ("g", ())


def test_operators_are_sorted() -> None:
    proto = network(PLAIN.replace(" }", " r = Relu(x) s = Relu(r) }"))
    reversed_nodes(proto.graph)
    model = mended(proto)
    place = {str(node.outputs[0].name): at for at, node in enumerate(model.graph)}
    assert place["m"] < place["n"] < place["y"] and place["r"] < place["s"]
    assert notes_of(model) == ("operators stood before those that they read, and are sorted now",)


def test_operators_of_a_body_are_sorted_and_what_it_reads_comes_before_it() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[2] x, bool c) => (float[2] y) {'
        " p = Relu(x) y = If(c) <then_branch = t () => (float[2] b) { a = Relu(p) b = Neg(a) },"
        " else_branch = e () => (float[2] d) { d = Neg(x) }> }"
    )
    reversed_nodes(proto.graph)
    reversed_nodes(proto.graph.node[0].attribute[0].g)
    model = mended(proto)
    assert [node.op_type for node in model.graph] == ["Relu", "If"]
    body = model.graph.node(1).attributes["then_branch"].as_graph()
    assert [node.op_type for node in body] == ["Relu", "Neg"]


@pytest.mark.parametrize(
    ("text", "circle"),
    [
        ("p = Relu(q) q = Neg(p) y = MatMul(x, k)", "'[pq]' -> '[pq]'"),
        ("y = Add(y, x)", "'y' -> 'y'"),
        ("p = Add(x, r) q = Relu(p) r = Relu(q) y = MatMul(r, k)", "'[pqr]' -> '[pqr]' -> '[pqr]'"),
        (
            "p = Relu(y) c = Constant<value = bool {1}>() y = If(c) <then_branch = t () =>"
            " (float[B,3,5] b) { b = Relu(p) }, else_branch = e () => (float[B,3,5] d)"
            " { d = MatMul(x, k) }>",
            "'[py]' -> '[py]'",
        ),
    ],
)
def test_operators_that_wait_for_each_other_are_named(text: str, circle: str) -> None:
    proto = network(f"(float[B,3,4] x) => (float[B,3,5] y) {{ {text} }}")
    with pytest.raises(InputError, match=rf"m\.onnx has operators that wait .*: {circle}"):
        mended(proto)


def test_graphs_without_names_get_some() -> None:
    proto = network()
    proto.graph.name = ""
    model = mended(proto)
    assert (model.graph.name, notes_of(model)) == (
        "main_graph",
        ("a graph had no name and has one now",),
    )


@pytest.mark.parametrize(
    ("text", "opset"),
    [
        ("y = MatMul(x, k)", 13),
        ("m = Mul(x, a) y = MatMul(m, k)", 14),
        ("r = ReduceMean(x, a) y = MatMul(r, k)", 18),
        ("y = com.microsoft.Gelu(x)", 7),
    ],
)
def test_without_an_opset_operators_are_the_newest_at_the_lowest_opset(
    text: str, opset: int
) -> None:
    proto = network(f"(float[B,3,4] x) => (float y) {{ {text} }}", imports={"com.microsoft": 1})
    del proto.opset_import[0]
    model = mended(proto)
    assert model.opset_imports == {"com.microsoft": 1, "": opset}
    assert len(notes_of(model)) == (opset > 7)


@pytest.mark.parametrize(("version", "inputs"), [(3, ["x"]), (2, ["x"]), (4, ["x", "a", "b", "k"])])
def test_weights_that_nobody_can_override_are_no_inputs(version: int, inputs: list[str]) -> None:
    proto = network(opset=8, ir_version=version)
    proto.graph.input.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, array.shape)
        for name, array in CONSTANTS.items()
    )
    model = mended(proto)
    assert [value.name for value in model.graph.inputs] == inputs
    assert set(model.graph.initializers) == {"a", "b", "k"}
    assert model.ir_version == 4


@pytest.mark.parametrize(
    ("text", "opset"),
    [("r = Relu(p) q = Tanh(r)", 18), ("q = ReduceMean<axes=[1]>(p)", 14)],
    ids=["it means the same", "it means something else"],
)
def test_a_function_imports_what_the_model_does(text: str, opset: int) -> None:
    proto = network(opset=18, imports={"own": 1})
    function = f'<domain: "own", opset_import: ["" : 14]> Squash (p) => (q) {{ {text} }}'
    proto.functions.append(onnx.parser.parse_function(function))
    (found,) = mended(proto).functions.values()
    assert found.opset_imports[""] == opset
