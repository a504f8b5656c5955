"""A report as CSV: figures as exact as they were kept, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO

from tests.support.reports import dated, full_report, report, restless
from un_deploy.measure.report.csv_table import written
from un_deploy.measure.speed.compare_report import CompareReport


def rows_of(*reports: tuple[str, CompareReport]) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(written(reports))))


def test_a_row_for_each_ratio_and_control_at_each_batch_size() -> None:
    given = full_report()
    rows = rows_of(("a.json", given))
    pairs = [("LN", "UN folded"), ("UN unfolded", "UN folded"), ("LN", "UN unfolded")]
    pairs += [("UN folded", "no norm"), ("UN folded", "itself")]
    assert [(row["time_of"], row["over"]) for row in rows] == 3 * pairs
    assert [row["batch"] for row in rows[::5]] == ["8", "16", "32"]
    found, first = given.ratio("ln", "folded"), rows[0]
    figures = ("ratio", "low", "high")
    assert [float(first[key]) for key in figures] == [getattr(found, key) for key in figures]
    assert float(first["time_of_ms"]) == 1e3 * given.timed[0].median_s
    assert float(first["over_per_s"]) == 8 / given.timed[2].median_s
    assert (first["date"], first["report"]) == ("2026-03-02T08:15:00+00:00", "a.json")
    assert first["time_of_sha256"] == given.timed[0].sha256 != ""
    assert float(rows[4]["time_of_ms"]) == 1e3 * given.timed[-1].median_s  # entered again


def test_what_is_unsteady_and_what_has_no_interval() -> None:
    rows = rows_of(
        ("steady", report()), ("unsteady", restless(report())), ("two", report(builds=2, rounds=4))
    )
    assert [row["steady"] for row in rows[::5]] == ["yes", "no", "no"]
    assert {row["says"] for row in rows[5:9]} == {"unsteady"} and "slower" in rows[0]["says"]
    assert (rows[5]["control_low"], rows[5]["control_high"]) == ("0.97", "1.02")
    assert {row[end] for row in rows[10:] for end in ("low", "high", "control_low")} == {""}
    assert {row["says"] for row in rows[10:14]} == {"too few builds"}
    assert all(float(row["ratio"]) > 0.9 for row in rows[10:])


def test_a_name_is_no_formula() -> None:
    given = replace(report(), runtime='=HYPERLINK("x")')
    given = replace(given, ratios=tuple(replace(one, form="@sum, \n") for one in given.ratios))
    rows = rows_of(("+1", given), ("-2", dated(report(), "")))
    assert (rows[0]["report"], rows[5]["report"]) == ("'+1", "'-2")
    assert rows[0]["runtime"] == '\'=HYPERLINK("x")'
    assert rows[0]["time_of"] == "LN, @sum, \n"
