"""The section on times: medians, percentiles, and where all samples lie."""

from __future__ import annotations

from itertools import chain

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Cell, Plot, Section, Table
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant_times import PERCENTILES

#: Beyond this many samples in all, only those that lie apart are drawn one by one.
_DRAWN = 12_000


def section(report: CompareReport) -> Section:
    """A table of percentiles and a box of samples for each variant."""
    text = (
        "Milliseconds of one run. A sample is the mean of some runs, so single runs spread "
        "further than these percentiles. Differences are judged by the ratios above, which "
        "compare samples of the same round; what the machine did for longer than a round is in "
        "these times, and not in the ratios.",
    )
    return Section("times", "Times", text, plots=(_boxes(report),), tables=(_table(report),))


def _table(report: CompareReport) -> Table:
    digits = wording.decimals(report)
    columns = ("variant", *(f">{_name(q)}" for q in PERCENTILES), ">samples", ">operators", "from")
    rows = []
    for one in report.timed:
        builds = len(one.seconds)
        samples = sum(map(len, one.seconds))
        rows.append(
            (
                one.name,
                *(f"{1e3 * one.percentiles_s[str(q)]:.{digits}f}" for q in PERCENTILES),
                Cell(str(samples), small=f"{builds} build{'s' if builds > 1 else ''}"),
                Cell("a plan", "muted") if one.operators is None else str(one.operators),
                Cell(f"derived: {one.source}" if one.derived else one.source, "muted", code=True),
            )
        )
    return Table("Milliseconds of one run", columns, tuple(rows))


def _name(percentile: int) -> str:
    return "median" if percentile == 50 else f"{percentile} %"


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
        drawn.add_box(
            x=[time for time, _ in samples],
            y=[row] * len(samples),
            orientation="h",
            width=0.36,
            boxpoints="all" if every else "outliers",
            jitter=0.7,
            pointpos=0,
            fillcolor="rgba(0,0,0,0)",
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 4, "opacity": 0.45},
            text=[text for _, text in samples],
            hovertemplate="%{text}<extra></extra>",
            hoveron="points",
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
        caption=f"{dots} The box holds the middle half, the line in it is the median. The axis "
        "need not begin at 0.",
        height=58 * len(report.timed) + 80,
    )
