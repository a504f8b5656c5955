"""Which operators let a scale and shift through, or absorb it? Asked of the rules themselves.

    python -m benchmarks.supported_operators

Writes the table in docs/how-folding-works.md anew. A direction is what a rule agrees to on one of
its own examples: a scale and shift, or a scale alone, along one axis, in front of the operator
(forward) or behind it (backward).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import click
import numpy as np
import onnx_ir as ir

from benchmarks.entries import table, written_into
from un_deploy.files import atomic_write_text
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules import rules
from un_deploy.graph.fold.rules.protocol import OUT, Port, Refuse, Rule, Unit, into

PAGE = Path(__file__).parents[1] / "docs" / "how-folding-works.md"
BEGIN, END = "<!-- written by benchmarks.supported_operators -->", "<!-- end -->"
BOTH, SCALE, NEITHER = "scale and shift", "scale", "no"


def markdown() -> str:
    """The part of the page."""
    rows = []
    for rule in rules():
        agreed = _agreed(rule)
        for name, operator in rule.ops.items():
            assert operator.opsets is not None
            first, last = operator.opsets
            how = ("absorbs " if operator.absorbs else "", "")
            cells = (_best(agreed, name, forward) for forward in (True, False))
            rows.append(
                (
                    name,
                    f"{first} to {last}",
                    *(f"{how[0] if cell != NEITHER else ''}{cell}" for cell in cells),
                    operator.guard,
                )
            )
    head = ["operator", "opsets", "forward", "backward", "where"]
    return "\n".join(table(head, sorted(rows)))


def _best(agreed: set[tuple[str, bool, str]], name: str, forward: bool) -> str:
    return next((what for what in (BOTH, SCALE) if (name, forward, what) in agreed), NEITHER)


def _agreed(rule: Rule) -> set[tuple[str, bool, str]]:
    """Operator, whether forward, and what it agrees to."""
    found = set()
    for model in rule.examples():
        shapes = Shapes(model)
        view = GraphView(model, Constants(model, shapes), shapes)
        units = (u for u in view.units if u.rule is rule and u.mixing is None)
        for unit in units:
            for (port, value), what in product(list(_ends(unit, view)), (BOTH, SCALE)):
                if any(_agrees(unit, port, gauge, view) for gauge in _gauges(value, what, view)):
                    found.add((unit.node.op_type, port != OUT, what))
    return found


def _ends(unit: Unit, view: GraphView) -> Iterator[tuple[Port, ir.Value]]:
    """Its output, and what it reads of computed floating tensors."""
    yield OUT, unit.output
    for index, value in enumerate(unit.node.inputs):
        kind = None if value is None else view.dtype(value)
        if value is not None and value not in view.constants and kind and kind.is_floating_point():
            yield into(index), value


def _gauges(value: ir.Value, what: str, view: GraphView) -> Iterator[Affine]:
    """Along each axis of known size."""
    shape = view.shape(value) or ()
    for axis, size in enumerate(shape):
        if isinstance(size, int) and size > 1:
            along = [size if at == axis else 1 for at in range(len(shape))]
            row = np.linspace(0.5, 1.5, size)
            fours = row[: size // 4]  # what channels share that become pixels of two by two
            alike = [np.tile(fours, 4), np.repeat(fours, 4)] if size % 4 == 0 else []
            for scale in (each.reshape(along) for each in (row, *alike)):
                yield Affine(scale, scale + 1 if what == BOTH else np.zeros_like(scale))


def _agrees(unit: Unit, port: Port, gauge: Affine, view: GraphView) -> bool:
    assert unit.rule is not None
    try:
        list(unit.rule.transport(unit, {port: gauge}, view))
    except Refuse:
        return False
    return True


def page(part: str) -> str:
    """The page with this part in it."""
    return written_into(PAGE, BEGIN, END, part)


@click.command()
def main() -> None:
    """Write the table."""
    atomic_write_text(PAGE, page(markdown()), force=True)


if __name__ == "__main__":
    main()
