"""Two engines' kernels side by side."""

from __future__ import annotations

from dataclasses import replace

from tests.support.reports import LINEAR, NORM, OUT, engine, kernel, report
from un_deploy.measure.report import kernels
from un_deploy.measure.report.parts import Absent, Section


def test_what_fuses_the_same_stands_in_one_row_whatever_the_nodes_are_called() -> None:
    renamed = replace(LINEAR, onnx_nodes=("other",))
    rows = list(kernels.aligned([NORM, LINEAR, NORM, OUT], [renamed, OUT]))
    assert rows == [(NORM, None), (LINEAR, renamed), (NORM, None), (OUT, OUT)]


def test_what_fuses_other_things_in_the_same_place_stands_in_one_row() -> None:
    longer = kernel("kgen TranConcAddMean", "cat", "norm")
    shorter = kernel("kgen TranConcAdd", "cat")
    assert list(kernels.aligned([longer, LINEAR], [shorter, LINEAR])) == [
        (longer, shorter),
        (LINEAR, LINEAR),
    ]


def test_no_kernel_is_lost_and_none_changes_its_place() -> None:
    left = [NORM, LINEAR, OUT, NORM, LINEAR, NORM] * 70  # beyond difflib's own shortcut
    right = [LINEAR, OUT, LINEAR] * 70
    rows = list(kernels.aligned(left, right))
    assert [one for one, _ in rows if one is not None] == left
    assert [one for _, one in rows if one is not None] == right
    pairs = [(a.what, b.what) for a, b in rows if a is not None and b is not None]
    assert len(pairs) == len(right) and all(a == b for a, b in pairs)


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
