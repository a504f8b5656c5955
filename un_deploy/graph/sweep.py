"""Removes what an edit has left unread: constants, and the operators that computed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx_ir as ir


def sweep(graph: ir.Graph, candidates: Iterable[ir.Value | None]) -> None:
    """Remove those candidates that nothing reads any more, and then what fed them.

    What the user's file held unread from the start is no candidate and stays.
    """
    pending = [value for value in candidates if value is not None]
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
            pending.extend(v for v in node.inputs if v is not None)
            graph.remove(node, safe=True)
