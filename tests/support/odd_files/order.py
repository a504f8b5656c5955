"""The order of operators and the names of things."""

from __future__ import annotations

import numpy as np
import onnx

from tests.support.odd_files.way import FOLD, PLAIN, behind, network, way, with_all_operators

_INSIDE = (
    "(float[B,3,4] x0, bool c) => (float[B,3,5] y) { x = Relu(x0) z = Sigmoid(x)"
    f" y0 = If(c) <then_branch = t () => (float[B,3,5] o) {{ {FOLD.replace('y =', 'o =')} }},"
    " else_branch = e () => (float[B,3,5] p) { p = MatMul(z, k) }> y = Relu(y0) }"
)


def _reverse(graph: onnx.GraphProto) -> None:
    nodes = list(graph.node)[::-1]
    del graph.node[:]
    graph.node.extend(nodes)


@way()
def nodes_in_reverse() -> onnx.ModelProto:
    model = network()
    _reverse(model.graph)
    return model


@way(c=np.array(True))
def nodes_of_a_body_in_reverse() -> onnx.ModelProto:
    model = network(_INSIDE)
    _reverse(model.graph)
    for graph in _bodies(model):
        _reverse(graph)
    return model


@way()
def a_graph_without_a_name() -> onnx.ModelProto:
    model = network()
    model.graph.ClearField("name")
    return model


@way(c=np.array(False))
def bodies_without_names() -> onnx.ModelProto:
    model = network(_INSIDE)
    for graph in _bodies(model):
        graph.ClearField("name")
    return model


@way()
def all_operators_of_one_name() -> onnx.ModelProto:
    return with_all_operators(name="same")


@way()
def names_of_all_kinds() -> onnx.ModelProto:
    names = {"m": "a b/c:0", "n": "ünï", "k": "1::2", "a": "''", "b": '"', "x": "x", "y": "y"}
    model = network()
    for node in model.graph.node:
        for names_of_values in (node.input, node.output):
            renamed = [names.get(name, name) for name in names_of_values]
            names_of_values[:] = renamed
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    return model


@way()
def operators_that_nobody_reads() -> onnx.ModelProto:
    return network(PLAIN.replace(" }", " r = Relu(y) s = Sigmoid(r) }"))


@way()
def an_operator_without_a_result_that_is_read() -> onnx.ModelProto:
    model = network(behind("y, u = Dropout(z)"))
    model.graph.node[-1].output[1] = ""
    return model


def _bodies(model: onnx.ModelProto) -> list[onnx.GraphProto]:
    return [one.g for node in model.graph.node for one in node.attribute if one.HasField("g")]
