"""Several reports on one page: in the order of their dates, each kind of measurement by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.page import Page
from tests.support.reports import HOSTILE, dated, full_report, report, restless
from un_deploy.measure.report.html import written
from un_deploy.measure.report.over_time import Named, contents
from un_deploy.measure.speed.compare_report import CompareReport
from un_deploy.measure.speed.variant import Kind

pytest.importorskip("plotly")
pytest.importorskip("jinja2")

OLDER = sorted((Path(__file__).parents[3] / "benchmarks/results/compare").glob("vit_*.json"))


def gaining(ln: float, date: str, seed: int = 0) -> CompareReport:
    """A report in which LN takes so many times as long as UN folded."""
    medians: dict[Kind, float] = {"ln": ln, "folded": 1.0, "none": 1.0}
    return dated(report(medians=medians, seed=seed), date)


MARCH, APRIL, MAY = (
    ("march.json", gaining(1.08, "2026-03-02T08:15:00+00:00")),
    ("april.json", gaining(1.08, "2026-04-02T08:15:00+00:00", seed=1)),
    ("may.json", gaining(1.05, "2026-05-02T08:15:00+00:00", seed=2)),
)


def shown(*reports: Named) -> Page:
    return Page(written(contents(reports)))


def test_the_dates_give_the_order() -> None:
    page = shown(MAY, MARCH, APRIL)
    assert "3 reports, 2026-03-02 08:15 UTC to 2026-05-02 08:15 UTC." in page.text
    (title,) = (name for name in page.tables if name.startswith("Reports: "))
    assert title == "Reports: ort-cpu on cpu, threads: 1, pixel_values 8x3x32x32"
    rows = page.tables[title]
    assert [row[0] for row in rows[1:]] == ["march.json", "april.json", "may.json"]
    found = MARCH[1].ratio("ln", "folded")
    assert rows[1][2:4] == [
        f"{found.ratio:.3f}|LN / UN folded", f"{found.low:.3f} to {found.high:.3f}"
    ]  # fmt: skip
    line = page.plots["plot-series-1"]["data"][0]
    assert line["x"] == ["2026-03-02", "2026-04-02", "2026-05-02"]
    assert line["y"] == [one.ratio("ln", "folded").ratio for _, one in (MARCH, APRIL, MAY)]


def test_a_change_is_told_where_both_intervals_show_it() -> None:
    assert "the two are not told apart." in shown(MARCH, APRIL).text
    assert ": lower, beyond both intervals." in shown(MARCH, APRIL, MAY).text
    up = shown(MAY, ("june.json", gaining(1.08, "2026-06-02T08:15:00+00:00")))
    assert ": higher, beyond both intervals." in up.text


def test_what_is_unsteady_is_hollow_and_says_nothing_of_a_change() -> None:
    page = shown(MARCH, (MAY[0], restless(MAY[1])))
    assert "; 1 of them unsteady." in page.text
    assert "there are no two steady reports to compare." in page.text
    for line in page.plots["plot-series-1"]["data"]:
        assert [symbol.endswith("-open") for symbol in line["marker"]["symbol"]] == [False, True]
    (rows,) = (rows for name, rows in page.tables.items() if name.startswith("Reports: "))
    assert rows[2][4:6] == ["unsteady", "0.970 to 1.020|unsteady"]


def test_each_batch_size_and_backend_is_a_series() -> None:
    later = dated(full_report(seed=3), "2026-07-01T00:00:00+00:00")
    other = replace(APRIL[1], backend="torch")
    page = shown(("a", full_report()), ("b", later), ("c", other))
    found = [len(page.plots[name]["data"][0]["x"]) for name in page.plots]
    assert found == [2, 2, 2, 1]  # batch 8, 16, 32; torch


def test_reports_of_one_day_are_told_by_the_minute_and_of_one_minute_by_number() -> None:
    again = gaining(1.08, "2026-03-02T09:00:00+00:00")
    page = shown(MARCH, ("again", again), ("and again", again))
    assert page.plots["plot-series-1"]["data"][0]["x"] == [
        "2026-03-02 08:15", "2026-03-02 09:00 (2)", "2026-03-02 09:00 (3)"
    ]  # fmt: skip


def test_reports_of_an_older_form_stand_by_their_names_in_the_order_given() -> None:
    reports = [(path.stem, CompareReport.read(path)) for path in OLDER]
    page = shown(*reports, ("twice", reports[0][1]))
    assert ("h1", "5 reports.") in page.headings
    assert page.plots["plot-series-1"]["data"][0]["x"] == ["vit_micro_ort-cpu", "twice"]
    assert "cpu AMD EPYC" in page.text[page.text.index("Alike in all reports:") :]


def test_what_differs_between_machines_is_a_table() -> None:
    newer = replace(MAY[1], environment={**MAY[1].environment, "torch": "2.14"})
    page = shown(MARCH, (MAY[0], newer))
    assert page.tables["What differs"] == [
        ["report", "torch"], ["march.json", "none"], ["may.json", "2.14"]
    ]  # fmt: skip


def test_hostile_names_stay_names() -> None:
    undated = replace(report(), inputs={HOSTILE: (8, 3)}, environment={"cpu": HOSTILE})
    page = shown((HOSTILE, undated), ("b", undated))
    assert page.text.count(HOSTILE) > 3
    assert len(page.all("script")) == 3 and not page.all("img")
    assert "<" not in page.plots["plot-series-1"]["data"][0]["x"][0].replace("<br>", "")
