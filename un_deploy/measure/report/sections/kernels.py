"""The section on kernels: LN's beside those of UN folded, with the ONNX nodes they come from."""

from __future__ import annotations

from un_deploy.measure.report.page_elements import Absent, Cell, Section
from un_deploy.measure.report.sections import side_by_side
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.engine_facts import EngineFacts, PlannedKernel
from un_deploy.measure.speed.variant import Kind


def section(report: CompareReport) -> Section | Absent:
    """Two columns, aligned by what the kernels fuse."""
    title = "Planned kernels"
    ln, folded = _engine(report, "ln"), _engine(report, "folded")
    if ln is None or folded is None:
        return Absent(title, "it takes the engines of LN and of UN folded")
    pairs = list(side_by_side.aligned(ln.kernels, folded.kernels))
    caption = "Kernels, ONNX nodes and bytes written"
    return Section(
        "kernels",
        title,
        (side_by_side.says(pairs, "kernels"),),
        tables=(side_by_side.table(pairs, caption, "bytes", _cells),),
        closed=f"Show all {len(pairs)} rows",
    )


def _engine(report: CompareReport, kind: Kind) -> EngineFacts | None:
    """The first form of LN is the one that the file has."""
    return next((one for one in report.engines if one.kind == kind), None)


def _what(kernel: PlannedKernel) -> str:
    """What it fuses; its name where that is all that tells it from others."""
    return kernel.what if " " in kernel.what else f"{kernel.what}: {kernel.name}"


def _cells(kernel: PlannedKernel) -> tuple[str | Cell, str | Cell]:
    written = kernel.bytes_written
    return (
        Cell(_what(kernel), small=", ".join(kernel.onnx_nodes), code=True),
        Cell("unknown", "muted") if written is None else f"{written:,}",
    )
