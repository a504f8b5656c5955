"""What an edit leaves unread goes; what the user's file held unread stays."""

from __future__ import annotations

from tests.support.graphs import build, operators
from un_deploy.graph.fold.edits import remove_unread

SIGNATURE = "float[2,4] x => float[2,4] y"


def test_a_constant_goes_with_all_that_computed_it() -> None:
    model = build(SIGNATURE, "v = Add(var, eps) s = Sqrt(v) y = Mul(x, s)", var=(4,), eps=())
    mul = model.graph[2]
    unread = mul.inputs[1]
    mul.replace_input_with(1, mul.inputs[0])
    remove_unread(model.graph, [unread])
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
