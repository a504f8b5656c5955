"""Where the pieces of a tensor's axes lie after Transposes and Reshapes, on symbolic sizes.

A tensor is a row of *atoms*, pieces of its axes in the order in which its elements lie, grouped
into axes. Transpose permutes the groups. Reshape, Flatten, Squeeze and Unsqueeze keep the row and
group it anew, splitting an atom where a new border falls inside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir
import sympy

from un_deploy.graph.analysis.dims import Shape
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.rules import operator_named


@dataclass(frozen=True)
class Atom:
    """A piece of an axis.

    Attributes:
        place: its position in the first tensor, refined at each split; tuples compare in that
            order, and the first number is the axis.
        size: a number, or an expression over symbolic sizes.
    """

    place: tuple[int, ...]
    size: sympy.Expr


Axes = tuple[tuple[Atom, ...], ...]


def is_layout(node: ir.Node, graph: ir.Graph) -> bool:
    """Whether an operator of this graph moves all elements of a tensor, none twice."""
    return (
        node.domain in ("", "ai.onnx")
        and operator_named(node.op_type).rearranges
        and node.graph is graph
        and node.inputs[0] is not None
    )


def first_axes(shape: Shape | None) -> Axes | None:
    """One atom per axis; none for an axis of size 1, which holds no order."""
    sizes = _sizes(shape)
    if sizes is None:
        return None
    return tuple(() if size == 1 else (Atom((axis,), size),) for axis, size in enumerate(sizes))


def walk(axes: Axes | None, nodes: Sequence[ir.Node], shapes: Shapes) -> Axes | None:
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


def in_order(axes: Axes) -> bool:
    """Whether the elements lie as in the first tensor."""
    places = [atom.place for axis in axes for atom in axis]
    return places == sorted(places)


def _sizes(shape: Shape | None) -> list[sympy.Expr] | None:
    if shape is None:
        return None
    known = [sympy.sympify(dim) for dim in shape if dim is not None and dim != 0]
    return known if len(known) == len(shape) else None


def _regroup(axes: Axes, shape: Shape | None) -> Axes | None:
    """The same row of atoms under another shape, None where a border cannot be placed."""
    sizes = _sizes(shape)
    if sizes is None:
        return None
    row = [atom for axis in axes for atom in axis]
    grouped = []
    for wanted in sizes:
        axis: list[Atom] = []
        while wanted != 1:
            if not row:
                return None
            atom = row.pop(0)
            if (rest := _exact_quotient(wanted, atom.size)) is not None:
                axis.append(atom)
                wanted = rest
            elif (inner := _exact_quotient(atom.size, wanted)) is not None:
                axis.append(Atom((*atom.place, 0), wanted))
                row.insert(0, Atom((*atom.place, 1), inner))
                wanted = sympy.Integer(1)
            else:
                return None
        grouped.append(tuple(axis))
    return None if row else tuple(grouped)


def _exact_quotient(a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
    """a / b where it is a whole number for all values of the symbols, else None."""
    quotient = sympy.cancel(a / b)
    return quotient if quotient.as_numer_denom()[1] == 1 else None
