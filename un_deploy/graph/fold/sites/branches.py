"""Affines of one tensor that meet in a sum: a x + c x + b, x - a x."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, align
from un_deploy.graph.analysis.dims import same_shape
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.sites.affine_steps import Step


def joined(node: ir.Node, steps: Mapping[ir.Node, Step], facts: GraphFacts) -> Step | None:
    """The sum of branches as one step, from the tensor at which they part.

    No tensor between is read outside. `steps` are those in front of the node.
    """
    if node.domain or node.op_type not in ("Add", "Sub", "Sum"):
        return None
    computed = [v for v in node.inputs if v is not None and v not in facts.constants]
    if len(computed) < 2:
        return None
    branches = [list(_back(value, steps, facts)) for value in computed]
    starts = [
        [value, *(step.x for step in branch)]
        for value, branch in zip(computed, branches, strict=True)
    ]
    for x in starts[0]:
        if all(any(x is start for start in one) for one in starts):
            lengths = [next(n for n, v in enumerate(one) if v is x) for one in starts]
            parts = [one[:n][::-1] for one, n in zip(branches, lengths, strict=True)]
            return _sum(node, x, parts, facts)
    return None


def _back(
    value: ir.Value | None, steps: Mapping[ir.Node, Step], facts: GraphFacts
) -> Iterator[Step]:
    """The steps that lead to a value, the last first."""
    while value is not None:
        producer = value.producer()
        step = steps.get(producer) if producer is not None else None
        if step is None and producer is not None:
            step = _same(producer, facts)
        if step is None:
            return
        yield step
        value = step.x


def _same(node: ir.Node, facts: GraphFacts) -> Step | None:
    """An Identity as a step that does nothing."""
    x = node.inputs[0] if node.op_type == "Identity" and not node.domain else None
    shape = None if x is None else facts.shape(x)
    if x is None or shape is None or x in facts.constants:
        return None
    return Step((node,), x, node.outputs[0], Affine.identity(len(shape)))


def _sum(node: ir.Node, x: ir.Value, parts: list[list[Step]], facts: GraphFacts) -> Step | None:
    shape, y = facts.shape(x), node.outputs[0]
    if shape is None or not same_shape(shape, facts.shape(y)):
        return None
    inside = [each for part in parts for step in part for each in step.nodes]
    for value in (value for each in inside for value in each.outputs):
        if value.is_graph_output() or not {*facts.readers(value)} <= {node, *inside}:
            return None
    affines = [_composed(part, len(shape)) for part in parts]
    if node.op_type == "Sub":
        affines[1] = Affine(-affines[1].scale, -affines[1].shift)
    scale = sum((affine.scale for affine in affines[1:]), affines[0].scale)
    shift = sum((affine.shift for affine in affines[1:]), affines[0].shift)
    for constant in (v for v in node.inputs if v is not None and v in facts.constants):
        shift = shift + align(facts.constants[constant], len(shape))
    if not np.all(np.isfinite(shift)):
        return None
    one_channel = any(step.is_one_channel for part in parts for step in part)
    return Step((*inside, node), x, y, Affine(scale, shift), one_channel)


def _composed(steps: list[Step], rank: int) -> Affine:
    affine = Affine.identity(rank)
    for step in steps:
        affine = step.affine.after(affine)
    return affine
