"""Removes the chains of Transposes and Reshapes that do nothing once a norm is gone.

A norm written over channels in the middle, (batch, tokens, channels) seen as (batch, channels,
tokens, 1), leaves Transpose, Reshape, Unsqueeze, Reshape, Transpose when it is gone: together they
do nothing, and whether they do is decided here on symbolic shapes.

The chain is the identity exactly when the pieces of the first tensor's axes (`rules.pieces`) are in
their first order again and the shape is the first shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import onnx_ir as ir

from un_deploy.graph.analysis.dims import same_shape
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.rewire import remove_unread, replace_value
from un_deploy.graph.fold.rules.pieces import Axes, first_axes, in_order, is_layout, walk


@dataclass(frozen=True)
class Cancelled:
    """One chain that was the identity: readers of ``removed`` now read ``kept``.

    Or ``removed`` was made of the same tensor by the same operator as ``kept``.
    """

    kept: str
    removed: str
    nodes: tuple[str, ...]
    """Names of the nodes that died, the ones that computed the Reshapes' targets included."""


#: No longer chains are looked for on either side of a norm: exporters write five operators.
_LONGEST = 64


@dataclass(frozen=True)
class _Chain:
    start: ir.Value
    end: ir.Value
    nodes: tuple[ir.Node, ...]


def cancel_layouts(
    model: ir.Model,
    shapes: Shapes,
    seeds: Iterable[ir.Value],
    joined: Callable[[ir.Value, ir.Value], None] = lambda kept, removed: None,
) -> list[Cancelled]:
    """Remove the layout chains through these values that together are the identity.

    Args:
        model: changed in place.
        shapes: of this model. A chain with an unknown size stays.
        seeds: values of the main graph, each where a norm was or stands. Chains elsewhere are the
            user's.
        joined: told of each chain's two ends, the kept and the removed one, before it goes.

    Returns:
        What was cancelled, the longest chain through a seed first.
    """
    cancelled = []
    for seed, _ in groupby(seeds):  # thousands of norms may have read one tensor
        while (chain := _longest_identity(model.graph, shapes, seed)) is not None:
            moved = [node for node, index in chain.end.uses() if index == 0]
            there = [node for node, index in chain.start.uses() if index == 0]
            joined(chain.start, chain.end)
            cancelled.append(_cancel(model.graph, chain))
            for kept, twin in _twins(model.graph, shapes, there, moved):
                joined(kept, twin)
                cancelled.append(_cancel(model.graph, _Chain(kept, twin, ())))
    return cancelled


def _twins(
    graph: ir.Graph, shapes: Shapes, there: Iterable[ir.Node], moved: Iterable[ir.Node]
) -> Iterator[tuple[ir.Value, ir.Value]]:
    """What the same operator makes of one tensor now, once for each reader: the first, the other.

    A norm between a tensor and its Transpose hid that another reader transposes it as well.
    """
    for node in (node for node in moved if is_layout(node, graph)):
        for other in there:
            if not _alike(node, other, graph, shapes):
                continue
            first, second = sorted((node, other), key=list(graph).index)
            if not second.outputs[0].is_graph_output():
                yield first.outputs[0], second.outputs[0]
                break


def _alike(node: ir.Node, other: ir.Node, graph: ir.Graph, shapes: Shapes) -> bool:
    """Whether another operator makes the same of a tensor as a layout operator that reads it."""
    if not is_layout(other, graph):
        return False
    turned, turned_too = (_turned(each) for each in (node, other))
    return turned == turned_too and same_shape(
        shapes.of(node.outputs[0]), shapes.of(other.outputs[0])
    )


def _turned(node: ir.Node) -> tuple[int, ...] | None:
    """The order of a Transpose's axes (empty: all of them reversed); None for other operators."""
    if node.op_type != "Transpose":
        return None
    return tuple(node.attributes.get_ints("perm", ()))


def _longest_identity(graph: ir.Graph, shapes: Shapes, seed: ir.Value) -> _Chain | None:
    above = _nodes_above(graph, seed)
    for first in range(len(above) + 1):
        leading = above[first:]
        start = leading[0].inputs[0] if leading else seed
        assert start is not None
        axes = walk(first_axes(shapes.of(start)), leading, shapes)
        found = [
            chain
            for chain in _identities_below(graph, shapes, _Chain(start, seed, leading), axes)
            if _can_replace(graph, chain)
        ]
        if found:
            return max(found, key=lambda chain: len(chain.nodes))
    return None


def _nodes_above(graph: ir.Graph, value: ir.Value) -> tuple[ir.Node, ...]:
    """The layout operators that lead to this value, the farthest first."""
    nodes: list[ir.Node] = []
    while (node := value.producer()) is not None and is_layout(node, graph):
        if len(nodes) == _LONGEST:
            break
        nodes.insert(0, node)
        source = node.inputs[0]
        assert source is not None
        value = source
    return tuple(nodes)


def _identities_below(
    graph: ir.Graph, shapes: Shapes, chain: _Chain, axes: Axes | None
) -> Iterator[_Chain]:
    """This chain and its continuations through layout operators, where they are the identity."""
    if axes is None:
        return
    alike = same_shape(shapes.of(chain.start), shapes.of(chain.end))
    if chain.nodes and alike and in_order(axes):
        yield chain
    if len(chain.nodes) >= 2 * _LONGEST:
        return
    for node, index in chain.end.uses():
        if index == 0 and is_layout(node, graph):
            longer = _Chain(chain.start, node.outputs[0], (*chain.nodes, node))
            yield from _identities_below(graph, shapes, longer, walk(axes, (node,), shapes))


def _can_replace(graph: ir.Graph, chain: _Chain) -> bool:
    """Whether something reads the end, and, for an output of the graph, its name can be kept."""
    start, end = chain.start, chain.end
    if not end.is_graph_output():
        return bool(end.uses())
    return (
        any(end is output for output in graph.outputs)
        and start.producer() is not None
        and not start.is_graph_output()
    )


def _cancel(graph: ir.Graph, chain: _Chain) -> Cancelled:
    start, end = chain.start, chain.end
    kept, removed = str(start.name), str(end.name)
    replace_value(graph, end, start)
    dead = remove_unread(graph, [end])
    return Cancelled(kept=kept, removed=removed, nodes=tuple(str(node.name) for node in dead))
