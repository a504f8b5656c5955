"""The section on TensorRT engines: each variant's size, its memory, whether it runs no norms."""

from __future__ import annotations

from un_deploy.graph.precision.names import in_words
from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Absent, Cell, Plot, Section, Table, size_cell
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.engine_facts import FUSED_AWAY, EngineFacts, fused_away

_QUANTITIES = (
    ("plan size", "plan_bytes"),
    ("activation memory", "activation_bytes"),
    ("bytes written by kernels", "bytes_written"),
)


def section(report: CompareReport) -> Section | Absent:
    """A table, and bars of the memory."""
    title = "Memory and engines"
    if not report.engines:
        return Absent(title, "no engines were asked for; un-deploy compare --engines builds them")
    text = [
        "Engines built for these inputs and not run: plan size, activation memory on the device "
        "beside weights, bytes that all kernels write in one run, and whether the kernels have "
        "the signatures of the engine without norms. The times above are those of "
        f"{report.backend}, not of these engines.",
    ]
    if fused_away(report.engines):
        text.append(FUSED_AWAY)
    warnings = tuple(
        f"The engine of {wording.variant(one.kind, one.form)} does not have the kernels of no norm."
        for one in report.engines
        if one.kind == "folded" and one.same_as_none is False
    )
    return Section(
        "engines",
        title,
        tuple(text),
        plots=(_bars(report.engines),),
        tables=(_table(report),),
        warnings=warnings,
    )


def _table(report: CompareReport) -> Table:
    rows: tuple[tuple[str | Cell, ...], ...] = tuple(
        (
            wording.variant(one.kind, one.form),
            *(size_cell(getattr(one, field), "unknown") for _, field in _QUANTITIES),
            str(len(one.kernels)),
            _same(one),
            Cell(f"{one.flavor} {one.tensorrt}", "muted", small=in_words(one.precision, one.tf32)),
        )
        for one in report.engines
    )
    columns = (
        "variant",
        *(f">{name}" for name, _ in _QUANTITIES),
        ">kernels",
        "same kernels as no norm",
        "built by",
    )
    return Table("Engines", columns, rows)


def _same(one: EngineFacts) -> Cell:
    if one.kind == "none":
        return Cell("is no norm", "muted")
    if one.same_as_none is None:
        return Cell("unknown", "muted")
    return Cell("yes", "good") if one.same_as_none else Cell("no")


def _bars(engines: tuple[EngineFacts, ...]) -> Plot:
    base = next((one for one in engines if one.kind == "none"), engines[0])
    of = wording.variant(base.kind, base.form)
    drawn = plot_style.figure()
    told = []
    for one in engines:
        bars = []
        name = wording.variant(one.kind, one.form)
        for row, (quantity, field) in enumerate(_QUANTITIES):
            count, unit = getattr(one, field), getattr(base, field)
            if count is not None and unit:
                bars.append((row, count / unit, wording.size(count)))
                told.append(f"{name}, {quantity}: {wording.size(count)}")
        drawn.add_bar(
            orientation="h",
            y=[row for row, _, _ in bars],
            x=[share for _, share, _ in bars],
            text=[plot_style.label(f"{name}: {text}") for _, _, text in bars],
            textposition="auto",
            insidetextanchor="start",
            textangle=0,
            constraintext="none",
            marker={"color": plot_style.COLOURS[one.kind]},
            hovertext=[
                plot_style.label(name, f"{text}, {share:.3f} of {of}") for _, share, text in bars
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    drawn.add_vline(x=1, line_width=1.5, line_color=plot_style.GREY)
    for row, (quantity, _) in enumerate(_QUANTITIES):
        plot_style.heading(drawn, row - 0.4, quantity)
    drawn.update_layout(barmode="group", bargap=0.32)
    drawn.update_yaxes(range=[len(_QUANTITIES) - 0.5, -0.7], visible=False, fixedrange=True)
    drawn.update_xaxes(
        title_text=plot_style.label(f"times that of {of}"), rangemode="tozero", nticks=7
    )
    return plot_style.plot(
        drawn,
        name="plot-memory",
        says=f"Memory of the engines. {'; '.join(told)}",
        caption=f"Each bar is drawn relative to {of}, whose bars end at 1.",
        height=len(_QUANTITIES) * (26 * len(engines) + 34) + 70,
    )
