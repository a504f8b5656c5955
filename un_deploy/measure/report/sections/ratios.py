"""The section on ratios, with their intervals, and the A/A control beside them."""

from __future__ import annotations

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Absent, Cell, Plot, Section, Table
from un_deploy.measure.speed.compare_report import STEADY, CompareReport
from un_deploy.measure.speed.statistics import Interval
from un_deploy.measure.speed.variant_times import Ratio


def section(report: CompareReport) -> Section | Absent:
    """A forest plot and its table."""
    title = "Ratios of the times"
    if not report.ratios:
        if report.not_comparable:
            return Absent(title, "what ran otherwise than the rest compares with nothing")
        return Absent(title, "only variants of one kind were timed")
    text = [
        "How many times as long the first takes as the second, and the interval that holds the "
        "ratio. Above 1 the first is slower. The A/A control is one variant against itself: what "
        "this machine makes of equal things.",
    ]
    interval, count = report.control.interval, len(report.ratios)
    sure = wording.percent(interval.confidence)
    how = f"{interval.method}; {interval.rounds} rounds in each build. "
    how += f"An interval holds its ratio in {sure} of all reports"
    if count > 1:
        all_ = wording.percent(1 - count * (1 - interval.confidence))
        how += f", all {count} of them theirs in at least {all_}"
    text.append(f"No interval is shown: {interval.too_few}." if interval.too_few else f"{how}.")
    return Section("ratios", title, tuple(text), plots=(_forest(report),), tables=(_table(report),))


def _table(report: CompareReport) -> Table:
    rows = [
        _row(one, wording.variant(one.to, one.to_form), _says(one, report)) for one in report.ratios
    ]
    control = report.control
    rows.append(_row(control, "itself (A/A control)", _of_control(control.interval)))
    sure = wording.percent(report.control.interval.confidence)
    return Table(
        "Ratios, their intervals and the A/A control",
        ("time of", "over", ">ratio", f">{sure} interval", "says"),
        tuple(rows),
        ("",) * len(report.ratios) + ("muted",),
    )


def _says(ratio: Ratio, report: CompareReport) -> Cell:
    verdict = wording.verdict(ratio, steady=not report.unsteady)
    if doubts := report.doubts(ratio):
        return Cell(f"{verdict} ({', '.join(doubts)})", "bad")
    sure = ratio.interval.significant and not report.unsteady
    return Cell(verdict, "strong" if sure else "muted")


def _row(ratio: Ratio, to: str, says: Cell) -> tuple[str | Cell, ...]:
    interval = ratio.interval
    return (
        wording.variant(ratio.of, ratio.form),
        to,
        wording.numbers(interval)[0],
        wording.span(interval),
        says,
    )


def _of_control(interval: Interval) -> Cell:
    holds = "does not hold 1" if interval.significant else "holds 1"
    if interval.too_few:
        return Cell(wording.few(interval), "bad")
    if not interval.within(STEADY):
        return Cell(f"unsteady, {holds}", "bad")
    return Cell(holds, "muted")


def _forest(report: CompareReport) -> Plot:
    shown = [*report.ratios, report.control]
    names = [wording.pair(ratio) for ratio in report.ratios]
    names.append(f"A/A control: {wording.variant(report.control.of, report.control.form)} / itself")
    steady = not report.unsteady
    says = [wording.verdict(ratio, steady=steady) for ratio in report.ratios] + [""]
    texts = [
        wording.shown(r.interval) + (f", {v}" if v else "")
        for r, v in zip(shown, says, strict=True)
    ]
    drawn = plot_style.figure()
    band = report.control.interval
    if not band.too_few:
        drawn.add_vrect(
            x0=band.low, x1=band.high, fillcolor=plot_style.GREY, opacity=0.16, line_width=0
        )
    drawn.add_vline(x=1, line_width=1.5, line_color=plot_style.GREY)
    for row, (ratio, name, text) in enumerate(zip(shown, names, texts, strict=True)):
        interval = ratio.interval
        control = ratio is report.control
        colour = plot_style.GREY if control else plot_style.COLOURS[ratio.of]
        symbol = "diamond" if control else "circle"
        drawn.add_scatter(
            x=[interval.ratio],
            y=[row],
            error_x=plot_style.error_bars([interval], colour, thickness=2.5, width=6),
            mode="markers",
            marker={
                "color": colour,
                "size": 11,
                "symbol": symbol
                if control or (interval.significant and steady)
                else f"{symbol}-open",
                "line": {"width": 2, "color": colour},
            },
            text=[plot_style.label(name, text)],
            hovertemplate="%{text}<extra></extra>",
        )
    plot_style.rows(drawn, [plot_style.label(n, t) for n, t in zip(names, texts, strict=True)])
    ends = plot_style.ends([ratio.interval for ratio in shown])
    drawn.update_xaxes(title_text="ratio of the times", **plot_style.ratio_axis(ends))
    return plot_style.plot(
        drawn,
        name="plot-ratios",
        says="Ratios with intervals. "
        + "; ".join(f"{n}: {t}" for n, t in zip(names, texts, strict=True)),
        caption="The line at 1 means equal. There is no interval to draw."
        if band.too_few
        else "The line at 1 means equal; the shaded band is the A/A control's interval. A filled "
        "circle is significant on a steady machine, an open one is not.",
        height=66 * len(shown) + 90,
    )
