"""How reports look in a terminal; piped, they are 80 columns wide and without colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from un_deploy.errors import one_line
from un_deploy.graph.precision.names import in_words, tf32_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from un_deploy.graph.fold.report import FoldReport, SiteReport
    from un_deploy.graph.fold.site import NearMiss
    from un_deploy.graph.strip.strip import StripReport
    from un_deploy.measure.equality.report import VerifyReport
    from un_deploy.pipeline.build import BuildReport
    from un_deploy.pipeline.profile import ProfileReport
    from un_deploy.runtime.layer_times import TimedLayer

GOOD, BAD, MUTED = "green", "bold red", "dim"

_LEAST = 12
"""Columns that a name gets, where there is room for that."""


def console() -> Console:
    """Standard output. Nothing is read as markup: names may hold brackets."""
    return Console(markup=False, highlight=False, emoji=False)


def line(text: str, style: str = "") -> None:
    """One paragraph, wrapped at words."""
    console().print(Text(text, style=style))


class Names:
    """A cell whose words lose their middle where the column is narrower than they are."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        words = self.text.plain.split(" ")
        if max(map(cell_len, words)) <= options.max_width:
            yield self.text
        else:
            cut = " ".join(elided(word, options.max_width) for word in words)
            yield Text(cut, style=self.text.style, overflow="fold")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = max(map(cell_len, self.text.plain.split(" ")))
        return Measurement(min(longest, _LEAST), cell_len(self.text.plain))


def elided(name: str, width: int) -> str:
    """The name in this many columns; more of its beginning is kept, where blocks are numbered.

    >>> elided("encoder.layers.11.attention.norm", 24)
    'encoder.layers.1…on.norm'
    """
    if cell_len(name) <= width or width < 4:
        return name
    tail = (width - 1) // 3
    head, end = set_cell_size(name, width - 1 - tail), set_cell_size(name[::-1], tail)[::-1]
    return f"{head.rstrip()}…{end.lstrip()}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """A table as wide as the terminal at most: long names lose their middle.

    A column headed ">" is aligned right, and holds numbers, which stay whole.
    """
    shown = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in columns:
        right = heading.startswith(">")
        shown.add_column(
            Text(heading.lstrip(">")),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    for row in rows:
        cells = (cell if isinstance(cell, Text) else Text(cell) for cell in row)
        names = (not heading.startswith(">") for heading in columns)
        shown.add_row(
            *(Names(cell) if is_name else cell for cell, is_name in zip(cells, names, strict=True))
        )
    console().print(shown)


def fold(report: FoldReport, modules: Mapping[str, str], *, planned: bool = False) -> None:
    """What folded (or would fold) where, what stays and why, and what it comes to."""
    if report.sites:
        rows = [_site(site, modules) for site in report.sites]
        table(("norm, or factor or bias", "operators", ">channels", "folded into"), rows)
    _near_misses(report.near_misses)
    for note in report.notes:
        line(f"About the file: {note}.")
    if report.gained_biases:
        line(f"Linear operators that gained a bias: {', '.join(report.gained_biases)}")
    done = "would fold" if planned else "folded"
    counts = f"{report.operators_before} operators before, {report.operators_after} after"
    norms = [site for site in report.sites if site.kind == "norm"]
    beside = [site for site in report.folded if site.kind != "norm"]
    if beside:
        what = "factor or bias" if len(beside) == 1 else "factors and biases"
        counts = f"{len(beside)} {what} beside linear operators too; {counts}"
    if norms or beside:
        folded = sum(site.status == "folded" for site in norms)
        line(f"{folded} of {len(norms)} norms {done}; {counts}.")
    else:
        line(f"There is no norm that could be folded; {counts}.")
    _measuring(report)


def _measuring(report: FoldReport) -> None:
    """The norms that no fold removes, and what can be done about them."""
    if not report.measuring:
        return
    one = len(report.measuring) == 1
    told = (
        f"{report.kinds_left} {'stays: it measures its' if one else 'stay: they measure their'} "
        f"input at run time. To be without, train the network with Unified Normalization in "
        f"{'its' if one else 'their'} place (un_deploy.convert_norms)."
    )
    if untried := sum(norm.untried_affine for norm in report.measuring):
        told += f" Scale and shift of {untried} of them may fold alone: --fold-norm-affine."
    line(told)


def strip(report: StripReport) -> None:
    """What was taken out, and what was not."""
    rows = [(norm.label, Text(f"taken out: {norm.by}")) for norm in report.stripped]
    rows += [(norm.label, Text(f"stays: {norm.reason}", MUTED)) for norm in report.left]
    if rows:
        table(("norm, or scale and shift", "what became of it"), rows)
    _near_misses(report.near_misses)
    counts = f"{report.operators_before} operators before, {report.operators_after} after"
    line(f"{len(report.stripped)} norms taken out; {counts}.")


def _near_misses(misses: Sequence[NearMiss]) -> None:
    if misses:
        table(
            ("nearly a norm, a factor or a bias", "but"),
            [(miss.node, miss.reason) for miss in misses],
        )


def _site(site: SiteReport, modules: Mapping[str, str]) -> tuple[str | Text, ...]:
    if site.status == "folded":
        where = Text(", ".join(dict.fromkeys(modules.get(n, n) for n in site.into)), style=GOOD)
    else:
        where = Text(f"stays: {site.reason}", style=MUTED)
    return site.label, " ".join(site.operators), str(site.channels), where


def verification(report: VerifyReport) -> None:
    """The report in sentences; the verdict comes last, coloured by what it says."""
    *lines, verdict = report.lines()
    for text in lines:
        line(text)
    line(verdict, GOOD if report.passed else BAD)


def build(report: BuildReport) -> None:
    """What was built, and what its kernels are."""
    manifest = report.manifest
    types = in_words(manifest.precision or "the types of the graph", manifest.tf32)
    line(
        f"{manifest.flavor} {manifest.tensorrt}, {types}; {manifest.bytes:,} bytes, "
        f"{report.seconds:.1f} s"
    )
    if manifest.lifted_opset is not None:
        line(f"{manifest.lifted_opset}.")
    if report.precision is not None:
        constants, kept = len(report.precision.converted), len(report.precision.kept)
        line(f"{constants} constants converted; {kept} operators stay in fp32.")
        if zeros := [(one.name, one.flushed) for one in report.precision.converted if one.flushed]:
            told = ", ".join(f"{count} of {name}" for name, count in zeros)
            line(f"Entries that became 0, each below its neighbours' rounding: {told}")
    if report.types is not None:
        counts = ", ".join(f"{n} in {kind}" for kind, n in report.types.multiplying.items())
        line(f"Kernels that multiply: {counts}; asked for {report.types.precision}.")
        if report.types.fp32_outputs:
            line(f"Kernels that write fp32: {', '.join(report.types.fp32_outputs)}", MUTED)
        missing = report.types.not_shown
        line(f"{str(report.types).capitalize()}.", BAD if missing else MUTED)
        for one in missing[:5]:
            line(f"Not shown: {one.name}: {one.reason}", MUTED)
        if len(missing) > 5:
            line(f"... and {len(missing) - 5} more", MUTED)
    written = "" if report.bytes_written is None else f", {report.bytes_written:,} bytes written"
    memory = ", ".join(f"{size:,} bytes of {what}" for what, size in manifest.memory.items())
    line(f"{report.kernels} kernels{written}; on the device {memory or 'unknown'}.")
    for warning in report.warnings:
        line(f"TensorRT warns: {one_line(warning)}", MUTED)
    line(f"Wrote {report.target} and its manifest.")


def profile(report: ProfileReport, top: int | None) -> None:
    """The layers by their time, the slowest first."""
    from statistics import median

    shapes = ", ".join(f"{name} {list(shape)}" for name, shape in report.inputs.items())
    line(f"{report.runtime}{tf32_in_words(report.tf32)}, {len(report.run_s)} runs; {shapes}")
    layers = report.slowest_first[:top]
    rows = [
        (_nodes(layer), layer.kind, f"{layer.median_s * 1e3:.4f}", f"{report.share(layer):.1%}")
        for layer in layers
    ]
    table(("ONNX nodes", "runs as", ">median ms", ">share"), rows)
    if hidden := len(report.layers) - len(layers):
        line(f"... and {hidden} more layers", MUTED)
    whole = median(report.run_s) * 1e3
    line(
        f"{len(report.layers)} layers take {report.layers_s * 1e3:.3f} ms together; a run in which "
        f"nobody looks at them takes {whole:.3f} ms."
    )
    for warning in report.warnings:
        line(f"Warning: {warning}", MUTED)


def _nodes(layer: TimedLayer) -> str | Text:
    """Those that a layer computes; without any, what the runtime calls it."""
    first, rest = layer.onnx_nodes[:3], len(layer.onnx_nodes) - 3
    if not first:
        return Text(layer.name, MUTED)
    return " ".join(first) + (f" and {rest} more" if rest > 0 else "")
