"""A report as Markdown: what the page says, without plots, and nothing in it taken for markup."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.support.reports import HOSTILE, full_report, report, restless
from un_deploy.measure.report.contents import contents
from un_deploy.measure.report.markdown import written

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


def test_the_answer_the_tables_and_how_it_was_measured() -> None:
    given = full_report()
    text = written(contents(given))
    lines = text.splitlines()
    found = given.ratio("ln", "folded")
    assert lines[0].startswith("# At batch 8: UN folded is faster than LN: LN takes")
    row = f"| LN | UN folded | {found.ratio:.3f} | {found.low:.3f} to {found.high:.3f} | LN is"
    assert any(line.startswith(row) for line in lines)
    assert "- measured: 2026-03-02 08:15 UTC" in lines
    assert "| time of | over | ratio | 98 % interval | says |" in lines
    assert lines[lines.index("| time of | over | ratio | 98 % interval | says |") + 1] == (
        "| :-- | :-- | --: | --: | :-- |"
    )
    assert given.timed[0].sha256 in text
    assert "Kernels, ONNX nodes" not in text  # what a page keeps closed


def test_an_unsteady_report_begins_with_the_word() -> None:
    text = written(contents(restless(report())))
    assert text.startswith(
        "# Unsteady: no figure of this report is to be quoted.\n\n> **Caution.**"
    )


def test_every_table_has_as_many_cells_in_each_row() -> None:
    given = full_report()
    named = replace(given, timed=(replace(given.timed[0], source="a|b\n|c"), *given.timed[1:]))
    block: list[int] = []
    for line in [*written(contents(named)).splitlines(), ""]:
        if line.startswith("|"):
            block.append(len(re.findall(r"(?<!\\)\|", line)))
        else:
            assert len(set(block)) <= 1
            block = []


def test_hostile_names_are_text() -> None:
    given = full_report()
    name = f"{HOSTILE} [x](http://evil) `code` *bold* # head"
    hostile = replace(
        given,
        timed=(replace(given.timed[0], source=name, form=name), *given.timed[1:]),
        notes=(name,),
        environment={name: name, "cpu": name},
        missing={"ln": name},
        command=name,
    )
    text = written(contents(hostile))
    assert text.count("evil") >= 5
    assert not re.search(r"(?<!\\)[<>`\[\]]", re.sub(r"^> ", "", text, flags=re.MULTILINE))
