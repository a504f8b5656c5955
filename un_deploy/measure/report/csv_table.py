"""Reports as CSV: a row for each ratio at each batch size, and for each A/A control."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO

from un_deploy.measure import wording
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant_times import Ratio

Cells = dict[str, str | int | float | None]


def written(reports: Sequence[tuple[str, CompareReport]]) -> str:
    """The table, with a head; lines end in one newline.

    Figures are as exact as they are kept. An interval that says nothing is left empty, as is what
    a report does not hold. What would begin a formula in a spreadsheet is quoted.

    Args:
        reports: the name of each, such as its file's, and the report.
    """
    rows = [
        _row(name, point, ratio)
        for name, report in reports
        for point in (report, *report.sweep)
        for ratio in (*point.ratios, point.control)
    ]
    text = StringIO()
    table = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    table.writeheader()
    table.writerows({name: _safe(cell) for name, cell in row.items()} for row in rows)
    return text.getvalue()


def _row(name: str, report: CompareReport, ratio: Ratio) -> Cells:
    interval, control = ratio.interval, report.control.interval
    is_control = ratio is report.control
    first = [one for one in report.timed if (one.kind, one.form) == (ratio.of, ratio.form)]
    second = [
        one
        for one in report.timed
        if (one.kind, one.form) == (ratio.to, ratio.to_form) and not one.control
    ]
    of = next((one for one in first if one.control == is_control), None)
    to = next(iter(second), None)
    return {
        "report": name,
        "date": report.date,
        "un_deploy": str(report.environment.get("un-deploy") or ""),
        "runtime": report.runtime or report.backend,
        "device": report.device,
        "precision": report.computed_in,
        "threads": report.threads,
        "batch": report.batch,
        "steady": "no" if report.unsteady else "yes",
        "time_of": wording.variant(ratio.of, ratio.form),
        "over": "itself" if is_control else wording.variant(ratio.to, ratio.to_form),
        "ratio": interval.ratio,
        "low": None if interval.too_few else interval.low,
        "high": None if interval.too_few else interval.high,
        "confidence": interval.confidence,
        "builds": interval.builds,
        "rounds": interval.rounds,
        "says": "" if is_control else wording.verdict(ratio, steady=not report.unsteady),
        "control_low": None if control.too_few else control.low,
        "control_high": None if control.too_few else control.high,
        "time_of_ms": None if of is None else 1e3 * of.median_s,
        "over_ms": None if to is None else 1e3 * to.median_s,
        "time_of_per_s": None if of is None else report.throughput(of),
        "over_per_s": None if to is None else report.throughput(to),
        "time_of_sha256": "" if of is None else of.sha256,
        "over_sha256": "" if to is None else to.sha256,
    }


def _safe(cell: str | int | float | None) -> str | int | float | None:
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell
