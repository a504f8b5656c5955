"""The first and last sections: the answer, what is missing, the machine, how to read the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from un_deploy.measure import wording
from un_deploy.measure.report.page_elements import Absent, Cell, Section, Table
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import TITLES
from un_deploy.measure.speed.variant_times import Ratio


@dataclass(frozen=True)
class Headline:
    """The answer.

    Attributes:
        text: who is faster and by how much, or that nobody can say.
        tone: "good" where UN folded is faster, "bad" where it is slower, else "muted".
        more: what else to know at once.
        warnings: why the figures may not be trusted.
    """

    text: str
    tone: str
    more: tuple[str, ...]
    warnings: tuple[str, ...]


def headline(report: CompareReport) -> Headline:
    """LN against UN folded, else the first ratio there is; then the limit, and the sweep."""
    if report.not_comparable:
        said = (f"{TITLES[k]} ran {how}" for k, how in report.not_comparable.items())
        text = f"Not comparable: {'; '.join(said)}."
        return Headline(text, "bad", (), _warnings(report))
    main = wording.found(report, "ln", "folded") or next(iter(report.ratios), None)
    if main is None:
        return Headline("There is nothing to compare.", "muted", (), _warnings(report))
    more = []
    if (main.of, main.to) != ("ln", "folded"):
        more.append("LN against UN folded was not measured: one of the two is missing.")
    if main.form:
        best = wording.variant(main.of, main.form)
        more.append(f"{TITLES[main.of]} is taken in its fastest form: {best}.")
    least = wording.found(report, "folded", "none")
    if least is not None and least is not main:
        more.append(wording.limit(least))
    control = wording.numbers(report.control.interval)[0]
    more.append(
        f"The A/A control, {TITLES[report.control.of]} against itself: {control} "
        f"({wording.span(report.control.interval)})."
    )
    for point in report.sweep:
        found = wording.found(point, main.of, main.to)
        if found is not None:
            more.append(f"At {wording.point(point)}: {wording.claim(found)}")
    text = wording.claim(main)
    if report.sweep:
        text = f"At {wording.point(report)}: {text}"
    return Headline(wording.sentence(text), _tone(main), tuple(more), _warnings(report))


def _tone(ratio: Ratio) -> str:
    if not ratio.interval.significant:
        return "muted"
    return "good" if ratio.interval.ratio > 1 else "bad"


def _warnings(report: CompareReport) -> tuple[str, ...]:
    said = []
    for point in (report, *report.sweep):
        interval = point.control.interval
        at = f" at {wording.point(point)}" if report.sweep else ""
        if interval.significant:
            said.append(
                f"The A/A control differs from itself{at}, {wording.span(interval)}: this machine "
                "was not quiet enough for these figures."
            )
        for ratio in point.ratios:
            if doubts := point.doubts(ratio):
                of, to = TITLES[ratio.of], TITLES[ratio.to]
                said.append(f"{of} over {to}{at}: {', '.join(doubts)}.")
        for kind, how in point.not_comparable.items():
            said.append(f"{TITLES[kind]}{at} ran {how}: its times compare with no others.")
    if report.control.interval.builds == 1:
        said.append(
            "One build only: it says how that build ran, not how the variants run. Take five."
        )
    return tuple(said)


def summary(report: CompareReport) -> tuple[tuple[str, str], ...]:
    """What was measured, in a few words each."""
    shapes = "; ".join(
        f"{name} {' x '.join(map(str, shape))}" for name, shape in report.inputs.items()
    )
    interval = report.control.interval
    gpu = report.environment.get("gpu")
    return (
        ("backend", report.runtime or report.backend),
        ("processor", str(report.environment.get("cpu") or "unknown")),
        *((("GPU", str(gpu)),) if gpu else ()),
        ("device", report.device or "a GPU of which no driver tells"),
        *((("precision", report.computed_in),) if report.tells_precision else ()),
        ("threads", str(report.threads) if report.threads else "the backend's choice"),
        ("inputs", shapes or "none"),
        ("builds", f"{interval.builds}, {interval.rounds} rounds in each"),
    )


def missing(report: CompareReport, absent: Sequence[Absent]) -> Section | None:
    """What this report does not have, and why."""
    titles = {str(kind): title for kind, title in TITLES.items()}
    rows = [(titles.get(kind, kind), reason) for kind, reason in report.missing.items()]
    rows += [(one.title, one.reason) for one in absent]
    if not rows:
        return None
    table = Table("What is missing, and why", ("what", "why"), tuple(rows))
    return Section("missing", "Not in this report", tables=(table,))


def notes(report: CompareReport) -> Section | None:
    """What the comparison wants its reader to know."""
    said = dict.fromkeys(note for one in (report, *report.sweep) for note in one.notes)
    return Section("notes", "Notes", tuple(said)) if said else None


def types(report: CompareReport) -> Section | None:
    """In which types engines are seen to compute."""
    rows = tuple(wording.types(report))
    if not rows:
        return None
    text = "What no kernel tells is named, and not taken for right: it may be in another type."
    table = Table("Products whose type the engines show", ("variant", "what is shown"), rows)
    return Section("types", "Types of the engines", (text,), tables=(table,))


def warned(report: CompareReport) -> Section | None:
    """What runtimes and builders warned of, by variant."""
    rows = tuple(wording.warned(report))
    if not rows:
        return None
    table = Table("Warnings, each once", ("variant", "warning"), rows)
    return Section("warnings", "Warnings", tables=(table,))


def environment(report: CompareReport) -> Section:
    """The machine in kind, and versions."""
    rows = tuple(
        (name, Cell("none found" if value is None else str(value), code=True))
        for name, value in report.environment.items()
    )
    table = Table("Processor, system and versions", ("what", "value"), rows)
    return Section("environment", "Environment", tables=(table,))


def reading(report: CompareReport) -> Section:
    """What the figures mean."""
    interval = report.control.interval
    sure = wording.percent(interval.confidence)
    estimator = (
        "There is one build, so the interval is the exact binomial one of the median over its "
        "rounds. It says how that build ran; other builds may run otherwise."
        if interval.builds == 1
        else "For each build the median over its rounds of log(a / b); the mean of these, and a "
        f"{sure} interval by {interval.method}, exponentiated. The builds are the sample: rounds "
        "of one process share its memory layout and its tuning choices."
    )
    terms = (
        (
            "Round and build",
            "A round times every variant once; every other round goes backwards. A build is a "
            "fresh process, and its rounds.",
        ),
        ("The interval", estimator),
        (
            "Not significant",
            "1 lies inside the interval: these builds do not tell the two apart. It does not mean "
            "equal. Equal is said only where the whole interval lies within "
            f"{wording.percent(wording.EQUAL)} of 1.",
        ),
        (
            "A/A control",
            "One variant is entered twice and compared with itself like any two. Its interval "
            "should hold 1; its width shows what this machine can tell apart. It is shown, and "
            "decides nothing.",
        ),
        (
            "LN in its best form",
            "LN is entered in every form that the runtime offers; the fastest counts and is named.",
        ),
        (
            "No norm",
            "The same network with its norms taken out. It computes something else, and is the "
            "limit of what removing norms can give.",
        ),
    )
    return Section("reading", "How to read this", terms=terms)
