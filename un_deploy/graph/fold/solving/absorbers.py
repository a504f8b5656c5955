"""Which operators absorbed a norm."""

from __future__ import annotations

from collections.abc import Iterator, Set

import onnx_ir as ir

from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Unit
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.solving.solve import Solution

#: The readers and makers of so many tensors are asked whether they absorbed one norm.
_MOST_ASKED = 200


def absorbers(view: GraphView, best: Solution, site: Site, edited: Set[ir.Node]) -> Iterator[str]:
    """The operators that absorbed the site: reached from its ends through gauged tensors.

    Where sums join thousands of norms, each would name all operators: the nearer ones will do.

    Args:
        view: the graph before the edits.
        best: the solution in which the site vanishes.
        site: the norm.
        edited: the operators whose constants change.
    """
    gauges = best.assignment.tensors
    pending = [v for v in (site.x, site.y) if v in gauges and not gauges[v].is_identity]
    seen: set[ir.Value] = set(pending)
    asked: set[Unit] = set()
    for _ in range(_MOST_ASKED):
        for part in view.touching(pending.pop()) if pending else ():
            if isinstance(part, Site) or part in asked:
                continue
            asked.add(part)
            if part.node in edited or (part.bias and part.bias[0] in edited):
                yield part.name
            if part.rule is None or part.operator.absorbs:
                continue
            for _, value in part.ports():
                if value in gauges and value not in seen and not gauges[value].is_identity:
                    seen.add(value)
                    pending.append(value)
