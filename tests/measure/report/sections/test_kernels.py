"""Two engines' kernels side by side."""

from __future__ import annotations

from dataclasses import replace

from tests.support.reports import LINEAR, NORM, OUT, engine, report
from un_deploy.measure.report.page_elements import Absent, Section
from un_deploy.measure.report.sections import kernels


def test_the_table_says_in_words_what_its_colours_mean() -> None:
    engines = (engine("ln", NORM, LINEAR, OUT), engine("folded", LINEAR, OUT))
    section = kernels.section(replace(report(), engines=engines))
    assert isinstance(section, Section)
    (table,) = section.tables
    assert [row[0] for row in table.rows] == ["only LN", "same", "same"]
    assert table.marks == ("bad", "", "")
    assert table.cells[0][1].small == "/blocks.0/norm1/LayerNormalization"
    assert table.cells[0][2].text == "6,400"
    assert "3 kernels of LN beside 2 of UN folded" in section.text[0]
    assert "2 of the same kind" in section.text[0] and "1 only in LN" in section.text[0]


def test_one_engine_alone_has_nothing_beside_it() -> None:
    section = kernels.section(replace(report(), engines=(engine("folded", OUT),)))
    assert isinstance(section, Absent)
