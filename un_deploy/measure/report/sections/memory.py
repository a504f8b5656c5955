"""The section on memory: what a run of every variant holds, and the size of a given plan."""

from __future__ import annotations

from collections.abc import Sequence

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Absent, Plot, Section, Table, size_cell
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant_times import Timed

TITLE = "Peak memory"


def section(report: CompareReport) -> Section | Absent:
    """A table, and bars where there are two to compare."""
    points = sorted((report, *report.sweep), key=lambda one: one.batch or 0)
    rows = [(point, one) for point in points for one in point.timed if not one.control]
    known = [one for _, one in rows if one.peak_bytes is not None]
    plans = any(one.plan_bytes is not None for _, one in rows)
    if not known and not plans:
        return Absent(TITLE, wording.once(one.memory for one in report.timed) or "it is not told")
    counted = (
        wording.once(one.memory for one in known) or "the report does not say how it was counted"
    )
    text: tuple[str, ...] = (
        f"The most that one run holds at once, beside weights and inputs: {counted}."
        if known
        else f"Of a run it is not told: {wording.once(one.memory for _, one in rows)}.",
        "It is measured once, in the first build, behind the times. Figures of other backends "
        "count other things: compare within this table.",
    )
    reasons = wording.once(one.memory for _, one in rows if one.peak_bytes is None)
    if known and reasons:
        text = (*text, f"Where none is told: {reasons}.")
    drawn = [one for one in report.timed if one.peak_bytes is not None and not one.control]
    return Section(
        "peak-memory",
        TITLE,
        text,
        plots=(_bars(drawn),) if len({(one.kind, one.form) for one in drawn}) > 1 else (),
        tables=(_table(rows, several=len(points) > 1, plans=plans),),
    )


def _table(rows: Sequence[tuple[CompareReport, Timed]], *, several: bool, plans: bool) -> Table:
    columns = ("variant", *(("at",) if several else ()), ">peak of a run")
    return Table(
        "Memory of one run",
        (*columns, *((">plan size",) if plans else ())),
        tuple(
            (
                one.name,
                *((wording.point(point),) if several else ()),
                size_cell(one.peak_bytes, "not told"),
                *((size_cell(one.plan_bytes, "no plan given"),) if plans else ()),
            )
            for point, one in rows
        ),
    )


def _bars(shown: Sequence[Timed]) -> Plot:
    drawn = plot_style.figure()
    names = []
    for row, one in enumerate(shown):
        assert one.peak_bytes is not None
        names.append(f"{one.name}: {wording.size(one.peak_bytes)}")
        drawn.add_bar(
            orientation="h",
            y=[row],
            x=[one.peak_bytes / 2**20],
            width=0.36,
            marker={"color": plot_style.COLOURS[one.kind]},
            hovertext=[plot_style.label(one.name, f"{one.peak_bytes:,} B")],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    plot_style.rows(drawn, [plot_style.label(name) for name in names])
    drawn.update_xaxes(title_text="MiB", rangemode="tozero", nticks=7)
    return plot_style.plot(
        drawn,
        name="plot-peak-memory",
        says=f"Bars of the peak memory of one run. {'; '.join(names)}",
        caption="The axis begins at 0.",
        height=58 * len(shown) + 80,
    )
