"""Factors that vary over axes and are no norms: rotary tables, and the scales of logits."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.sites.affine_steps import Step


def is_rotary(step: Step, steps: Mapping[ir.Node, Step], facts: GraphFacts) -> bool:
    """Whether it is one of two products with tables of positions by channels that are added.

    x cos + rotated(x) sin, or x1 cos - x2 sin for each half of the channels.
    """
    readers = facts.readers(step.y)
    return (
        _is_table(step, facts)
        and bool(readers)
        and all(
            node.op_type in ("Add", "Sub")
            and all(_is_made_by_table(v, steps, facts) for v in node.inputs)
            for node in readers
        )
    )


def is_scale_of_logits(site: Site, facts: GraphFacts) -> bool:
    """Whether it scales the product of two computed tensors, a matrix at a time: each head's."""
    node = site.x.producer()
    if node is None or node.domain or node.op_type != "MatMul" or site.affine.shift.any():
        return False
    if any(value in facts.constants for value in node.inputs):
        return False
    return site.affine.varies.isdisjoint((site.affine.rank - 1, site.affine.rank - 2))


def _is_made_by_table(
    value: ir.Value | None, steps: Mapping[ir.Node, Step], facts: GraphFacts
) -> bool:
    node = value.producer() if value is not None else None
    step = steps.get(node) if node is not None else None
    return step is not None and _is_table(step, facts)


def _is_table(step: Step, facts: GraphFacts) -> bool:
    """A single product with a table; its entries may be alike along an axis, as of two channels."""
    (node, *more) = step.nodes
    if more or node.op_type != "Mul":
        return False
    held = [v for v in node.inputs if v is not None and v in facts.constants]
    return any(sum(size > 1 for size in facts.sizes(value)) > 1 for value in held)
