"""How a comparison looks in a terminal: accuracy first, then times, then engines."""

from __future__ import annotations

from rich.text import Text

from un_deploy.cli import show
from un_deploy.graph.precision.names import in_words
from un_deploy.measure import wording
from un_deploy.measure.report.sections.summary import headline
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.engine_facts import FUSED_AWAY, fused_away
from un_deploy.measure.speed.layers.variant_layers import GROUPS, groups_of, where_it_went
from un_deploy.measure.speed.variant import TITLES
from un_deploy.measure.speed.variant_times import Ratio
from un_deploy.runtime.backends import backend_named


def comparison(report: CompareReport) -> None:
    """The times, their ratios with intervals, and the A/A control beside each."""
    shapes = ", ".join(f"{name} {list(shape)}" for name, shape in report.inputs.items())
    threads = f", threads: {report.threads}" if report.threads else ""
    where = report.environment["cpu"] if report.device == "cpu" else report.device
    if backend_named(report.backend).on_gpu:
        where = report.environment.get("gpu") or "a GPU of which no driver tells"
    precision = f", {report.computed_in}" if report.tells_precision else ""
    answer = headline(report)
    tone = {"good": show.GOOD, "bad": show.BAD}.get(answer.tone, "")
    show.line(answer.text.replace("\N{NO-BREAK SPACE}", " "), tone)
    for text in wording.unsteady(report):
        show.line(f"Caution: {text}", show.BAD)
    if wording.unsteady(report):
        show.line(wording.again(report))
    show.line(f"{report.runtime or report.backend} on {where}{precision}{threads}; {shapes}")
    _accuracy(report)
    _times(report)
    interval = report.control.interval
    steady = not report.unsteady
    rows = [_ratio(ratio, report.doubts(ratio), steady) for ratio in report.ratios]
    _, *figures, _ = _ratio(report.control, (), steady)
    rows.append((f"A/A control, {TITLES[report.control.of]}", *figures, ""))
    show.table(("time of", ">ratio", f"{interval.confidence:.0%} interval", "says"), rows)
    for kind, otherwise in report.not_comparable.items():
        show.line(f"{TITLES[kind]} ran {otherwise}: its times compare with no others.", show.BAD)
    if interval.too_few:
        show.line(f"No interval is shown: {interval.too_few}.", show.BAD)
    else:
        show.line(f"{interval.method}; {interval.rounds} rounds in each build.", show.MUTED)
    _sweep(report)
    _layers(report)
    _engines(report)
    for names, types in wording.types(report):
        show.line(f"{wording.sentence(types)}: {names}.", show.MUTED)
    for name, warning in wording.warned(report):
        show.line(f"Warning of {name}: {warning}", show.MUTED)
    for missing, reason in report.missing.items():
        show.line(f"{missing}: {reason}.", show.MUTED)
    for note in report.notes:
        show.line(f"Note: {note}.", show.MUTED)


def _times(report: CompareReport) -> None:
    told = any(one.peak_bytes is not None for one in report.timed)
    rows = [
        (
            one.name,
            f"{one.median_s * 1e3:.3f}",
            *((_bytes(one.peak_bytes),) if told else ()),
            "" if one.operators is None else str(one.operators),
            Text(f"derived: {one.source}" if one.derived else one.source, show.MUTED),
        )
        for one in report.timed
    ]
    memory = (">peak bytes",) if told else ()
    show.table(("variant", ">median ms", *memory, ">operators", "from"), rows)
    for text in report.staying_told:
        show.line(f"{text}.")
    counted = wording.once(one.memory for one in report.timed if one.peak_bytes is not None)
    if counted:
        show.line(f"Peak memory: {counted}.", show.MUTED)
    why = wording.once(one.memory for one in report.timed if one.peak_bytes is None)
    if why:
        show.line(f"Peak memory is not told{' of all' if told else ''}: {why}.", show.MUTED)


def _bytes(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _accuracy(report: CompareReport) -> None:
    for against in dict.fromkeys(one.against for one in report.accuracy):
        same = [one for one in report.accuracy if one.against == against]
        names = [f"{TITLES[one.kind]}{f' ({one.form})' if one.form else ''}" for one in same]
        if any(one.error is None for one in same):
            show.line(f"Errors are not judged of {', '.join(names)}: {against}.", show.BAD)
            continue
        said = "; ".join(f"{name} {one.error:.2g}" for name, one in zip(names, same, strict=True))
        show.line(f"Largest error against {against}, as a share of the output's range: {said}.")


def _sweep(report: CompareReport) -> None:
    if not report.sweep:
        return
    rows = [
        (str(point.batch), f"{TITLES[one.of]} over {TITLES[one.to]}", f"{one.interval.ratio:.3f}",
         wording.span(one.interval), wording.span(point.control.interval))
        for point in (report, *report.sweep)
        for one in point.ratios
    ]  # fmt: skip
    show.table((">batch", "time of", ">ratio", "interval", "A/A control"), rows)


def _layers(report: CompareReport) -> None:
    if not report.layers:
        return
    by_kind = {one.kind: one for one in report.layers}
    ln, folded = by_kind.get("ln"), by_kind.get("folded")
    times = [
        (GROUPS[group], [one.groups_s[group] for one in report.layers])
        for group in groups_of(report.layers)
    ]
    times.append(("all layers", [one.layers_s for one in report.layers]))
    times.append(("a whole run, not profiled", [one.run_s for one in report.layers]))
    rows = [(name, *(f"{1e3 * time:.4f}" for time in each)) for name, each in times]
    show.table(("ms in layers", *(f">{TITLES[one.kind]}" for one in report.layers)), rows)
    if ln is not None and folded is not None:
        show.line(where_it_went(ln, folded))
    show.line("To look at layers takes time itself: the ratios say how much is won.", show.MUTED)
    names = dict.fromkeys(name for one in report.layers for name in one.unassigned)
    if names:
        show.line(f"Not assigned: {', '.join(names)}.", show.MUTED)


def _engines(report: CompareReport) -> None:
    if not report.engines:
        return
    first = report.engines[0]
    show.line(
        f"Engines of {first.flavor} {first.tensorrt} in {in_words(first.precision, first.tf32)}, "
        "built and not run:"
    )
    rows = [
        (
            wording.variant(one.kind, one.form),
            f"{one.plan_bytes:,}",
            _bytes(one.activation_bytes),
            str(len(one.kernels)),
            _bytes(one.bytes_written),
            {True: "yes", False: "no", None: ""}[one.same_as_none],
        )
        for one in report.engines
    ]
    heads = ("variant", ">plan bytes", ">activation", ">kernels", ">written", "no norm's kernels")
    show.table(heads, rows)
    if fused_away(report.engines):
        show.line(FUSED_AWAY)


def _ratio(ratio: Ratio, doubts: tuple[str, ...], steady: bool) -> tuple[str | Text, ...]:
    interval = ratio.interval
    sure = steady and interval.significant
    says = Text(wording.verdict(ratio, steady=steady), show.GOOD if sure else show.MUTED)
    if doubts:
        says.append(f" ({', '.join(doubts)})", show.BAD)
    return wording.pair(ratio, " over "), f"{interval.ratio:.3f}", wording.span(interval), says
