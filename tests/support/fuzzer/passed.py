"""Through and into which operators each norm folded, told from what the fold changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.fold import Folded
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Unit
from un_deploy.graph.fold.site import Site


@dataclass(frozen=True)
class Operator:
    """One that a scale and shift passed, or that absorbed them.

    Attributes:
        name: of the operator in its graph.
        rule: the name of its rule.
        op_type: ONNX's name.
        direction: forward where they came to it by an input, backward where by its output.
    """

    name: str
    rule: str
    op_type: str
    direction: str


def view_of(model: onnx.ModelProto) -> GraphView:
    """A graph as the solver sees it first."""
    read = ir.from_proto(model)
    shapes = Shapes(read)
    return GraphView(read, Constants(read, shapes, from_sizes=True), shapes)


def passed(view: GraphView, folded: Folded) -> Iterator[tuple[Site, frozenset[Operator]]]:
    """Each norm of the original that folded, and the operators that it reached.

    Args:
        view: of the original.
        folded: its fold.
    """
    changed = {
        claim.original
        for claims in folded.claims.values()
        for claim in claims
        if not claim.is_equality
    }
    names = {site.node for site in folded.report.folded}
    for site in view.sites:
        if site.name in names:
            yield site, frozenset(_reached(site, view, changed))


def is_per_channel(site: Site) -> bool:
    """Whether it scales or shifts one channel otherwise than another."""
    affine = site.affine
    return any(np.any(array != array.flat[0]) for array in (affine.scale, affine.shift))


def _reached(site: Site, view: GraphView, changed: set[str]) -> Iterator[Operator]:
    """From its ends through tensors that stand for scaled or shifted ones, up to other norms."""
    pending = [value for value in (site.x, site.y) if value.name in changed]
    seen: set[ir.Value] = set(pending)
    asked: set[Unit] = set()
    while pending:
        value = pending.pop()
        for part in view.touching(value):
            if not isinstance(part, Unit) or part.rule is None or part in asked:
                continue
            asked.add(part)
            way = "backward" if value in part.outputs else "forward"
            yield Operator(part.name, type(part.rule).__name__, part.node.op_type, way)
            for _, other in () if part.operator.absorbs else part.ports():
                if other.name in changed and other not in seen:
                    seen.add(other)
                    pending.append(other)
