"""Every kind of model comes back as the kind it was, and what was given stays as it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnx_ir as ir
import pytest
from onnx import parser

from un_deploy.errors import InputError
from un_deploy.graph.model.model_kinds import to_ir

HEADER = '<ir_version: 10, opset_import: ["" : 20]>'
TEXT = f"""{HEADER}
main (float[batch, 4] x) => (float[batch, 2] y, float[batch, 2] h)
<float[4, 2] w = {{1, 2, 3, 4, 5, 6, 7, 8}}, float[2] b = {{1, 2}}>
{{
    h = MatMul(x, w)
    half = Constant<value = float {{0.5}}>()
    g = Mul(h, half)
    y = Add(g, b)
}}"""


def _proto() -> onnx.ModelProto:
    proto = parser.parse_model(TEXT)
    proto.metadata_props.add(key="note", value="kept")
    proto.graph.initializer[0].metadata_props.add(key="note", value="kept")
    proto.graph.node[0].metadata_props.add(key="note", value="kept")
    proto.doc_string = "the model"
    return proto


def _path(folder: Path) -> Path:
    onnx.save(_proto(), folder / "a.onnx")
    return folder / "a.onnx"


KINDS: dict[str, Callable[[Path], Any]] = {
    "path": _path,
    "str": lambda folder: str(_path(folder)),
    "proto": lambda folder: _proto(),
    "ir": lambda folder: ir.from_proto(_proto()),
    "external ir": lambda folder: _external(folder),
    "graphsurgeon": lambda folder: gs.import_onnx(_proto()),
}


def _external(folder: Path) -> ir.Model:
    model = ir.from_proto(_proto())
    ir.save(model, folder / "a.onnx", external_data="a.data", size_threshold_bytes=0)
    return ir.load(folder / "a.onnx")


def _bytes(model: Any) -> bytes:
    if isinstance(model, str | Path):
        return Path(model).read_bytes()
    if isinstance(model, ir.Model):
        model = ir.to_proto(model)
    if isinstance(model, gs.Graph):
        model = gs.export_onnx(model)
    return model.SerializeToString()


def _spoil(model: ir.Model) -> None:
    """Change everything that an edit can reach."""
    graph = model.graph
    for value in [*graph.initializers.values(), *graph.inputs]:
        value.metadata_props["spoiled"] = "yes"
        value.name = f"{value.name}_spoiled"
    for tensor in [value.const_value for value in graph.initializers.values()]:
        assert tensor is not None
        tensor.doc_string = "spoiled"
        tensor.metadata_props["spoiled"] = "yes"
    for node in graph:
        node.name = f"{node.name}_spoiled"
        node.metadata_props["spoiled"] = "yes"
        for value in node.outputs:
            value.name = f"{value.name}_spoiled"
            value.dtype = ir.DataType.DOUBLE
            value.shape = ir.Shape([7])
    graph.initializers["w_spoiled"].const_value = ir.tensor(np.zeros((4, 2)))
    graph.opset_imports["spoiled"] = 1
    model.metadata_props["spoiled"] = "yes"
    graph.metadata_props["spoiled"] = "yes"
    last = graph[-1]
    last.replace_input_with(1, last.inputs[0])


@pytest.mark.parametrize("kind", KINDS)
def test_edits_never_reach_what_was_given(kind: str, tmp_path: Path):
    given = KINDS[kind](tmp_path)
    before = _bytes(given)
    private, restore = to_ir(given)
    assert _bytes(given) == before

    _spoil(private)
    assert _bytes(given) == before
    restore(private)
    assert _bytes(given) == before


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_comes_back_with_all_that_it_holds(kind: str, tmp_path: Path):
    given = KINDS[kind](tmp_path)
    private, restore = to_ir(given)
    back = restore(private)

    kinds = {onnx.ModelProto, gs.Graph}
    assert type(back) is (type(given) if type(given) in kinds else ir.Model)
    original = given if isinstance(given, gs.Graph) else _proto()
    first, second = (ir.from_proto(onnx.ModelProto.FromString(_bytes(m))) for m in (original, back))
    assert first.metadata_props == second.metadata_props
    assert first.doc_string == second.doc_string
    for a, b in zip(first.graph, second.graph, strict=True):
        assert (a.op_type, a.metadata_props) == (b.op_type, b.metadata_props)
        assert [v.name for v in a.inputs if v] == [v.name for v in b.inputs if v]
    for a, b in zip(first.graph.outputs, second.graph.outputs, strict=True):
        assert (a.name, a.dtype, a.shape) == (b.name, b.dtype, b.shape)
    if kind == "external ir":
        first, second = given, back
    for name, value in first.graph.initializers.items():
        after = second.graph.initializers[name]
        assert value.const_value is not None and after.const_value is not None
        np.testing.assert_array_equal(value.const_value.numpy(), after.const_value.numpy())
        assert value.const_value.metadata_props == after.const_value.metadata_props


def test_the_weights_of_an_ir_model_are_shared():
    given = ir.from_proto(_proto())
    array = np.ones((4, 2), np.float32)
    given.graph.initializers["w"].const_value = ir.Tensor(array, name="w")
    private, _ = to_ir(given)
    tensor = private.graph.initializers["w"].const_value
    assert tensor is not None
    assert tensor.numpy() is array


def test_a_graphsurgeon_graph_may_be_unsorted_and_use_domains_it_does_not_import():
    graph = gs.import_onnx(_proto())
    graph.nodes.reverse()
    graph.nodes[0].domain = "com.example"
    domains = list(graph.import_domains)

    private, _ = to_ir(graph)

    assert [node.op_type for node in private.graph][-1] == "Add"
    assert private.opset_imports == {"": 20, "com.example": 1}
    assert list(graph.import_domains) == domains


def test_a_graphsurgeon_input_with_a_default_stays_an_input():
    graph = gs.import_onnx(_proto())
    graph.inputs.append(graph.tensors()["b"])
    private, restore = to_ir(graph)
    assert [tensor.name for tensor in restore(private).inputs] == ["x", "b"]


FUNCTIONS = f"""{HEADER[:-2]}, "custom" : 1]>
main (float[2] x, float[2] z) => (float[2] y, float[2] same)
{{
    h = custom.Outer <alpha = 2.0> (x)
    y = custom.Outer <alpha = 3.0> (h)
    same = custom.Pass(z)
}}
<domain: "custom", opset_import: ["" : 20, "custom" : 1]>
Outer <alpha> (a) => (b) {{ t = custom.Inner <alpha : float = @alpha> (a) b = Neg(t) }}
<domain: "custom", opset_import: ["" : 20]>
Inner <alpha> (a) => (b) {{ b = LeakyRelu <alpha : float = @alpha> (a) }}
<domain: "custom", opset_import: ["" : 20]>
Pass (a) => (b) {{ b = Identity(a) }}
<domain: "custom", opset_import: ["" : 20]>
Unused (a) => (b) {{ b = Identity(a) }}
"""


@pytest.mark.parametrize("kind", ["proto", "ir", "graphsurgeon"])
def test_local_functions_are_inlined(kind: str):
    proto = parser.parse_model(FUNCTIONS)
    given: Any = proto
    if kind == "ir":
        given = ir.from_proto(proto)
    elif kind == "graphsurgeon":
        given = gs.import_onnx(proto)
    before = _bytes(given)

    private, restore = to_ir(given)

    assert [node.op_type for node in private.graph] == ["LeakyRelu", "Neg"] * 2 + ["Identity"]
    assert [node.attributes["alpha"].as_float() for node in list(private.graph)[::2][:2]] == [2, 3]
    assert private.opset_imports == {"": 20}
    assert not private.functions
    assert _bytes(given) == before
    onnx.checker.check_model(onnx.ModelProto.FromString(_bytes(restore(private))))


def test_a_function_of_another_opset_is_inlined_where_it_means_the_same():
    text = FUNCTIONS.replace('["" : 20]>\nInner', '["" : 19]>\nInner')
    private, _ = to_ir(parser.parse_model(text))
    assert [node.op_type for node in private.graph] == ["LeakyRelu", "Neg"] * 2 + ["Identity"]


def test_a_function_of_an_opset_at_which_it_means_something_else_is_refused():
    text = FUNCTIONS.replace('["" : 20]>\nPass', '["" : 17]>\nPass')
    text = text.replace("Pass (a) => (b) { b = Identity", "Pass (a) => (b) { b = ReduceMean")
    with pytest.raises(InputError, match="is not valid ONNX: Opset import for domain in function"):
        to_ir(parser.parse_model(text))


def _unsorted_ir() -> ir.Model:
    model = ir.from_proto(_proto())
    first = model.graph[0]
    model.graph.remove(first)
    model.graph.append(first)
    return model


def _without_types() -> gs.Graph:
    graph = gs.import_onnx(_proto())
    graph.inputs[0].dtype = None
    return graph


def _elsewhere(folder: Path) -> onnx.ModelProto:
    _external(folder)
    return onnx.load(folder / "a.onnx", load_external_data=False)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda folder: 3, "3 is no model: give a path"),
        (lambda folder: folder / "a.onnx", r"a\.onnx does not exist"),
        (lambda folder: _unsorted_ir(), r"call model\.graph\.sort\(\)"),
        (lambda folder: _without_types(), "Graph cannot be exported: .* dtype"),
        (_elsewhere, "the ModelProto leaves 'w' in the file .* give the path"),
        (lambda folder: onnx.ModelProto(), "the ModelProto holds no graph"),
        (
            lambda folder: parser.parse_model(TEXT.replace("20", "6")),
            "the ModelProto uses opset 6, older than 7",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(given: Callable[[Path], Any], message: str, tmp_path: Path):
    with pytest.raises(InputError, match=message):
        to_ir(given(tmp_path))


def test_graphsurgeon_is_imported_only_for_its_graphs(tmp_path: Path):
    script = (
        "import sys; from un_deploy.graph.model.model_kinds import to_ir; to_ir(sys.argv[1]); "
        "sys.exit('onnx_graphsurgeon' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(_path(tmp_path))], check=True)


def _calls(count: int, body: str) -> onnx.ModelProto:
    """Functions that call the next one, the last one a Neg."""
    functions = "".join(
        f'<domain: "f", opset_import: ["": 17, "f": 1]> F{i} (p) => (r) {{ {body.format(i + 1)} }}'
        for i in range(count)
    )
    last = f'<domain: "f", opset_import: ["": 17]> F{count} (p) => (r) {{ r = Neg(p) }}'
    return onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 17, "f": 1]> '
        f"g (float[2] x) => (float[2] y) {{ y = f.F0(x) }} {functions} {last}"
    )


@pytest.mark.parametrize(
    ("count", "body"),
    [
        (40, "q = f.F{0}(p) r = f.F{0}(q)"),
        (13, "a = f.F{0}(p) b = f.F{0}(a) r = f.F{0}(b)"),
        (21, "q = f.F{0}(p) s = Neg(q) r = f.F{0}(s)"),
    ],
)
def test_functions_that_multiply_are_refused_before_they_are_inlined(count: int, body: str) -> None:
    with pytest.raises(InputError, match=r"stand for [0-9,]+ operators"):
        to_ir(_calls(count, body))


def test_functions_that_multiply_little_are_inlined() -> None:
    model, _ = to_ir(_calls(6, "q = f.F{0}(p) r = f.F{0}(q)"))
    assert [node.op_type for node in model.graph] == ["Neg"] * 2**6


def test_functions_that_call_themselves_are_refused() -> None:
    with pytest.raises(InputError, match="local functions"):
        to_ir(_calls(3, "r = f.F0(p)"))
