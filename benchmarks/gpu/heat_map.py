"""The map as a picture: time of LN over time of UN folded, for every network and batch.

    python -m benchmarks.gpu.heat_map FOLDER

writes map.html beside the suite.json of a run, and needs plotly, which the machine of the run may
lack. Green: folded is faster, red: LN is. A ratio with a star is significant.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from plotly.subplots import make_subplots

RATIO = "ln / folded"


def heat_map(cells: list[dict[str, Any]]) -> Any:
    """A plotly figure: a panel for each mode and precision, networks downwards, batches across.

    Args:
        cells: of suite.json.
    """
    panels: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        if RATIO in cell.get("ratios", {}):
            form = "" if cell["recognize"] else ", attention in its parts"
            panels.setdefault(f"{cell['mode']}, {cell['precision']}{form}", []).append(cell)
    figure = make_subplots(max(1, len(panels)), 1, subplot_titles=[*panels])
    for row, timed in enumerate(panels.values(), 1):
        ratios = [cell["ratios"][RATIO] for cell in timed]
        figure.add_heatmap(
            x=[f"batch {cell['batch']}" for cell in timed],
            y=[cell["network"] for cell in timed],
            z=[told["ratio"] for told in ratios],
            text=[f"{told['ratio']:.3f}{'*' * told['significant']}" for told in ratios],
            texttemplate="%{text}",
            coloraxis="coloraxis",
            row=row,
            col=1,
        )
    colours = {"colorscale": "RdYlGn", "cmin": 0.5, "cmid": 1, "cmax": 1.5}
    return figure.update_layout(
        title="Time of LN over time of UN folded", height=100 + 300 * len(panels), coloraxis=colours
    )


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
def main(folder: Path) -> None:
    """Write FOLDER/map.html."""
    found = json.loads((folder / "suite.json").read_text(encoding="utf-8"))
    heat_map(found["cells"]).write_html(folder / "map.html")


if __name__ == "__main__":
    main()
