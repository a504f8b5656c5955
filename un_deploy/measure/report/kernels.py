"""The planned kernels of LN beside those of UN folded, with the ONNX nodes they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest

from un_deploy.measure.compare_report import CompareReport
from un_deploy.measure.engine_facts import EngineFacts, PlannedKernel
from un_deploy.measure.report.parts import Absent, Cell, Section, Table
from un_deploy.measure.variant import Kind

Pair = tuple[PlannedKernel | None, PlannedKernel | None]


def section(report: CompareReport) -> Section | Absent:
    """Two columns, aligned by what the kernels fuse."""
    title = "Planned kernels"
    ln, folded = _engine(report, "ln"), _engine(report, "folded")
    if ln is None or folded is None:
        return Absent(title, "it takes the engines of LN and of UN folded")
    pairs = list(aligned(ln.kernels, folded.kernels))
    same = sum(_same(pair) for pair in pairs)
    both = sum(None not in pair for pair in pairs) - same
    only = [sum(pair[1 - side] is None for pair in pairs) for side in (0, 1)]
    text = (
        f"{len(ln.kernels)} kernels of LN beside {len(folded.kernels)} of UN folded, in the order "
        f"in which they run: {same} of the same kind that fuse the same operators, {both} that "
        f"fuse others, {only[0]} only in LN, {only[1]} only in UN folded. Kernels are aligned by "
        "what they fuse; that two stand in one row does not make them equal in their sizes.",
    )
    table = Table(
        "Kernels, ONNX nodes and bytes written",
        ("row", "LN", ">bytes", "UN folded", ">bytes"),
        tuple(_row(pair) for pair in pairs),
        tuple("" if _same(pair) else "bad" if None in pair else "muted" for pair in pairs),
    )
    closed = f"Show all {len(pairs)} rows"
    return Section("kernels", title, text, tables=(table,), closed=closed)


def aligned(left: Sequence[PlannedKernel], right: Sequence[PlannedKernel]) -> Iterator[Pair]:
    """Both sequences in order, side by side where they fuse the same; None where one has none."""
    whats = ([one.what for one in left], [one.what for one in right])
    for _, i, to_i, j, to_j in SequenceMatcher(None, *whats, autojunk=False).get_opcodes():
        yield from zip_longest(left[i:to_i], right[j:to_j])


def _engine(report: CompareReport, kind: Kind) -> EngineFacts | None:
    """The first form of LN is the one that the file has."""
    return next((one for one in report.engines if one.kind == kind), None)


def _same(pair: Pair) -> bool:
    left, right = pair
    return left is not None and right is not None and left.what == right.what


def _row(pair: Pair) -> tuple[str | Cell, ...]:
    left, right = pair
    mark = "same" if _same(pair) else "differs"
    if left is None or right is None:
        mark = "only LN" if right is None else "only UN"
    return (mark, *_cells(left), *_cells(right))


def _what(kernel: PlannedKernel) -> str:
    """What it fuses; its name where that is all that tells it from others."""
    return kernel.what if " " in kernel.what else f"{kernel.what}: {kernel.name}"


def _cells(kernel: PlannedKernel | None) -> tuple[str | Cell, ...]:
    if kernel is None:
        return "", ""
    written = kernel.bytes_written
    return (
        Cell(_what(kernel), small=", ".join(kernel.onnx_nodes), code=True),
        Cell("unknown", "muted") if written is None else f"{written:,}",
    )
