"""The products of a graph that an engine has to compute, and what TensorRT calls their nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator

import onnx_ir as ir

from un_deploy.graph.analysis.operator_types import bodies, has_body
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.precision.bodies import every_node

RECURRENT = ("RNN", "GRU", "LSTM")
"""Layers that TensorRT takes apart: their products are in kernels that name no node."""


def multiplies(node: ir.Node) -> bool:
    """Whether a node is a product, a convolution, attention, or a recurrent layer."""
    return operator_named(node.op_type).multiplies or node.op_type in RECURRENT


def told_as(node: ir.Node) -> str:
    """What TensorRT's parser calls a node."""
    return node.name or f"node_of_{node.outputs[0].name}"


class NodesByName:
    """A graph's nodes by the names that kernels have for them.

    A node in a branch is followed by where it is: ``node | t (then_branch) | theif (If)``. The body
    of a Loop or a Scan adds nothing, not even between two that do.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self._full: dict[str, list[ir.Node]] = defaultdict(list)
        self._short: dict[str, list[ir.Node]] = defaultdict(list)
        self._in_rounds: set[ir.Node] = set()
        self._add(graph, "", in_rounds=False)

    def __getitem__(self, name: str) -> list[ir.Node]:
        """The nodes of a name; all that share it where it does not say in which branch."""
        return self._full.get(name) or self._short.get(name.partition(" | ")[0], [])

    def in_rounds(self, node: ir.Node) -> bool:
        """Whether a Loop or a Scan repeats it. Rounds that are unrolled do not name their nodes."""
        return node in self._in_rounds

    def _add(self, graph: ir.Graph, place: str, *, in_rounds: bool) -> None:
        for node in graph:
            self._full[told_as(node) + place].append(node)
            self._short[told_as(node)].append(node)
            if in_rounds:
                self._in_rounds.add(node)
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.GRAPH:
                    body, branch = attribute.as_graph(), node.op_type == "If"
                    here = f" | {body.name} ({attribute.name}) | {told_as(node)} (If)"
                    self._add(
                        body, (here if branch else "") + place, in_rounds=in_rounds or not branch
                    )


def needed_products(graph: ir.Graph) -> dict[ir.Node, int]:
    """The products that an engine has to compute, each with the number of what it computes.

    What nothing needs is left out, and what is made of constants alone, which is computed while the
    engine is built. Products with one number are the same operator on the same values, of which
    TensorRT may compute one.
    """
    alive = _alive(graph)
    numbers: dict[ir.Value, int] = {}
    known: dict[Hashable, int] = {}
    constant: set[ir.Value] = set()
    found = {}
    for node in every_node(graph):
        inputs = [value for value in node.inputs if value is not None]
        computes = not has_body(node) and (inputs or node.op_type == "Constant")
        if computes and all(v in constant or _is_stored(v) for v in inputs):
            constant.update(node.outputs)
        number = known.setdefault(_computes(node, numbers), len(known))
        for index, value in enumerate(node.outputs):
            numbers[value] = known.setdefault((number, index), len(known))
        if node in alive and multiplies(node) and not constant.issuperset(node.outputs):
            found[node] = number
    return found


def _alive(graph: ir.Graph) -> set[ir.Node]:
    """The nodes that an output of the graph needs."""
    found: set[ir.Node] = set()
    pending: list[ir.Value | None] = list(graph.outputs)
    while pending:
        value = pending.pop()
        node = None if value is None else value.producer()
        if node is not None and node not in found:
            found.add(node)
            pending.extend(node.inputs)
            pending.extend(output for body in bodies(node) for output in body.outputs)
    return found


def _is_stored(value: ir.Value) -> bool:
    return value.const_value is not None and not value.is_graph_input()


def _computes(node: ir.Node, numbers: dict[ir.Value, int]) -> Hashable:
    """The same for nodes that are alike; a node with a tensor or a body is like no other."""
    attributes = list(_plain_attributes(node))
    if None in attributes or node.op_type.startswith("Random"):
        return node
    inputs = tuple(numbers.get(v, v) if v is not None else None for v in node.inputs)
    return node.graph, node.domain, node.op_type, inputs, tuple(sorted(attributes))  # type: ignore[type-var]


def _plain_attributes(node: ir.Node) -> Iterator[tuple[str, str] | None]:
    held = (ir.AttributeType.TENSOR, ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    for attribute in node.attributes.values():
        yield None if attribute.type in held else (attribute.name, repr(attribute.value))
