"""Finds the norms that measure their input, with the operators that are their scale and shift."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.norm import Norm
from un_deploy.graph.analysis.norms.operators import norm_operator
from un_deploy.graph.analysis.norms.written_out import affine_behind, written_out
from un_deploy.graph.analysis.shapes import Shapes


def find_norms(graph: ir.Graph, constants: Constants, shapes: Shapes) -> list[Norm]:
    """Every norm of the main graph that measures its input, in topological order."""
    order = {node: index for index, node in enumerate(graph)}
    found = list(_found(graph, order, constants, shapes))
    return sorted(found, key=lambda norm: order[norm.nodes[0]])


def find_layernorms(graph: ir.Graph, constants: Constants, shapes: Shapes) -> list[Norm]:
    """Those that compute a LayerNormalization and nothing else, over whatever axes."""
    return [norm for norm in find_norms(graph, constants, shapes) if is_layernorm(norm)]


def is_layernorm(norm: Norm) -> bool:
    """Whether it computes a LayerNormalization and nothing else."""
    return norm.kind == "LayerNormalization" and not norm.nodes[0].domain


def _found(
    graph: ir.Graph, order: dict[ir.Node, int], constants: Constants, shapes: Shapes
) -> Iterator[Norm]:
    for node in graph:
        operator = norm_operator(node)
        if operator is not None:
            grouped = _grouped(node, constants, shapes)
            used = any(v.uses() or v.is_graph_output() for v in node.outputs[1:])
            obstacle = "its mean or deviation is read too" if used else ""
            yield grouped or Norm(operator.kind, (node,), node.outputs[0], obstacle=obstacle)
        elif not node.domain and node.op_type in ("Sqrt", "Pow"):
            norm = written_out(node, order, constants, shapes)
            if norm is not None:
                yield norm


def _grouped(node: ir.Node, constants: Constants, shapes: Shapes) -> Norm | None:
    """A GroupNorm as PyTorch writes it: the groups become channels of an InstanceNormalization."""
    if node.op_type != "InstanceNormalization":
        return None
    (y, *_), x = node.outputs, node.inputs[0]
    before, readers = x.producer() if x is not None else None, y.uses()
    if before is None or before.op_type != "Reshape" or len(readers) != 1 or y.is_graph_output():
        return None
    ((after, _),) = readers
    if after.domain or after.op_type != "Reshape" or after.graph is not node.graph:
        return None
    affine = affine_behind((node, after), after.outputs[0], ("Mul", "Add"), constants, shapes)
    end = affine[-1] if affine else after
    return Norm("GroupNorm", (node, after, *affine), end.outputs[0], affine)
