"""Scalar factors and biases that the linear operator next to them can take in.

Elsewhere a scalar factor is a part of something else (the 0.5 of GELU), and so is a constant that
is added. Reshapes may stand between, but no Transpose: behind it are the heads of attention, and
what scales those belongs to the logits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.sites.affine_steps import Step
from un_deploy.graph.model.labels import node_name


def against(step: Step, facts: GraphFacts) -> str | None:
    """Why no linear operator beside a step takes it in; empty where one does, None without one."""
    if step.nodes[0].op_type == "Neg":
        return None
    said = [text for text in (_behind(step, facts), _in_front(step, facts)) if text is not None]
    return "" if "" in said else "; ".join(said) or None


def _behind(step: Step, facts: GraphFacts) -> str | None:
    """The same of the linear operator that makes what it reads."""
    value, inside = step.x, list(step.nodes)
    output, other = None, None
    while (node := value.producer()) is not None:
        output = value if value.is_graph_output() else output
        other = next((reader for reader in facts.readers(value) if reader not in inside), other)
        linear = facts.biased.get(node, node)
        if facts.operator(linear).absorbs:
            break
        if not _reshapes(node, facts) or node.inputs[0] is None:
            return None
        value, inside = node.inputs[0], [node]
    if node is None or not facts.is_linear(linear):
        return None
    if output is not None:
        return f"{output.name!r} is a graph output, too"
    if other is not None:  # an activation reads its input twice, once through a factor
        bends = all(_bends(reader, facts) for reader in facts.readers(step.y))
        return None if bends else f"what it reads is also read by {node_name(other)}"
    if len(step.affine.varies) > 1:  # behind a Reshape, a table of positions is to be expected
        name = node_name(linear)
        here = f"it differs from place to place, as a position embedding does and no bias of {name}"
        return here if value is step.x else None
    return _price(step, linear, facts)


def _in_front(step: Step, facts: GraphFacts) -> str | None:
    """The same of the linear operators that read what it makes."""
    if _is_product(step.x.producer(), facts) or len(step.affine.varies) > 1:
        return None  # an activation, whose own constant follows, or a table of positions
    ends = list(_ends(step.y, facts))
    linear = [node for node, value in ends if node is not None and _is_data(value, node, facts)]
    if not linear:
        return None
    for node, value in ends:
        if node is None:
            return f"{value.name!r} is a graph output, too"
        if node not in linear:
            return f"what it makes is also read by {node_name(node)}"
    return next((text for node in linear if (text := _price(step, node, facts))), "")


def _ends(value: ir.Value, facts: GraphFacts) -> Iterator[tuple[ir.Node | None, ir.Value]]:
    """What reads a tensor, behind Reshapes too; None for the graph's outputs."""
    pending = [value]
    while pending:
        value = pending.pop()
        if value.is_graph_output():
            yield None, value
        for node in facts.readers(value):
            if _reshapes(node, facts) and node.inputs[0] is value:
                pending.append(node.outputs[0])
            else:
                yield node, value


def _reshapes(node: ir.Node, facts: GraphFacts) -> bool:
    """Whether it keeps all numbers and their order."""
    return facts.operator(node).rearranges and node.op_type != "Transpose"


def _is_data(value: ir.Value, node: ir.Node, facts: GraphFacts) -> bool:
    """Whether a linear operator multiplies this tensor by its weight."""
    if not facts.is_linear(node):
        return False
    places = [index for index, read in enumerate(node.inputs) if read is value]
    weight = facts.weight(node)
    return places == [0 if weight is None else 1 - weight]


def _price(step: Step, linear: ir.Node, facts: GraphFacts) -> str:
    """Why the operator takes it in at no fair price; empty where it does."""
    affine, name = step.affine, node_name(linear)
    index = facts.weight(linear)
    weight = None if index is None else linear.inputs[index]
    if weight is None:
        return f"the weight of {name} is no constant"
    if not np.all(affine.scale):
        return "it multiplies by zero, whatever is in front of it"
    if np.any(np.abs(affine.scale) != 1):  # a sign passes wherever a scale does
        own = _is_its_own(weight, facts)
        return (
            "" if own else f"the weight of {name} is read by others, too, and would be twice there"
        )
    if np.any(affine.shift) and not facts.holds_bias(linear):
        return f"{name} would gain a bias in its place"
    return ""


def _is_its_own(weight: ir.Value | None, facts: GraphFacts) -> bool:
    """Whether nothing else reads a weight, nor what it is made of."""
    if weight is None or not is_floating(facts.constants.dtype(weight)):
        return True
    node = weight.producer()
    sources = () if node is None else node.inputs
    return len(weight.uses()) == 1 and all(_is_its_own(value, facts) for value in sources)


def _is_product(node: ir.Node | None, facts: GraphFacts) -> bool:
    """Whether it multiplies computed tensors, as an activation does."""
    if node is None or node.domain or node.op_type not in ("Mul", "Div"):
        return False
    return not any(value in facts.constants for value in node.inputs)


def _bends(node: ir.Node, facts: GraphFacts) -> bool:
    """Whether it may be a part of an activation, which reads its input twice."""
    return facts.operator(node).group in ("activation", "elementwise") and node.op_type not in (
        *("Add", "Sub", "Sum"),
    )
