"""The section on batch sizes: the ratios, the times and the throughput at each of them."""

from __future__ import annotations

from collections.abc import Callable

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Absent, Cell, Plot, Section, Table
from un_deploy.measure.report.sections.ratio_lines import ratio_lines
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import COMPARED
from un_deploy.measure.speed.variant_times import Timed

_MARKS = (
    *(("circle", "●"), ("square", "■"), ("triangle-up", "▲"), ("diamond", "◆")),
    *(("cross", "✚"), ("star", "★"), ("triangle-down", "▼"), ("hexagon", "⬢")),
)
"""Of the variants in the plot of their times, as plotly calls it and as the legend shows it."""


def section(report: CompareReport) -> Section | Absent:
    """Ratio and latency against batch size."""
    title = "Batch sweep"
    if not report.sweep:
        return Absent(title, "one batch size was measured; un-deploy compare --batches takes more")
    points = sorted((report, *report.sweep), key=lambda one: one.batch or 0)
    text = (
        "The same comparison at other batch sizes, each with builds and an A/A control of its own.",
    )
    by_batch = [one for one in points if one.batch is not None]
    latency = (_latency(by_batch),) if len({one.batch for one in by_batch}) > 1 else ()
    tables = (_table(points), _medians(points), _throughput(points))
    return Section("sweep", title, text, plots=(_ratios(points), *latency), tables=tables)


def _table(points: list[CompareReport]) -> Table:
    rows: list[tuple[str | Cell, ...]] = []
    for report in points:
        for of, to in COMPARED:
            if (ratio := wording.found(report, of, to)) is not None:
                interval, steady = ratio.interval, not report.unsteady
                says = wording.verdict(ratio, steady=steady)
                bold = steady and interval.significant
                rows.append(
                    (
                        wording.point(report),
                        wording.pair(ratio),
                        wording.numbers(interval)[0],
                        wording.span(interval),
                        Cell(says, "strong" if bold else "muted"),
                        _control(report),
                    )
                )
    sure = wording.percent(points[0].control.interval.confidence)
    columns = ("at", "time of / over", ">ratio", f">{sure} interval", "says", ">A/A control")
    return Table("Ratios by batch size", columns, tuple(rows))


def _control(report: CompareReport) -> Cell:
    told = wording.span(report.control.interval)
    return Cell(told, "bad", small="unsteady") if report.unsteady else Cell(told, "muted")


def _medians(points: list[CompareReport]) -> Table:
    digits = max(map(wording.decimals, points))
    caption = "Median milliseconds of one run by batch size"
    return _by_batch(points, caption, lambda _, one: f"{1e3 * one.median_s:.{digits}f}")


def _throughput(points: list[CompareReport]) -> Table:
    caption = "Inputs a second by batch size"
    return _by_batch(points, caption, lambda report, one: wording.rate(report.throughput(one)))


def _by_batch(
    points: list[CompareReport], caption: str, of: Callable[[CompareReport, Timed], str]
) -> Table:
    """A row for each variant, a column for each batch size."""
    names = dict.fromkeys(one.name for report in points for one in report.timed if not one.control)
    known = [{one.name: of(report, one) for one in report.timed} for report in points]
    rows = tuple((name, *(figures.get(name, "") for figures in known)) for name in names)
    columns = ("variant", *(f">{wording.point(report)}" for report in points))
    return Table(caption, columns, rows)


def _latency(points: list[CompareReport]) -> Plot:
    """Median time against batch size, both axes logarithmic: a straight line is a constant rate."""
    drawn = plot_style.figure()
    told, legend = [], []
    names = dict.fromkeys(one.name for report in points for one in report.timed if not one.control)
    for number, name in enumerate(names):
        found = [
            (r, one) for r in points for one in r.timed if one.name == name and not one.control
        ]
        symbol, shape = _MARKS[number % len(_MARKS)]
        colour = plot_style.COLOURS[found[0][1].kind]
        digits = max(map(wording.decimals, points))
        texts = [f"{wording.point(r)}: {1e3 * one.median_s:.{digits}f} ms" for r, one in found]
        legend.append((name, colour, shape))
        told.append(f"{name}: {', '.join(texts)}")
        drawn.add_scatter(
            x=[r.batch for r, _ in found],
            y=[1e3 * one.median_s for _, one in found],
            mode="lines+markers",
            line={"color": colour, "width": 1.5},
            marker={"color": colour, "size": 9, "symbol": symbol},
            text=[
                plot_style.label(name, text, f"{wording.rate(r.throughput(one))} inputs a second")
                for text, (r, one) in zip(texts, found, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    sizes = sorted({r.batch for r in points if r.batch})
    ticks = {"tickvals": sizes, "ticktext": [str(size) for size in sizes]}
    times = [1e3 * one.median_s for r in points for one in r.timed]
    drawn.update_layout(margin_l=58)
    drawn.update_xaxes(title_text="batch size", type="log", fixedrange=True, **ticks)
    drawn.update_yaxes(title_text="milliseconds of one run", **plot_style.log_axis(times))
    return plot_style.plot(
        drawn,
        name="plot-latency",
        says=f"Median time of one run by batch size. {'; '.join(told)}",
        caption="Medians. Both axes are logarithmic: where the time grows with the batch the line "
        "rises as steeply as the batch does, and where it is flat more inputs cost nothing.",
        height=400,
        legend=legend,
    )


def _ratios(points: list[CompareReport]) -> Plot:
    at = ", ".join(wording.point(report) for report in points)
    return ratio_lines(
        [(wording.point(report), report) for report in points],
        name="plot-sweep",
        says=f"Ratios with intervals at {at}; the table below has the figures.",
        caption="The line at 1 means equal; above it the first of the pair is slower. Batch sizes "
        "stand side by side, whatever lies between them.",
    )
