"""Layouts in a row that merge an axis with one of unknown size, and split it again, are one.

Between them no array could hold the gauge: along the merged axis it repeats once for each entry of
the open batch. From the first tensor to the last it moves with the pieces of its axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_facts import SHAPE_ONLY, GraphFacts
from un_deploy.graph.fold.rules import rule_for
from un_deploy.graph.fold.rules.channel import of_the_data
from un_deploy.graph.fold.rules.layout import Layout, narrowed
from un_deploy.graph.fold.rules.operator import Operator
from un_deploy.graph.fold.rules.pieces import Axes, first_axes, is_layout, walk
from un_deploy.graph.fold.rules.protocol import OUT, Demands, Known, Rule, Unit, into


class LayoutRun(Rule):
    """One row of layouts.

    Args:
        before, after: the same pieces, grouped into the axes of the first tensor and of the last.
    """

    ops: ClassVar[Mapping[str, Operator]] = Layout.ops

    def __init__(self, before: Axes, after: Axes) -> None:
        self._before, self._after = before, after

    def transport(self, unit: Unit, known: Known, view: GraphFacts) -> Demands:
        forward, gauge = into(0) in known, of_the_data(known)
        ends = (self._before, self._after) if forward else (self._after, self._before)
        moved = gauge.each(lambda array: narrowed(_moved(array, *ends)))
        return [(OUT if forward else into(0), moved)]

    def examples(self) -> Iterator[ir.Model]:
        return iter(())


Row = tuple[tuple[ir.Node, ...], LayoutRun]


def layout_runs(graph: ir.Graph, shapes: Shapes, opset: int) -> Iterator[Row]:
    """Every such row: its first operator merges, its last one splits, and nobody reads between."""
    for node in graph:
        if not is_layout(node, graph) or (source := node.inputs[0]) is None:
            continue
        nodes, axes = [node], walk(first_axes(shapes.of(source)), [node], shapes)
        while axes is not None and _mixes(axes) and (behind := _only_reader(nodes[-1], graph)):
            nodes.append(behind)
            axes = walk(axes, [behind], shapes)
        if len(nodes) == 1 or axes is None or _mixes(axes):
            continue
        if all(rule_for(each, opset) is not None for each in nodes):
            yield tuple(nodes), LayoutRun(_first_again(axes, shapes.of(source) or ()), axes)


def _mixes(axes: Axes) -> bool:
    """Whether a piece of known size shares its axis with one of unknown size."""
    return any(len({atom.size.is_Integer for atom in axis}) > 1 for axis in axes)


def _only_reader(node: ir.Node, graph: ir.Graph) -> ir.Node | None:
    """The layout that alone reads what the operator makes."""
    value = node.outputs[0]
    uses = [use for use in value.uses() if use.node.op_type not in SHAPE_ONLY]
    if value.is_graph_output() or len(uses) != 1 or uses[0].idx != 0:
        return None
    return uses[0].node if is_layout(uses[0].node, graph) else None


def _first_again(axes: Axes, shape: tuple[object, ...]) -> Axes:
    """The pieces in the order and the axes of the first tensor."""
    pieces = sorted((atom for axis in axes for atom in axis), key=lambda atom: atom.place)
    return tuple(tuple(p for p in pieces if p.place[0] == axis) for axis in range(len(shape)))


def _moved(array: np.ndarray, before: Axes, after: Axes) -> np.ndarray:
    """Numbers along some axes before, as they lie along the axes after.

    In neither does a piece of known size share its axis with one of unknown size.
    """
    sizes = [
        1 if size == 1 else atom.size
        for size, axis in zip(array.shape, before, strict=True)
        for atom in axis
    ]
    # A size of 1 stands for any along which all is alike.
    split = array.reshape([int(size) for size in sizes])
    order = [atom.place for axis in before for atom in axis]
    split = split.transpose([order.index(atom.place) for axis in after for atom in axis])
    shape, at = [], 0
    for axis in after:
        held = split.shape[at : at + len(axis)]
        at += len(axis)
        alike = all(size == 1 for size in held)
        shape.append(held if alike else tuple(int(atom.size) for atom in axis))
    whole = np.broadcast_to(split, [size for sizes in shape for size in sizes])
    return whole.reshape([math.prod(sizes) for sizes in shape])
