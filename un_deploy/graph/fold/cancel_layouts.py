"""Removes the chains of Transposes and Reshapes that do nothing once a norm is gone.

A norm written over channels in the middle, (batch, tokens, channels) seen as (batch, channels,
tokens, 1), leaves Transpose, Reshape, Unsqueeze, Reshape, Transpose when it is gone: together they
do nothing, and whether they do is decided here on symbolic shapes.

A tensor is a row of *atoms*, pieces of its axes in the order in which its elements lie, grouped
into axes. Transpose permutes the groups. Reshape, Flatten, Squeeze and Unsqueeze keep the row and
group it anew, splitting an atom where a new border falls inside it. The chain is the identity
exactly when the row is in its first order again and the shape is the first shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import onnx_ir as ir
import sympy

from un_deploy.graph.analysis.dims import Shape, same_shape
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.rewire import remove_unread, replace_value
from un_deploy.graph.fold.rules import operator_named


@dataclass(frozen=True)
class Cancelled:
    """One chain that was the identity: readers of ``removed`` now read ``kept``.

    Or ``removed`` was made of the same tensor by the same operator as ``kept``.
    """

    kept: str
    removed: str
    nodes: tuple[str, ...]
    """Names of the nodes that died, the ones that computed the Reshapes' targets included."""


@dataclass(frozen=True)
class _Atom:
    place: tuple[int, ...]
    """Its position in the first tensor, refined at each split; tuples compare in that order."""
    size: sympy.Expr


#: No longer chains are looked for on either side of a norm: exporters write five operators.
_LONGEST = 64

_Axes = tuple[tuple[_Atom, ...], ...]


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
    for node in (node for node in moved if _is_layout(node, graph)):
        for other in there:
            if not _alike(node, other, graph, shapes):
                continue
            first, second = sorted((node, other), key=list(graph).index)
            if not second.outputs[0].is_graph_output():
                yield first.outputs[0], second.outputs[0]
                break


def _alike(node: ir.Node, other: ir.Node, graph: ir.Graph, shapes: Shapes) -> bool:
    """Whether another operator makes the same of a tensor as a layout operator that reads it."""
    if not _is_layout(other, graph):
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
        axes = _walk(_first_axes(shapes.of(start)), leading, shapes)
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
    while (node := value.producer()) is not None and _is_layout(node, graph):
        if len(nodes) == _LONGEST:
            break
        nodes.insert(0, node)
        source = node.inputs[0]
        assert source is not None
        value = source
    return tuple(nodes)


def _identities_below(
    graph: ir.Graph, shapes: Shapes, chain: _Chain, axes: _Axes | None
) -> Iterator[_Chain]:
    """This chain and its continuations through layout operators, where they are the identity."""
    if axes is None:
        return
    alike = same_shape(shapes.of(chain.start), shapes.of(chain.end))
    if chain.nodes and alike and _in_order(axes):
        yield chain
    if len(chain.nodes) >= 2 * _LONGEST:
        return
    for node, index in chain.end.uses():
        if index == 0 and _is_layout(node, graph):
            longer = _Chain(chain.start, node.outputs[0], (*chain.nodes, node))
            yield from _identities_below(graph, shapes, longer, _walk(axes, (node,), shapes))


def _is_layout(node: ir.Node, graph: ir.Graph) -> bool:
    return (
        node.domain in ("", "ai.onnx")
        and operator_named(node.op_type).rearranges
        and node.graph is graph
        and node.inputs[0] is not None
    )


def _first_axes(shape: Shape | None) -> _Axes | None:
    """One atom per axis; none for an axis of size 1, which holds no order."""
    sizes = _sizes(shape)
    if sizes is None:
        return None
    return tuple(() if size == 1 else (_Atom((axis,), size),) for axis, size in enumerate(sizes))


def _sizes(shape: Shape | None) -> list[sympy.Expr] | None:
    if shape is None:
        return None
    known = [sympy.sympify(dim) for dim in shape if dim is not None and dim != 0]
    return known if len(known) == len(shape) else None


def _walk(axes: _Axes | None, nodes: Sequence[ir.Node], shapes: Shapes) -> _Axes | None:
    """The axes after these operators, None where they cannot be told."""
    for node in nodes:
        if axes is None:
            return None
        if node.op_type == "Transpose":
            order = node.attributes.get_ints("perm", range(len(axes))[::-1])
            axes = tuple(axes[axis] for axis in order)
        else:
            axes = _regroup(axes, shapes.of(node.outputs[0]))
    return axes


def _regroup(axes: _Axes, shape: Shape | None) -> _Axes | None:
    """The same row of atoms under another shape, None where a border cannot be placed."""
    sizes = _sizes(shape)
    if sizes is None:
        return None
    row = [atom for axis in axes for atom in axis]
    grouped = []
    for wanted in sizes:
        axis: list[_Atom] = []
        while wanted != 1:
            if not row:
                return None
            atom = row.pop(0)
            if (rest := _exact_quotient(wanted, atom.size)) is not None:
                axis.append(atom)
                wanted = rest
            elif (inner := _exact_quotient(atom.size, wanted)) is not None:
                axis.append(_Atom((*atom.place, 0), wanted))
                row.insert(0, _Atom((*atom.place, 1), inner))
                wanted = sympy.Integer(1)
            else:
                return None
        grouped.append(tuple(axis))
    return None if row else tuple(grouped)


def _exact_quotient(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
    """a / b where it is a whole number for all values of the symbols, else None."""
    quotient = sympy.cancel(a / b)
    return quotient if quotient.as_numer_denom()[1] == 1 else None


def _in_order(axes: _Axes) -> bool:
    places = [atom.place for axis in axes for atom in axis]
    return places == sorted(places)


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
