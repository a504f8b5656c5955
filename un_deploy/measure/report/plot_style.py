"""The style of all plots: colours that hold on white and on black, labels, axes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from html import escape
from math import floor, log10
from typing import TYPE_CHECKING, Any

from un_deploy.errors import needs
from un_deploy.measure.report.page_elements import Plot
from un_deploy.measure.speed.statistics import Interval
from un_deploy.measure.speed.variant import Kind

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS: dict[Kind, str] = {
    "ln": "#c2560a",
    "unfolded": "#8f5bc8",
    "folded": "#2478c7",
    "none": "#0f8567",
    "rms": "#a8447a",
    "bn": "#7d6a12",
    "dyt": "#b33b3b",
    "derf": "#4a6fa5",
}
"""Each at least 4.5:1 against white, text or background, and 3:1 against page.css's dark one; what
is drawn also has a label or a symbol of its own."""

GREY = "#6f777f"

#: Characters of a label's line that fit beside nothing else at 400 pixels.
_LINE = 46


def label(*lines: str) -> str:
    """Lines of text for a plot, long ones broken or cut; plotly would read them as HTML."""
    shown = []
    for line in lines:
        broken = textwrap.wrap(line, _LINE, max_lines=2, placeholder=" …") or [""]
        shown += [escape(part, quote=False) for part in broken]
    return "<br>".join(shown)


def figure() -> Figure:
    """An empty figure without plotly's own colours; page.css colours text and lines.

    Raises:
        MissingPackageError: plotly is not installed.
    """
    with needs("report"):
        from plotly import graph_objects
    return graph_objects.Figure(
        layout={
            "template": {},
            "font": {"family": "system-ui, sans-serif", "size": 12},
            "margin": {"l": 8, "r": 12, "t": 8, "b": 48},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "hovermode": "closest",
            "xaxis": {"zeroline": False},
            "yaxis": {"zeroline": False},
        }
    )


def rows(drawn: Figure, labels: Sequence[str]) -> None:
    """Give rows 0, 1, ... from the top a label each, above the row, where any width has room."""
    for row, text in enumerate(labels):
        # page.css has the colour
        heading(drawn, row, text, yshift=13, align="left", bgcolor="white")
    drawn.update_yaxes(range=[len(labels) - 0.6, -0.85], visible=False, fixedrange=True)


def heading(drawn: Figure, y: float, text: str, **more: Any) -> None:
    """A text at the left edge, above y."""
    left: dict[str, Any] = {"x": 0, "xref": "paper", "xanchor": "left", "showarrow": False}
    drawn.add_annotation(y=y, yanchor="bottom", text=text, **left, **more)


def ends(intervals: Sequence[Interval]) -> list[float]:
    """What is drawn of intervals: both ends, or the ratio where there is too little for one."""
    return [
        end for one in intervals for end in ((one.ratio,) if one.too_few else (one.low, one.high))
    ]


def error_bars(intervals: Sequence[Interval], colour: str, **more: Any) -> dict[str, Any]:
    """From the ratios to the ends of their intervals, which have no length where there are none."""
    return {
        "type": "data",
        "visible": not all(one.too_few for one in intervals),
        "symmetric": False,
        "array": [0 if one.too_few else one.high - one.ratio for one in intervals],
        "arrayminus": [0 if one.too_few else one.ratio - one.low for one in intervals],
        **more,
        "color": colour,
    }


def ratio_axis(ends: Sequence[float]) -> dict[str, Any]:
    """An axis for ratios: linear near 1; logarithmic, with its ticks, where they span a lot."""
    low, high = min(*ends, 1.0), max(*ends, 1.0)
    if high / low < 3:
        room = 0.06 * (high - low) or 0.01
        return {"type": "linear", "range": [low - room, high + room], "nticks": 7}
    return log_axis((low, high))


def log_axis(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis with its ticks: all digits, or 1, 2 and 5, or powers, as there is room."""
    low, high = min(values), max(values)
    digits = (1,) if high / low >= 100 else (1, 2, 5) if high / low >= 5 else tuple(range(1, 10))
    ticks = [
        digit * 10.0**power
        for power in range(floor(log10(low)), floor(log10(high)) + 1)
        for digit in digits
    ]
    edges = [log10(low) - 0.04, log10(high) + 0.04]
    return {"type": "log", "range": edges, "tickvals": ticks, "ticktext": [f"{t:g}" for t in ticks]}


def plot(
    drawn: Figure,
    *,
    name: str,
    says: str,
    caption: str,
    height: int,
    legend: Sequence[tuple[str, str, str]] = (),
) -> Plot:
    """The finished figure as plain data, the same for the same input."""
    drawn.update_layout(height=height)
    figure = json.loads(drawn.to_json())
    return Plot(name, says, caption, height, figure, tuple(legend))
