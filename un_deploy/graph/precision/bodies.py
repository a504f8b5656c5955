"""The bodies of an If, a Loop or a Scan: what is in them, and what crosses their edges.

A body is converted as the graph around it is. What enters it as an input and leaves it as an output
stays in fp32, as the inputs and outputs of a graph do: a Loop's state has to have one type in all
rounds, and may add up more of them than a half type holds. What a body reads of the graph around it
comes in the type in which it is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.operator_types import (
    OperatorTypes,
    bodies,
    tensor_type,
    value_types,
)
from un_deploy.graph.model.labels import node_name

_COUNTER_AND_CONDITION = (ir.DataType.INT64, ir.DataType.BOOL)


def every_graph(graph: ir.Graph) -> Iterator[ir.Graph]:
    """The graph and all bodies in it."""
    yield graph
    for node in graph:
        for body in bodies(node):
            yield from every_graph(body)


def every_node(graph: ir.Graph) -> Iterator[ir.Node]:
    """All operators, those of a body before the operator that it belongs to."""
    for node in graph:
        for body in bodies(node):
            yield from every_node(body)
        yield node


def graph_of(value: ir.Value) -> ir.Graph:
    """The graph or body that a value is in."""
    assert isinstance(value.graph, ir.Graph)
    return value.graph


def is_control_flow(node: ir.Node) -> bool:
    """Whether it is an operator whose bodies are converted."""
    return not node.domain and node.op_type in ("If", "Loop", "Scan")


def crossings(graph: ir.Graph) -> dict[ir.Value, list[ir.Value]]:
    """What a value is called on the other side of a body's edge, and in a Loop's next round."""
    found: dict[ir.Value, list[ir.Value]] = defaultdict(list)
    for node in every_node(graph):
        for outside, inside in _pairs(node):
            if outside is not None:
                found[outside].append(inside)
    return found


def all_types(model: ir.Model) -> dict[ir.Value, onnx.TypeProto]:
    """The type of every value, those in bodies too.

    Raises:
        InputError: names a value whose type nothing tells.
    """
    found = value_types(model)
    operators = OperatorTypes(model)
    for node in model.graph:
        _add_types_in_bodies(node, found, operators)
    return found


class ConstantsOfAll:
    """Which values of a model and its bodies are constant, and what they are."""

    def __init__(self, model: ir.Model) -> None:
        self._of: dict[ir.Graph | None, Constants] = {}
        for graph in every_graph(model.graph):
            graph.opset_imports.update(model.opset_imports)  # a body states none of its own
            self._of[graph] = Constants(ir.Model(graph, ir_version=model.ir_version or 10))

    def __contains__(self, value: ir.Value | None) -> bool:
        return value is not None and value in self._of.get(value.graph, ())

    def __getitem__(self, value: ir.Value) -> np.ndarray:
        return self._of[value.graph][value]


def _pairs(node: ir.Node) -> Iterator[tuple[ir.Value | None, ir.Value]]:
    if not is_control_flow(node):
        return
    conditions = 1 if node.op_type == "Loop" else 0  # that its body makes, before all else
    counts = 2 if node.op_type == "Loop" else 0  # what it is given, before its states
    states = len(node.inputs) - counts - node.attributes.get_int("num_scan_inputs", 0)
    for body in bodies(node):
        made = list(body.outputs)[conditions:]
        yield from zip(made, node.outputs, strict=False)
        if node.op_type != "If":
            taken = list(body.inputs)[counts:]
            yield from zip(list(node.inputs)[counts:], taken, strict=False)
            yield from zip(made[:states], taken, strict=False)


def _add_types_in_bodies(
    node: ir.Node, found: dict[ir.Value, onnx.TypeProto], operators: OperatorTypes
) -> None:
    outside = {inside: found[value] for value, inside in _pairs(node) if value in found}
    for body in bodies(node):
        if node.op_type == "Loop":  # the number of the round, and whether there is another
            outside.update(zip(body.inputs, map(tensor_type, _COUNTER_AND_CONDITION), strict=False))
        for value in body.inputs:
            _add(found, value, outside.get(value), node)
        for value in body.initializers.values():
            _add(found, value, None, node)
        for inner in body:
            _add_types_in_bodies(inner, found, operators)
            inputs = [None if value is None else found.get(value) for value in inner.inputs]
            inside = {value: found[made] for made, value in _pairs(inner) if made in found}
            for value, told in zip(inner.outputs, operators.results(inner, inputs), strict=True):
                if value.name:  # else it is left out
                    _add(found, value, told or inside.get(value), inner)


def _add(
    found: dict[ir.Value, onnx.TypeProto],
    value: ir.Value,
    told: onnx.TypeProto | None,
    node: ir.Node,
) -> None:
    """What the file claims counts only where nothing else tells: it may be stale."""
    if value.const_value is not None:
        told = tensor_type(value.const_value.dtype)
    if told is None or told.WhichOneof("value") is None:
        if value.type is None:
            raise InputError(
                f"nothing tells the type of {value.name!r} in the body of a {node.op_type} around "
                f"or at {node_name(node)!r}: write it into the file"
            )
        told = ir.serde.serialize_type(value.type)
    found[value] = told
