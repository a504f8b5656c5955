"""The section on memory says what was counted, and why where nothing was."""

from __future__ import annotations

from dataclasses import replace

from tests.support.reports import full_report
from un_deploy.measure.report.page_elements import Section
from un_deploy.measure.report.sections import memory


def texts(why: str) -> tuple[str, ...]:
    """Of a report whose other batch sizes have no figures, for a reason."""
    report = full_report()
    sweep = tuple(
        replace(point, timed=tuple(replace(one, memory=why) for one in point.timed))
        for point in report.sweep
    )
    found = memory.section(replace(report, sweep=sweep))
    assert isinstance(found, Section)
    return tuple(map(str, found.text))


def test_the_reason_is_told_where_there_is_one() -> None:
    assert "Where none is told: the profile has no sizes." in texts("the profile has no sizes")


def test_nothing_is_said_where_an_older_report_has_no_reason() -> None:
    assert not [text for text in texts("") if text.startswith("Where none is told")]


def test_an_older_report_does_not_say_what_its_figures_count() -> None:
    report = full_report()
    timed = tuple(replace(one, memory="") for one in report.timed)
    assert any(one.peak_bytes is not None for one in timed)
    found = memory.section(replace(report, timed=timed, sweep=()))
    assert isinstance(found, Section)
    assert "weights and inputs: the report does not say how it was counted." in str(found.text[0])
