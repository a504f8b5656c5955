"""The shapes of a model's outputs where it has branches: what all of them agree on."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.convenience import replace_all_uses_with

from un_deploy.graph.analysis.dims import Shape, same_dim
from un_deploy.graph.analysis.shapes import Shapes


def output_shapes(model: ir.Model, shapes: Shapes) -> list[Shape | None]:
    """Of each output, None where its rank is unknown; a dimension that differs is None.

    Args:
        shapes: of the model, which know nothing of what is behind a branch.
    """
    if not any(_is_if(node) for node in model.graph):
        return _of_outputs(model, shapes)
    ways = [_taken(model, branch) for branch in ("then_branch", "else_branch")]
    both = (_of_outputs(way, Shapes(way)) for way in ways)
    return [_agreed(*pair) for pair in zip(*both, strict=True)]


def _of_outputs(model: ir.Model, shapes: Shapes) -> list[Shape | None]:
    return [shapes.of(value) for value in model.graph.outputs]


def _agreed(first: Shape | None, second: Shape | None) -> Shape | None:
    if first is None or second is None or len(first) != len(second):
        return None
    return tuple(a if same_dim(a, b) else None for a, b in zip(first, second, strict=True))


def _is_if(node: ir.Node) -> bool:
    return node.op_type == "If" and node.domain in ("", "ai.onnx")


def _taken(model: ir.Model, branch: str) -> ir.Model:
    """A copy in which every If takes the same branch, and is replaced by it, nested ones too."""
    model = model.clone()
    graph = model.graph
    count = 0
    while (node := next(filter(_is_if, graph), None)) is not None:
        inner = node.attributes[branch].as_graph()
        nodes, constants, outputs = list(inner), [*inner.initializers.values()], [*inner.outputs]
        inner.outputs.clear()
        inner.initializers.clear()
        inner.remove(nodes)
        for value in (*constants, *(value for one in nodes for value in one.outputs)):
            value.name = f"{value.name}/{count}"  # two branches may use the same names
            count += 1
        for value in constants:
            graph.register_initializer(value)
        graph.insert_before(node, nodes)
        replace_all_uses_with(node.outputs, outputs, replace_graph_outputs=True)
        graph.remove(node)
    return model
