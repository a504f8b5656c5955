"""Lets readers read another tensor, and removes what nobody reads any more."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir


def replace_value(
    graph: ir.Graph, old: ir.Value, new: ir.Value, *, output: ir.Value | None = None
) -> None:
    """Let all that reads `old` read `new`; the main graph's signature stays as it was.

    Where `old` is an output of the graph, `output` (None: `new`) becomes it, and takes over its
    name, type and declared shape.
    """
    if old.is_graph_output():
        output = new if output is None else output
        output.name, output.type, output.shape = old.name, old.type, old.shape
        for index, value in enumerate(graph.outputs):
            if value is old:
                graph.outputs[index] = output
    old.replace_all_uses_with(new)


def remove_unread(graph: ir.Graph, candidates: Iterable[ir.Value | None]) -> list[ir.Node]:
    """Remove those candidates that nothing reads any more, and then what fed them.

    What the user's file held unread from the start is no candidate and stays.

    Returns:
        The operators removed, each before those that fed it.
    """
    removed = []
    pending = [value for value in candidates if value is not None][::-1]
    while pending:
        value = pending.pop()
        if value.uses() or value.is_graph_output() or value.is_graph_input():
            continue
        node = value.producer()
        if node is None:
            if value.is_initializer():
                graph.initializers.pop(str(value.name))
        elif node.graph is graph and not any(
            other.uses() or other.is_graph_output() for other in node.outputs
        ):
            pending.extend(v for v in reversed(node.inputs) if v is not None)
            graph.remove(node, safe=True)
            removed.append(node)
    return removed
