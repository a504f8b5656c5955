"""Several reports on one page: how ratios and times went from one to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from un_deploy.measure import wording
from un_deploy.measure.report import plot_style
from un_deploy.measure.report.page_elements import Cell, Contents, Headline, Section, Table
from un_deploy.measure.report.sections.ratio_lines import ratio_lines
from un_deploy.measure.report.sections.summary import when
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import TITLES
from un_deploy.measure.speed.variant_times import Ratio

Named = tuple[str, CompareReport]


def contents(reports: Sequence[Named]) -> Contents:
    """Of reports with their names, such as those of their files.

    They stand in the order of their dates; where one has none, in the order in which they are
    given. What was measured on another backend or device, in another precision or on other inputs
    is a series of its own, as each batch size is.

    Raises:
        MissingPackageError: plotly is not installed.
    """
    if all(report.date for _, report in reports):
        reports = sorted(reports, key=lambda one: one[1].date)
    series: dict[tuple[object, ...], list[Named]] = {}
    for name, report in reports:
        for one in (report, *report.sweep):
            point = replace(one, date=one.date or report.date)
            inputs = tuple(sorted(point.inputs.items()))
            key = (point.backend, point.device, point.computed_in, point.threads, inputs)
            series.setdefault(key, []).append((name, point))
    shown = [(_title(found[0][1]), found) for found in series.values()]
    unsteady = sum(any(one.unsteady for one in (r, *r.sweep)) for _, r in reports)
    ends = reports[0][1], reports[-1][1]
    dates = dict.fromkeys(when(report) for report in ends)
    span = f", {' to '.join(dates)}" if all(report.date for report in ends) else ""
    doubt = f"; {unsteady} of them unsteady" if unsteady else ""
    return Contents(
        title="LN, UN and no norm over time",
        about=f"{len(reports)} comparisons of LN, UN unfolded, UN folded and no norm",
        headline=Headline(
            f"{len(reports)} reports{span}{doubt}.",
            "muted",
            tuple(f"{title}: {_went(found)}" for title, found in shown),
            (),
        ),
        summary=(),
        sections=(
            *(_section(number, *one) for number, one in enumerate(shown, 1)),
            _machines(reports),
        ),
        version=str(reports[-1][1].environment.get("un-deploy")),
    )


def _title(report: CompareReport) -> str:
    precision = f", {report.computed_in}" if report.tells_precision else ""
    threads = f", threads: {report.threads}" if report.threads else ""
    shapes = "; ".join(f"{name} {'x'.join(map(str, s))}" for name, s in report.inputs.items())
    return f"{report.backend} on {report.device or 'a GPU'}{precision}{threads}, {shapes}"


def _main(report: CompareReport) -> Ratio | None:
    return wording.found(report, "ln", "folded") or next(iter(report.ratios), None)


def _went(found: Sequence[Named]) -> str:
    """From the first steady report to the last, judged as --against does: by both intervals."""
    steady = [
        (when(one) if one.date else name, ratio)
        for name, one in found
        if not one.unsteady and (ratio := _main(one))
    ]
    if len(steady) < 2:
        return "there are no two steady reports to compare."
    (first, then), (last, now) = steady[0], steady[-1]
    pair = f"{TITLES[now.of]} over {TITLES[now.to]}"
    if (then.of, then.to) != (now.of, now.to):
        return "the first and the last steady report have no ratio in common."
    told = (
        f"{pair} was {wording.numbers(then.interval)[0]} ({wording.span(then.interval)}, "
        f"{first}) and is {wording.numbers(now.interval)[0]} "
        f"({wording.span(now.interval)}, {last})"
    )
    if now.interval.low > then.interval.high:
        return f"{told}: higher, beyond both intervals."
    if now.interval.high < then.interval.low:
        return f"{told}: lower, beyond both intervals."
    return f"{told}: the two are not told apart."


def _section(number: int, title: str, found: Sequence[Named]) -> Section:
    labels = _labels(found)
    plot = ratio_lines(
        [(label, one) for label, (_, one) in zip(labels, found, strict=True)],
        name=f"plot-series-{number}",
        says=f"Ratios with intervals of {len(found)} reports; the table below has the figures.",
        caption="The line at 1 means equal; above it the first of the pair is slower. Reports "
        "stand side by side, whatever time lies between them.",
    )
    return Section(f"series-{number}", title, plots=(plot,), tables=(_table(title, found),))


def _labels(found: Sequence[Named]) -> list[str]:
    """The day of each, the minute where a day has several, or the name where there is no date."""
    days = Counter(one.date[:10] for _, one in found)
    told = [
        plot_style.label(
            (when(one)[:-4] if days[one.date[:10]] > 1 else one.date[:10]) if one.date else name
        )
        for name, one in found
    ]
    twice = Counter(told)
    return [f"{text} ({n})" if twice[text] > 1 else text for n, text in enumerate(told, 1)]


def _table(title: str, found: Sequence[Named]) -> Table:
    digits = max(wording.decimals(one) for _, one in found)
    rows: list[tuple[str | Cell, ...]] = []
    for name, one in found:
        ratio = _main(one)
        control = wording.span(one.control.interval)
        folded = next((t for t in one.timed if t.kind == "folded" and not t.control), None)
        rows.append(
            (
                Cell(name, code=True),
                when(one).removesuffix(" UTC"),
                *_ratio(ratio, steady=not one.unsteady),
                Cell(control, "bad", small="unsteady") if one.unsteady else Cell(control, "muted"),
                "" if folded is None else f"{1e3 * folded.median_s:.{digits}f}",
                Cell("" if folded is None else folded.sha256[:12], code=True),
            )
        )
    columns = (
        *("report", "measured (UTC)", ">ratio", ">interval", "says", ">A/A control"),
        *(">UN folded, ms", "its SHA-256"),
    )
    return Table(f"Reports: {title}", columns, tuple(rows))


def _ratio(ratio: Ratio | None, *, steady: bool) -> tuple[str | Cell, str, str]:
    if ratio is None:
        return "", "", ""
    number = Cell(wording.numbers(ratio.interval)[0], small=wording.pair(ratio))
    return number, wording.span(ratio.interval), wording.verdict(ratio, steady=steady)


def _machines(reports: Sequence[Named]) -> Section:
    """What each ran on, where they are not all alike in it."""
    keys = dict.fromkeys(key for _, report in reports for key in report.environment)
    told = {
        key: [str(report.environment.get(key) or "none") for _, report in reports] for key in keys
    }
    differ = {key: values for key, values in told.items() if len(set(values)) > 1}
    alike = ", ".join(f"{key} {values[0]}" for key, values in told.items() if key not in differ)
    rows = tuple(
        (Cell(name, code=True), *(Cell(values[number], code=True) for values in differ.values()))
        for number, (name, _) in enumerate(reports)
    )
    tables = (Table("What differs", ("report", *differ), rows),) if differ else ()
    text = f"Alike in all reports: {alike}." if alike else "Nothing is alike in all reports."
    return Section("machines", "Machines and versions", (text,), tables=tables)
