"""The section on layers: the time of every variant by group, and LN's layers beside UN folded's."""

from __future__ import annotations

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Absent, Cell, Plot, Section, Table
from un_deploy.measure.report.sections import side_by_side
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.layers.variant_layers import (
    GROUPS,
    Group,
    ProfiledLayer,
    VariantLayers,
    groups_of,
    where_it_went,
)
from un_deploy.measure.speed.variant import TITLES

COLOURS: dict[Group, str] = {
    "products": "#2478c7",
    "attention": "#0f8567",
    "normalization": "#c8462f",
    "activation": "#8a7000",
    "elementwise": "#8f5bc8",
    "layout": "#9a6240",
    "other": plot_style.GREY,
}
"""As strong against both themes as `plot_style.COLOURS`; normalization is hatched as well."""


def sections(report: CompareReport) -> tuple[Section | Absent, ...]:
    """Bars and a table of the groups; LN's layers beside UN folded's."""
    title = "Time by layer"
    if not report.layers:
        return (Absent(title, "no profile was asked for; un-deploy compare --profile takes one"),)
    ln, folded = _found(report, "ln"), _found(report, "folded")
    text = [
        f"Times of every layer on {report.backend}, the medians of {report.layers[0].runs} runs "
        "after the comparison, in groups of what the layers are. To look at layers takes time "
        "itself; what lies between layers is in none, and what interrupts a run is in few. So "
        f"their sum, here {_least_and_most(report)} times a run that is not profiled, says where "
        "time goes; how much is won is in the ratios.",
        "A layer that fuses several operators is counted where the heaviest of them belongs. "
        "Normalization is Layer Normalization, and what un-deploy folds: scale and shift per "
        "channel.",
    ]
    if ln is not None and folded is not None:
        text.insert(0, where_it_went(ln, folded))
    shown: list[Section | Absent] = [
        Section(
            "layers",
            title,
            tuple(text),
            plots=(_bars(report),),
            tables=(_groups(report),),
            warnings=_warnings(report),
        )
    ]
    if ln is None or folded is None:
        return (*shown, Absent("Layers side by side", "it takes LN and UN folded"))
    pairs = list(side_by_side.aligned(ln.layers, folded.layers))
    digits = wording.decimals(report) + 1

    def cells(layer: ProfiledLayer) -> tuple[str | Cell, str | Cell]:
        nodes = ", ".join(layer.onnx_nodes) or layer.name
        return Cell(layer.what, small=nodes, code=True), f"{1e3 * layer.median_s:.{digits}f}"

    table = side_by_side.table(pairs, "Layers, ONNX nodes and milliseconds", "ms", cells)
    return (
        *shown,
        Section(
            "layers-beside",
            "Layers side by side",
            (side_by_side.says(pairs, "layers"),),
            tables=(table,),
            closed=f"Show all {len(pairs)} rows",
        ),
    )


def _warnings(report: CompareReport) -> tuple[str, ...]:
    if all(one.layers_s >= one.run_s / 2 for one in report.layers):
        return ()
    return (
        "The layers are less than half of a run. The rest lies between them, as the launch of "
        "kernels does, or another process took the processor while the comparison ran.",
    )


def _least_and_most(report: CompareReport) -> str:
    shares = [one.layers_s / one.run_s for one in report.layers]
    return " to ".join(dict.fromkeys(f"{share:.2f}" for share in (min(shares), max(shares))))


def _found(report: CompareReport, kind: str) -> VariantLayers | None:
    return next((one for one in report.layers if one.kind == kind), None)


def _groups(report: CompareReport) -> Table:
    digits = wording.decimals(report)
    ln, folded = _found(report, "ln"), _found(report, "folded")
    both = ln is not None and folded is not None

    def less(ln_s: float, folded_s: float) -> str:
        return f"{1e3 * (ln_s - folded_s):+.{digits}f}"

    rows: list[tuple[str | Cell, ...]] = []
    for group in groups_of(report.layers):
        names = dict.fromkeys(n for one in report.layers for n in one.unassigned)
        small = ", ".join(names) if group == "other" else ""
        times = [one.groups_s[group] for one in report.layers]
        cells = [
            Cell(f"{1e3 * time:.{digits}f}", small=_share(time, one.layers_s))
            for one, time in zip(report.layers, times, strict=True)
        ]
        more = [less(ln.groups_s[group], folded.groups_s[group])] if ln and folded else []
        rows.append((Cell(GROUPS[group], small=small), *cells, *more))
    sums = [Cell(f"{1e3 * one.layers_s:.{digits}f}", "strong") for one in report.layers]
    more = [less(ln.layers_s, folded.layers_s)] if ln and folded else []
    rows.append(("all layers", *sums, *more))
    runs = [Cell(f"{1e3 * one.run_s:.{digits}f}", "muted") for one in report.layers]
    more = [less(ln.run_s, folded.run_s)] if ln and folded else []
    rows.append(("a whole run, not profiled", *runs, *more))
    counts = [Cell(str(len(one.layers)), "muted") for one in report.layers]
    more = [f"{len(ln.layers) - len(folded.layers):+d}"] if ln and folded else []
    rows.append(("number of layers", *counts, *more))
    columns = ("layers", *(f">{TITLES[one.kind]}" for one in report.layers))
    return Table(
        "Milliseconds by what the layers are",
        (*columns, *((">LN less UN folded",) if both else ())),
        tuple(rows),
    )


def _share(part_s: float, whole_s: float) -> str:
    """Nothing of nothing: ONNX Runtime counts whole microseconds, and small layers take none."""
    return wording.percent(round(part_s / whole_s, 3)) if whole_s else ""


def _bars(report: CompareReport) -> Plot:
    digits = wording.decimals(report)
    drawn = plot_style.figure()
    legend, told = [], []
    rows = list(range(len(report.layers)))
    for group in groups_of(report.layers):
        times = [1e3 * one.groups_s[group] for one in report.layers]
        name, hatched = GROUPS[group], group == "normalization"
        legend.append((name, COLOURS[group], "▨" if hatched else "■"))
        told.append(f"{name} {', '.join(f'{time:.{digits}f}' for time in times)}")
        drawn.add_bar(
            orientation="h",
            y=rows,
            x=times,
            width=0.36,
            marker={
                "color": COLOURS[group],
                "line": {"color": "#ffffff", "width": 1},
                "pattern": {
                    "shape": "/" if hatched else "",
                    "fillmode": "overlay",
                    "fgcolor": "#ffffff",
                    "solidity": 0.25,
                    "size": 7,
                },
            },
            hovertext=[
                plot_style.label(one.name, f"{name}: {time:.{digits}f} ms")
                for one, time in zip(report.layers, times, strict=True)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    drawn.add_scatter(
        x=[1e3 * one.run_s for one in report.layers],
        y=rows,
        mode="markers",
        marker={
            "color": plot_style.GREY,
            "size": 11,
            "symbol": "diamond",
            "line": {"color": "#ffffff", "width": 2},
        },
        hovertext=[
            plot_style.label(
                one.name, f"a whole run, not profiled: {1e3 * one.run_s:.{digits}f} ms"
            )
            for one in report.layers
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    legend.append(("a whole run, not profiled", plot_style.GREY, "◆"))
    names = [f"{one.name}: {1e3 * one.layers_s:.{digits}f} ms" for one in report.layers]
    plot_style.rows(drawn, [plot_style.label(name) for name in names])
    drawn.update_layout(barmode="stack")
    drawn.update_xaxes(title_text="milliseconds of all layers", rangemode="tozero", nticks=7)
    return plot_style.plot(
        drawn,
        name="plot-layers",
        says=f"Stacked bars of the layers' times. {'; '.join(names)}. In this order: "
        f"{'; '.join(told)}.",
        caption="Each bar is the sum of a variant's layers, its parts in the order of the legend. "
        "The diamond is the median of a whole run in the comparison, in which nobody looked.",
        height=66 * len(rows) + 80,
        legend=legend,
    )
