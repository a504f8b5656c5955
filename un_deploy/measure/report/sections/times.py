"""The section on times: medians, percentiles, and where all samples lie."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Cell, Plot, Section, Table
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant_times import PERCENTILES

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

#: Beyond this many samples in all, only those that lie apart are drawn one by one.
_DRAWN = 5_000

#: Multiples of it scatter evenly within 0 to 1, the same in every report.
_GOLDEN = 0.618034

#: How far a whisker reaches at most, in lengths of its box.
_WHISKER = 1.5


def section(report: CompareReport) -> Section:
    """A table of percentiles and a box of samples for each variant."""
    text = (
        "Milliseconds of one run. A sample is the mean of some runs, so single runs spread "
        "further than these percentiles. Differences are judged by the ratios above, which "
        "compare samples of the same round; what the machine did for longer than a round is in "
        "these times, and not in the ratios. Inputs a second are the batch over the median.",
        *(f"{said}." for said in report.staying_told),
    )
    return Section("times", "Times", text, plots=(_boxes(report),), tables=(_table(report),))


def _table(report: CompareReport) -> Table:
    digits = wording.decimals(report)
    columns = (
        *("variant", *(f">{_name(q)}" for q in PERCENTILES)),
        *(">inputs a second", ">samples", ">operators", "from"),
    )
    rows = []
    for one in report.timed:
        builds = len(one.seconds)
        samples = sum(map(len, one.seconds))
        rows.append(
            (
                one.name,
                *(f"{1e3 * one.percentiles_s[str(q)]:.{digits}f}" for q in PERCENTILES),
                wording.rate(report.throughput(one)),
                Cell(str(samples), small=f"{builds} build{'s' if builds > 1 else ''}"),
                Cell("a plan", "muted") if one.operators is None else str(one.operators),
                Cell(f"derived: {one.source}" if one.derived else one.source, "muted", code=True),
            )
        )
    return Table("Milliseconds of one run", columns, tuple(rows))


def _name(percentile: int) -> str:
    return "median" if percentile == 50 else f"{percentile} %"


def _add_box(
    drawn: Figure, row: int, milliseconds: Sequence[float], colour: str
) -> tuple[float, float]:
    """A box with whiskers at a row, drawn of lines; where its whiskers end."""
    low, median, high = np.percentile(milliseconds, (25, 50, 75))
    reach = _WHISKER * (high - low)
    within = [time for time in milliseconds if low - reach <= time <= high + reach]
    first, last = min(within), max(within)
    line = {"color": colour, "width": 2}
    drawn.add_shape(type="rect", x0=low, x1=high, y0=row - 0.18, y1=row + 0.18, line=line)
    drawn.add_shape(type="line", x0=median, x1=median, y0=row - 0.18, y1=row + 0.18, line=line)
    for inner, outer in ((low, first), (high, last)):
        drawn.add_shape(type="line", x0=inner, x1=outer, y0=row, y1=row, line=line)
        drawn.add_shape(type="line", x0=outer, x1=outer, y0=row - 0.09, y1=row + 0.09, line=line)
    return first, last


def _boxes(report: CompareReport) -> Plot:
    total = sum(map(len, chain.from_iterable(one.seconds for one in report.timed)))
    every = total <= _DRAWN
    drawn = plot_style.figure()
    for row, one in enumerate(report.timed):
        samples = [
            (1e3 * seconds, f"build {build}, round {number}: {1e3 * seconds:.4g} ms")
            for build, rounds in enumerate(one.seconds, 1)
            for number, seconds in enumerate(rounds, 1)
        ]
        colour = plot_style.GREY if one.control else plot_style.COLOURS[one.kind]
        whiskers = _add_box(drawn, row, [time for time, _ in samples], colour)
        if not every:
            samples = [one for one in samples if not whiskers[0] <= one[0] <= whiskers[1]]
        drawn.add_scatter(
            x=[time for time, _ in samples],
            y=[row + 0.28 * (number * _GOLDEN % 1 - 0.5) for number in range(len(samples))],
            mode="markers",
            marker={"color": colour, "size": 4, "opacity": 0.45},
            text=[text for _, text in samples],
            hovertemplate="%{text}<extra></extra>",
        )
    digits = wording.decimals(report)
    names = [f"{one.name}: {1e3 * one.median_s:.{digits}f} ms" for one in report.timed]
    plot_style.rows(drawn, [plot_style.label(name) for name in names])
    drawn.update_xaxes(title_text="milliseconds of one run", nticks=7)
    dots = "Every dot is a sample." if every else "Only samples that lie apart are drawn as dots."
    return plot_style.plot(
        drawn,
        name="plot-times",
        says=f"Boxes of all samples of each variant. Medians: {'; '.join(names)}",
        caption=f"{dots} The box holds the middle half, the line in it is the median; its whiskers "
        f"reach to the last sample within {_WHISKER} of its lengths. The axis need not begin at 0.",
        height=58 * len(report.timed) + 80,
    )
