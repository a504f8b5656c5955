"""A plot of ratios with their intervals from report to report: over batch sizes, or over time."""

from __future__ import annotations

from collections.abc import Sequence

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Plot
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import BASELINES, TITLES, Kind

DRAWN: tuple[tuple[Kind, Kind, str], ...] = (
    ("ln", "folded", "circle"),
    ("unfolded", "folded", "square"),
    ("folded", "none", "triangle-up"),
    *((kind, "folded", "cross") for kind in BASELINES),
)
"""The ratios that are drawn; tables have all of them."""

_CHARACTERS = 42
"""Of names that stand side by side below a plot at 400 pixels."""

_SHAPES = {"circle": "●", "square": "■", "triangle-up": "▲", "cross": "✚", "diamond": "◆"}


def ratio_lines(
    points: Sequence[tuple[str, CompareReport]], *, name: str, says: str, caption: str
) -> Plot:
    """The reports side by side, whatever lies between them.

    Args:
        points: what each is called, no two alike, and the report.
        name, says, caption: of the plot.
    """
    drawn = plot_style.figure()
    drawn.add_hline(y=1, line_width=1.5, line_color=plot_style.GREY)
    ends, legend = [], []
    series = [
        (
            f"{TITLES[of]} / {TITLES[to]}",
            plot_style.COLOURS[of],
            symbol,
            [(at, ratio) for at, one in points if (ratio := wording.found(one, of, to))],
        )
        for of, to, symbol in DRAWN
    ]
    control = [(at, report.control) for at, report in points]
    series.append(("A/A control", plot_style.GREY, "diamond", control))
    unsteady = {at for at, report in points if report.unsteady}
    for pair, colour, symbol, measured in series:
        if not measured:
            continue
        intervals = [ratio.interval for _, ratio in measured]
        symbols = [f"{symbol}-open" if at in unsteady else symbol for at, _ in measured]
        legend.append((pair, colour, _SHAPES[symbol]))
        ends += plot_style.ends(intervals)
        drawn.add_scatter(
            x=[at for at, _ in measured],
            y=[one.ratio for one in intervals],
            error_y=plot_style.error_bars(intervals, colour, thickness=2, width=4),
            mode="lines+markers",
            name=pair,
            line={"color": colour, "width": 1, "dash": "dot"},
            marker={"color": colour, "size": 9, "symbol": symbols},
            text=[
                plot_style.label(
                    f"{at}, {pair}",
                    wording.shown(ratio.interval),
                    *(("unsteady",) if at in unsteady else ()),
                )
                for at, ratio in measured
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    drawn.update_layout(scattermode="group", scattergap=0.55, margin_l=58)
    drawn.update_xaxes(type="category", fixedrange=True, tickangle=0, tickvals=_named(points))
    drawn.update_yaxes(title_text="ratio of the times", **plot_style.ratio_axis(ends))
    hollow = " What is hollow was measured on an unsteady machine." if unsteady else ""
    return plot_style.plot(
        drawn, name=name, says=says, caption=caption + hollow, height=400, legend=legend
    )


def _named(points: Sequence[tuple[str, CompareReport]]) -> list[int]:
    """The places of as many names as fit below the plot at 400 pixels, as far from each other."""
    fit = max(1, _CHARACTERS // max(len(at) for at, _ in points))
    if fit >= len(points):
        return list(range(len(points)))
    return [int((place + 0.5) * len(points) / fit) for place in range(fit)]
