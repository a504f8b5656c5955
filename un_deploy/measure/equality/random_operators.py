"""Operators that give other numbers each time, and the outputs that depend on them."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from un_deploy.graph.analysis.held_constant import held_constant
from un_deploy.graph.model.labels import node_name

_RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"}
_RANDOM |= {"RandomUniformLike"}


def behind_random(model: ir.Model) -> dict[str, str]:
    """The tensors of the main graph that depend on a random operator, with that operator's name."""
    behind: dict[str, str] = {}
    for node in model.graph:
        sources = [behind[name] for value in _read(node) if (name := str(value.name)) in behind]
        sources += [node_name(inner) for inner in (node, *_inside(node)) if _is_random(inner)]
        if sources:
            behind.update((str(value.name), sources[0]) for value in node.outputs)
    return behind


def _is_random(node: ir.Node) -> bool:
    if node.domain not in ("", "ai.onnx"):
        return False
    if node.op_type == "Dropout":
        return len(node.inputs) > 2 and node.inputs[2] is not None and _trains(node.inputs[2])
    return node.op_type in _RANDOM


def _trains(mode: ir.Value) -> bool:
    """Whether a Dropout may be in training mode: where that is not constant, it may."""
    tensor = held_constant(mode)
    return tensor is None or bool(tensor.numpy().any())


def _read(node: ir.Node) -> Iterator[ir.Value]:
    """What a node reads, its bodies included."""
    for one in (node, *_inside(node)):
        yield from (value for value in one.inputs if value is not None)
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield from attribute.as_graph().outputs


def _inside(node: ir.Node) -> Iterator[ir.Node]:
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield from attribute.as_graph().all_nodes()
