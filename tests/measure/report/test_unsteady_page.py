"""What the page says of a machine that was not steady, and of too few builds."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.support.page import Page
from tests.support.reports import dated, full_report, report, restless
from un_deploy.measure.report.html import page

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


@pytest.mark.parametrize(
    ("low", "high", "steady"),
    [(0.991, 1.009, True), (0.989, 1.001, False), (0.999, 1.0101, False), (1.02, 1.03, False)],
)
def test_an_unsteady_report_has_no_headline(low: float, high: float, steady: bool) -> None:
    shown = Page(page(restless(report(), low=low, high=high)))
    (headline,) = (text for tag, text in shown.headings if tag == "h1")
    assert ("LN takes 1.0" in headline) == steady
    top = shown.text[: shown.text.index("Ratios of the times")]
    assert ("takes" in top) == steady  # nor a figure in the lines below it
    if not steady:
        assert headline == "Unsteady: no figure of this report is to be quoted."
        assert f"from {low:.3f} to {high:.3f}, not wholly inside 0.99 to 1.01." in top
        assert "Run it again while nothing else uses the machine" in top
    rows = shown.tables["Ratios, their intervals and the A/A control"]
    assert rows[-1][4].startswith("unsteady, ") != steady
    assert ({row[4] for row in rows[1:-1]} == {"unsteady"}) != steady
    assert ("LN is slower" in shown.text) == steady
    (ln, *_) = shown.plots["plot-ratios"]["data"]
    assert ln["marker"]["symbol"] == ("circle" if steady else "circle-open")


def test_load_and_clocks_make_a_report_unsteady_too() -> None:
    given = replace(dated(report(), "2026-03-02T08:15:00+00:00"), threads=2)
    assert "Unsteady: no figure" not in Page(page(given)).text
    assert given.conditions is not None
    busy = replace(given, conditions=replace(given.conditions, others=0.9))
    text = Page(page(busy)).text
    assert "Unsteady: no figure of this report is to be quoted." in text
    assert "Other processes kept 0.9 of 2 CPUs busy meanwhile, and 2 were timed." in text


def test_another_batch_size_may_be_unsteady_alone() -> None:
    full = full_report()
    sweep = (full.sweep[0], restless(full.sweep[1]))
    text = Page(page(replace(full, sweep=sweep))).text
    assert "At batch 8: UN folded is faster than LN" in text
    assert "At batch 16: UN folded is faster than LN" in text
    assert "At batch 32: unsteady, and not to be quoted." in text
    assert "Caution. At batch 32 the machine was unsteady: the A/A control" in text


def test_two_builds_of_four_rounds_print_no_interval() -> None:
    shown = Page(page(report(builds=2, rounds=4)))
    needed = "2 builds are too few for an interval: it takes 3 builds or more (5 are the default)"
    assert f"Nobody knows how steady the machine was: {needed}." in shown.text
    assert "Run it again with as many builds as it takes." in shown.text
    assert "nothing else uses the machine" not in shown.text
    assert f"No interval is shown: {needed}." in shown.text
    rows = shown.tables["Ratios, their intervals and the A/A control"][1:]
    assert {row[3] for row in rows} == {"no interval"}
    assert {row[4] for row in rows} == {"too few builds"}
    plot = shown.plots["plot-ratios"]
    assert {(*one["error_x"]["array"], *one["error_x"]["arrayminus"]) for one in plot["data"]} == {
        (0, 0)
    }
    assert not re.search(r"\d\.\d{3} to \d", shown.text)


def test_a_restless_machine_and_a_single_build_are_warned_of() -> None:
    assert "Caution. One build only" in Page(page(report(builds=1))).text
    text = Page(page(restless(report(), low=1.002, high=1.004))).text
    assert "Caution. The A/A control differs from itself, 1.002 to 1.004: so small" in text
    assert "does not hold 1" in text and "Unsteady:" not in text


@pytest.mark.parametrize("busy", [False, True])
def test_too_few_rounds_are_no_reason_to_leave_the_machine_alone(busy: bool) -> None:
    few = dated(report(builds=1, rounds=2), "2026-03-02T08:15:00+00:00")
    if busy:
        assert few.conditions is not None
        few = replace(few, conditions=replace(few.conditions, others=1.9))
    text = Page(page(few)).text
    assert ("Run it again with as many rounds or builds as it takes." in text) != busy
    assert ("Run it again while nothing else uses the machine" in text) == busy
