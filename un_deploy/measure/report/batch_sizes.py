"""The section on batch sizes: the ratios at each of them."""

from __future__ import annotations

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Absent, Cell, Plot, Section, Table
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import BASELINES, COMPARED, TITLES, Kind

DRAWN: tuple[tuple[Kind, Kind, str], ...] = (
    ("ln", "folded", "circle"),
    ("unfolded", "folded", "square"),
    ("folded", "none", "triangle-up"),
    *((kind, "folded", "cross") for kind in BASELINES),
)
"""The ratios that are drawn; the table has all of them."""


_SHAPES = {"circle": "●", "square": "■", "triangle-up": "▲", "cross": "✚", "diamond": "◆"}


def section(report: CompareReport) -> Section | Absent:
    """Ratio against batch size."""
    title = "Batch sweep"
    if not report.sweep:
        return Absent(title, "one batch size was measured; un-deploy compare --batches takes more")
    points = sorted((report, *report.sweep), key=lambda one: one.batch or 0)
    text = (
        "The same comparison at other batch sizes, each with builds and an A/A control of its own.",
    )
    return Section(
        "sweep", title, text, plots=(_lines(points),), tables=(_table(points), _medians(points))
    )


def _table(points: list[CompareReport]) -> Table:
    rows: list[tuple[str | Cell, ...]] = []
    for report in points:
        for of, to in COMPARED:
            if (ratio := wording.found(report, of, to)) is not None:
                interval = ratio.interval
                rows.append(
                    (
                        wording.point(report),
                        f"{wording.variant(of, ratio.form)} / {TITLES[to]}",
                        wording.numbers(interval)[0],
                        wording.span(interval),
                        Cell(wording.verdict(ratio), "strong" if interval.significant else "muted"),
                        Cell(wording.span(report.control.interval), "muted"),
                    )
                )
    sure = wording.percent(points[0].control.interval.confidence)
    columns = ("at", "time of / over", ">ratio", f">{sure} interval", "says", ">A/A control")
    return Table("Ratios by batch size", columns, tuple(rows))


def _medians(points: list[CompareReport]) -> Table:
    digits = max(map(wording.decimals, points))
    names = dict.fromkeys(one.name for report in points for one in report.timed if not one.control)
    medians = [{one.name: one.median_s for one in report.timed} for report in points]
    rows = tuple(
        (name, *(f"{1e3 * known[name]:.{digits}f}" if name in known else "" for known in medians))
        for name in names
    )
    columns = ("variant", *(f">{wording.point(report)}" for report in points))
    return Table("Median milliseconds of one run by batch size", columns, rows)


def _lines(points: list[CompareReport]) -> Plot:
    drawn = plot_style.figure()
    drawn.add_hline(y=1, line_width=1.5, line_color=plot_style.GREY)
    ends, legend = [], []
    series = [
        (
            f"{TITLES[of]} / {TITLES[to]}",
            plot_style.COLOURS[of],
            symbol,
            [(report, ratio) for report in points if (ratio := wording.found(report, of, to))],
        )
        for of, to, symbol in DRAWN
    ]
    series.append(
        ("A/A control", plot_style.GREY, "diamond", [(one, one.control) for one in points])
    )
    for name, colour, symbol, measured in series:
        if not measured:
            continue
        intervals = [ratio.interval for _, ratio in measured]
        legend.append((name, colour, _SHAPES[symbol]))
        ends += [end for one in intervals for end in (one.low, one.high)]
        drawn.add_scatter(
            x=[wording.point(report) for report, _ in measured],
            y=[one.ratio for one in intervals],
            error_y=plot_style.error_bars(intervals, colour, thickness=2, width=4),
            mode="lines+markers",
            name=name,
            line={"color": colour, "width": 1, "dash": "dot"},
            marker={"color": colour, "size": 9, "symbol": symbol},
            text=[
                plot_style.label(
                    f"{wording.point(report)}, {name}",
                    f"{wording.numbers(ratio.interval)[0]} ({wording.span(ratio.interval)})",
                )
                for report, ratio in measured
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    drawn.update_layout(scattermode="group", scattergap=0.55, margin_l=58)
    drawn.update_xaxes(type="category", fixedrange=True)
    drawn.update_yaxes(title_text="ratio of the times", **plot_style.ratio_axis(ends))
    at = ", ".join(wording.point(report) for report in points)
    return plot_style.plot(
        drawn,
        name="plot-sweep",
        says=f"Ratios with intervals at {at}; the table below has the figures.",
        caption="The line at 1 means equal; above it the first of the pair is slower. Batch sizes "
        "stand side by side, whatever lies between them.",
        height=400,
        legend=legend,
    )
