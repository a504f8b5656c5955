"""What a reader must know of the graphs compared: that some are quantised and others are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

from un_deploy.graph.fold.quantised import named, quantised
from un_deploy.measure.speed.variant import TITLES, Kind


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
