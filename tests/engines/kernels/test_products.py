"""Which products an engine has to compute, and how kernels spell the names of a graph's nodes."""

from __future__ import annotations

import onnx_ir as ir

from tests.support.graphs import build
from tests.support.networks.foreign import NETWORKS
from un_deploy.engines.kernels.products import NodesByName, needed_products
from un_deploy.graph.precision.bodies import every_node

NESTED = """
    a = If (c) <
        then_branch = t () => (float[4,4] b) {
            b = Loop (n, c, x) <body = l (int64 i, bool go, float[4,4] s)
                                => (bool on, float[4,4] o) {
                on = Identity(go)
                o = If (go) <then_branch = p () => (float[4,4] q) { q = MatMul(s, w) },
                             else_branch = u () => (float[4,4] v) { v = MatMul(w, s) }>
            }>
        },
        else_branch = e () => (float[4,4] z) { z = MatMul(x, w) }
    >
    y = MatMul(a, w)
"""
SIGNATURE = "float[4,4] x, bool c, int64 n => float[4,4] y"


def test_a_node_in_a_branch_is_followed_by_where_it_is() -> None:
    """As TensorRT-RTX 1.7 spells it: the Loop between two branches is left out."""
    nodes = NodesByName(build(SIGNATURE, NESTED, w=(4, 4)).graph)
    made = {
        name: [node.outputs[0].name for node in nodes[name]]
        for name in (
            "MatMul_1",
            "node_of_z | e (else_branch) | If_0 (If)",
            "node_of_q | p (then_branch) | node_of_o (If) | t (then_branch) | If_0 (If)",
            "node_of_b | t (then_branch) | If_0 (If)",
            "node_of_q",
            "node_of_q | of another place",
            "unknown",
        )
    }
    assert list(made.values()) == [["y"], ["z"], ["q"], ["b"], ["q"], ["q"], []]


def test_what_the_body_of_a_loop_holds_is_done_in_rounds() -> None:
    graph = build(SIGNATURE, NESTED, w=(4, 4)).graph
    nodes = NodesByName(graph)
    repeated = [n.outputs[0].name for n in every_node(graph) if nodes.in_rounds(n)]
    assert sorted(map(str, repeated)) == ["o", "on", "q", "v"]


def products(model: ir.Model) -> dict[str, int]:
    return {str(n.outputs[0].name): number for n, number in needed_products(model.graph).items()}


def test_products_in_all_bodies_are_needed() -> None:
    assert products(build(SIGNATURE, NESTED, w=(4, 4))).keys() == {"q", "v", "z", "y"}


def test_what_nothing_needs_or_constants_make_is_left_out() -> None:
    model = build(
        "float[4,4] x => float[4,4] y",
        "a = MatMul(x, w)  b = MatMul(w, w)  c = Relu(b)  d = MatMul(c, w)  y = MatMul(x, d)",
        w=(4, 4),
    )
    assert products(model).keys() == {"y"}


def test_products_are_alike_through_what_makes_their_inputs() -> None:
    body = """
        r = Relu(x)  s = Relu(x)  t = Tanh(x)
        a = MatMul(r, w)  b = MatMul(s, w)  c = MatMul(t, w)
        d = Gemm<transB=1>(r, w)  e = Gemm<transB=0>(s, w)
        y = Sum(a, b, c, d, e)
    """
    found = products(build("float[4,4] x => float[4,4] y", body, w=(4, 4)))
    assert found.keys() == set("abcde")
    assert found["a"] == found["b"] and len(set(found.values())) == 4


def test_recurrent_layers_are_products() -> None:
    model = NETWORKS["recurrent layers"].model()
    kinds = [node.op_type for node in needed_products(model.graph)]
    assert kinds.count("GRU") == kinds.count("LSTM") == 1
