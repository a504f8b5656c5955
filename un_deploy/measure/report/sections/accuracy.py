"""The section on accuracy: how far each variant is from float64."""

from __future__ import annotations

from un_deploy.measure import wording
from un_deploy.measure.report.page_elements import Absent, Cell, Section, Table
from un_deploy.measure.speed.accuracy import FLOAT64
from un_deploy.measure.speed.compare_report import CompareReport


def section(report: CompareReport) -> Section | Absent:
    """The worst output of every variant."""
    title = "Accuracy"
    points = sorted((report, *report.sweep), key=lambda one: one.batch or 0)
    if not any(one.accuracy for one in points):
        return Absent(title, "this report holds none")
    text: tuple[str, ...] = (
        "How far each variant, in this backend, is from its network in float64: max |found - "
        "expected| / max |expected|, over all entries of all outputs. LN is held against LN; UN, "
        "folded or not, against the unfolded graph where there is one. No norm computes something "
        "else and is only timed.",
    )
    of_all = [one for point in points for one in point.accuracy]
    plans = any(one.against != FLOAT64 for one in of_all if one.error is not None)
    if plans:
        text = (*text, "A plan has no graph: what it is held against stands in its row.")
    unjudged = dict.fromkeys(one.against for one in of_all if one.error is None)
    text = (*text, *(f"Not judged: {reason}." for reason in unjudged))
    several = len(points) > 1
    rows = tuple(
        (
            wording.variant(one.kind, one.form),
            *((wording.point(report),) if several else ()),
            Cell(one.output, code=True),
            "not judged" if one.error is None else f"{one.error:.2e}",
            *(("" if one.error is None else one.against,) if plans else ()),
        )
        for report in points
        for one in report.accuracy
    )
    columns = ("variant", *(("at",) if several else ()), "worst output", ">error")
    table = Table("Error against float64", columns, rows)
    if plans:
        table = Table("Error", (*columns, "held against"), rows)
    return Section("accuracy", title, text, tables=(table,))
