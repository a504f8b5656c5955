"""The first and last sections: the answer, what is missing, the machine, how to read the page."""

from __future__ import annotations

from collections.abc import Sequence

from un_deploy.measure import wording
from un_deploy.measure.report.page_elements import Absent, Cell, Headline, Section, Table
from un_deploy.measure.speed.compare_report import STEADY, CompareReport
from un_deploy.measure.speed.conditions import Conditions
from un_deploy.measure.speed.variant import TITLES
from un_deploy.measure.speed.variant_times import Ratio

UNSTEADY = "Unsteady: no figure of this report is to be quoted."


def headline(report: CompareReport) -> Headline:
    """LN against UN folded, else the first ratio there is; then the limit, and the sweep.

    No figure where the machine was unsteady, or where variants do not compare.
    """
    if report.not_comparable:
        said = (f"{TITLES[k]} ran {how}" for k, how in report.not_comparable.items())
        text = f"Not comparable: {'; '.join(said)}."
        return Headline(text, "bad", (), _warnings(report))
    if report.unsteady:
        return Headline(UNSTEADY, "bad", (wording.again(report),), _warnings(report))
    main = wording.found(report, "ln", "folded") or next(iter(report.ratios), None)
    if main is None:
        return Headline("There is nothing to compare.", "muted", (), _warnings(report))
    more = []
    if (main.of, main.to) != ("ln", "folded"):
        more.append("LN against UN folded was not measured: one of the two is missing.")
    for kind, form in ((main.of, main.form), (main.to, main.to_form)):
        if form:
            best = wording.variant(kind, form)
            more.append(f"{TITLES[kind]} is taken in its fastest form: {best}.")
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
            says = "unsteady, and not to be quoted." if point.unsteady else wording.claim(found)
            more.append(f"At {wording.point(point)}: {says}")
    text = wording.claim(main)
    if report.sweep:
        text = f"At {wording.point(report)}: {text}"
    return Headline(wording.sentence(text), _tone(main), tuple(more), _warnings(report))


def _tone(ratio: Ratio) -> str:
    if not ratio.interval.significant:
        return "muted"
    return "good" if ratio.interval.ratio > 1 else "bad"


def _warnings(report: CompareReport) -> tuple[str, ...]:
    said = wording.unsteady(report)
    for point in (report, *report.sweep):
        interval = point.control.interval
        at = f" at {wording.point(point)}" if report.sweep else ""
        if interval.significant and interval.within(STEADY):
            said.append(
                f"The A/A control differs from itself{at}, {wording.span(interval)}: so small a "
                "difference is the machine's."
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
        *((("measured", when(report)),) if report.date else ()),
        ("backend", report.runtime or report.backend),
        ("processor", str(report.environment.get("cpu") or "unknown")),
        *((("GPU", str(gpu)),) if gpu else ()),
        ("device", report.device or "a GPU of which no driver tells"),
        *((("precision", report.computed_in),) if report.tells_precision else ()),
        ("threads", str(report.threads) if report.threads else "the backend's choice"),
        ("inputs", shapes or "none"),
        ("builds", f"{interval.builds}, {interval.rounds} rounds in each"),
        *((("load", _load(report.conditions)),) if report.conditions else ()),
    )


def when(report: CompareReport) -> str:
    """The date to the minute, for people."""
    return f"{report.date[:16].replace('T', ' ')} UTC" if report.date else "not kept"


def _load(found: Conditions) -> str:
    """What else the machine did."""
    said = [] if found.load is None else [f"{found.load:.2f} as it began"]
    if found.others is not None:
        said.append(f"others kept {found.others:.2f} of {found.cpus} CPUs busy")
    return "; ".join(said) or "not told"


def models(report: CompareReport) -> Section | Absent:
    """Which files were timed, so that they can be found again."""
    timed = [one for one in report.timed if one.sha256 and not one.control]
    title = "What was timed"
    if not timed:
        return Absent(title, "this report is of before the SHA-256 of models was kept")
    text = "The SHA-256 of each file as it was timed: weights that lay beside a graph are in it."
    rows = tuple(
        (one.name, Cell(one.source, code=True), Cell(one.sha256, code=True)) for one in timed
    )
    table = Table("Models", ("variant", "from", "SHA-256"), rows)
    return Section("models", title, (text,), tables=(table,))


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
    """How it was called, the machine in kind, and versions."""
    given = {"command": report.command} if report.command else {}
    rows = tuple(
        (name, Cell("none found" if value is None else str(value), code=True))
        for name, value in {**given, **report.environment}.items()
    )
    table = Table("Command, processor, system and versions", ("what", "value"), rows)
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
            "should hold 1; its width shows what this machine can tell apart.",
        ),
        (
            "Unsteady",
            "The A/A control does not lie wholly inside "
            f"{1 - STEADY:g} to {1 + STEADY:g}, or other processes took the CPUs that were timed, "
            "or the GPU's clock moved. The figures are shown, and none is to be quoted.",
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
