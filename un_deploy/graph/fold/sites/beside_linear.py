"""Scalar factors and biases that the linear operator next to them can take in.

Elsewhere a scalar factor is a part of something else (the 0.5 of GELU), and so is a constant that
is added (a position table).
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.sites.affine_steps import Step


def is_beside_linear(step: Step, facts: GraphFacts) -> bool:
    """Whether linear operators alone make what the step reads, or read what it makes."""
    if step.affine.is_identity or step.nodes[0].op_type == "Neg":
        return False
    if not np.all(step.affine.scale):
        return False  # what is in front of it may be anything
    return _is_behind(step, facts) or _is_in_front(step, facts)


def _is_behind(step: Step, facts: GraphFacts) -> bool:
    node = step.x.producer()
    if node is None or step.x.is_graph_output():
        return False
    if not set(facts.readers(step.x)) <= set(step.nodes):
        return False
    linear = facts.biased.get(node, node)
    operator = facts.linear(linear)
    return operator is not None and _fits(step, operator.channels, linear, facts)


def _is_in_front(step: Step, facts: GraphFacts) -> bool:
    readers = facts.readers(step.y)
    if not readers or step.y.is_graph_output() or _is_product(step.x.producer(), facts):
        return False
    for node in readers:
        operator = facts.linear(node)
        if operator is None or [v for v in node.inputs if v is step.y] != [node.inputs[0]]:
            return False
        if not _fits(step, operator.input_channels(node), node, facts):
            return False
    return True


def _fits(step: Step, axis: int, linear: ir.Node, facts: GraphFacts) -> bool:
    """Whether it varies along the channels alone, and weight and bias take it in for nothing."""
    rank = step.affine.rank
    if not step.affine.varies <= {axis % rank}:
        return False
    if np.any(step.affine.scale != 1) and not _is_its_own(linear.inputs[1], facts):
        return False  # a second weight, as large as a table of words, is no price for one number
    return facts.holds_bias(linear) or not np.any(step.affine.shift)


def _is_its_own(weight: ir.Value | None, facts: GraphFacts) -> bool:
    """Whether nothing else reads a weight, nor what it is made of."""
    if weight is None or not is_floating(facts.constants.dtype(weight)):
        return True
    node = weight.producer()
    sources = () if node is None else node.inputs
    return len(weight.uses()) == 1 and all(_is_its_own(value, facts) for value in sources)


def _is_product(node: ir.Node | None, facts: GraphFacts) -> bool:
    """Whether it multiplies computed tensors, as an activation does whose own constant follows."""
    if node is None or node.domain or node.op_type not in ("Mul", "Div"):
        return False
    return not any(value in facts.constants for value in node.inputs)
