"""Readers read another tensor, the signature stays, and what is left unread goes."""

from __future__ import annotations

import onnx_ir as ir

from tests.support.graphs import build, operators
from un_deploy.graph.fold.rewire import remove_unread, replace_value

SIGNATURE = "float[2,4] x => float[2,4] y"


def test_a_constant_goes_with_all_that_computed_it() -> None:
    model = build(SIGNATURE, "v = Add(var, eps) s = Sqrt(v) y = Mul(x, s)", var=(4,), eps=())
    mul = model.graph[2]
    unread = mul.inputs[1]
    mul.replace_input_with(1, mul.inputs[0])
    removed = remove_unread(model.graph, [unread])
    assert [node.op_type for node in removed] == ["Sqrt", "Add"]
    assert operators(model) == ["Mul"]
    assert not model.graph.initializers


def test_what_is_read_elsewhere_or_is_an_output_stays() -> None:
    body = "s = Sqrt(var) y = Mul(x, s) z = Neg(var) "
    model = build("float[2,4] x => float[2,4] y, float[4] z", body, var=(4,))
    mul = model.graph[1]
    unread = mul.inputs[1]
    mul.replace_input_with(1, mul.inputs[0])
    remove_unread(model.graph, [unread, None, model.graph.outputs[1], model.graph.inputs[0]])
    assert operators(model) == ["Mul", "Neg"]
    assert set(model.graph.initializers) == {"var"}


def test_an_operator_stays_while_one_of_its_outputs_is_read() -> None:
    model = build(SIGNATURE, "p, q = Split<num_outputs=2>(c) y = Mul(x, p)", c=(8,))
    unread = model.graph[0].outputs[1]
    remove_unread(model.graph, [unread])
    assert operators(model) == ["Split", "Mul"]


def test_an_output_that_is_replaced_keeps_its_name_and_declared_shape() -> None:
    model = build("float[2,4] x => float[N,M] y, float[2,4] z", "h = Neg(x) y = Abs(h) z = Exp(y)")
    h, y = (model.graph[k].outputs[0] for k in (0, 1))
    replace_value(model.graph, y, h)
    assert model.graph.outputs[0] is h
    assert (h.name, str(h.shape)) == ("y", "[N,M]")
    assert model.graph[2].inputs[0] is h
    assert remove_unread(model.graph, [y])[0].op_type == "Abs"


def test_another_tensor_may_become_the_output() -> None:
    model = build("float[2] x => float[2] y, float[2] z", "y = Abs(x) z = Exp(y)")
    y, copy = model.graph[0].outputs[0], ir.node("Identity", [model.graph.inputs[0]])
    model.graph.insert_before(model.graph[0], copy)
    replace_value(model.graph, y, model.graph.inputs[0], output=copy.outputs[0])
    assert model.graph.outputs[0] is copy.outputs[0]
    assert copy.outputs[0].name == "y"
    assert model.graph[2].inputs[0] is model.graph.inputs[0]
