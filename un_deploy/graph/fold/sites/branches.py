"""Affines of one tensor that meet in a sum: a x + c x + b, x - a x."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.sites.affine_steps import Step


def joined(node: ir.Node, steps: Mapping[ir.Node, Step], facts: GraphFacts) -> Step | None:
    """The sum of two branches as one step, from the tensor at which they part.

    No tensor between is read outside. `steps` are those in front of the node.
    """
    if node.domain or node.op_type not in ("Add", "Sub"):
        return None
    left, right = (list(_back(value, steps)) for value in node.inputs)
    for length, x in enumerate(_starts(node.inputs[0], left)):
        other = next((n for n, v in enumerate(_starts(node.inputs[1], right)) if v is x), None)
        if other is not None:
            return _sum(node, x, left[:length][::-1], right[:other][::-1], facts)
    return None


def _back(value: ir.Value | None, steps: Mapping[ir.Node, Step]) -> Iterator[Step]:
    """The steps that lead to a value, the last first."""
    while value is not None:
        producer = value.producer()
        step = steps.get(producer) if producer is not None else None
        if step is None:
            return
        yield step
        value = step.x


def _starts(value: ir.Value | None, steps: list[Step]) -> list[ir.Value]:
    """The value, and what each of the steps that lead to it starts from."""
    return [*([] if value is None else [value]), *(step.x for step in steps)]


def _sum(
    node: ir.Node, x: ir.Value, left: list[Step], right: list[Step], facts: GraphFacts
) -> Step | None:
    shape = facts.shape(x)
    if shape is None:
        return None
    inside = [each for step in (*left, *right) for each in step.nodes]
    for value in (value for each in inside for value in each.outputs):
        if value.is_graph_output() or not {*facts.readers(value)} <= {node, *inside}:
            return None
    a, b = (_composed(steps, len(shape)) for steps in (left, right))
    sign = 1.0 if node.op_type == "Add" else -1.0
    affine = Affine(a.scale + sign * b.scale, a.shift + sign * b.shift)
    one_channel = any(step.is_one_channel for step in (*left, *right))
    return Step((*inside, node), x, node.outputs[0], affine, one_channel)


def _composed(steps: list[Step], rank: int) -> Affine:
    affine = Affine.identity(rank)
    for step in steps:
        affine = step.affine.after(affine)
    return affine
