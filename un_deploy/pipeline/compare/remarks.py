"""What a reader must know of the graphs compared: norms that stay, and what is quantised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.find_norms import find_norms
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.quantised import named, quantised
from un_deploy.measure.speed.variant import TITLES, Kind


def norms_left(model: ir.Model, source: str) -> Iterator[str]:
    """That a graph that was given for UN folded holds norms which measure their input."""
    found = find_norms(model.graph, Constants(model, Shapes(model)), Shapes(model))
    if found:
        counts = Counter(norm.kind for norm in found)
        told = ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.most_common())
        yield (
            f"UN folded ({source}) holds norms that measure their input ({told}): it is called "
            "folded as it was given for that"
        )


def some_quantised(models: Mapping[Kind, ir.Model]) -> Iterator[str]:
    """That some graphs are quantised and others are not, which the times tell of, too."""
    found = {kind: quantised(model) for kind, model in models.items()}
    of = [f"{TITLES[kind]} ({named(kinds)})" for kind, kinds in found.items() if kinds]
    others = [TITLES[kind] for kind, kinds in found.items() if not kinds]
    if of and others:
        yield (
            f"quantised: {', '.join(of)}; not quantised: {', '.join(others)}. Their ratios are of "
            "that too, and what it costs in answers has to be measured on data"
        )
