"""The section of the layers' times: its figures are the report's, and it names what is in none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.reports import LAYER_NORM, LAYERS, full_report, layer, layers, report
from un_deploy.measure.report.page_elements import Absent, Section
from un_deploy.measure.report.sections import layer_times as module
from un_deploy.measure.speed.layers.variant_layers import GROUPS

pytest.importorskip("plotly")


def test_bars_and_table_are_the_groups_of_every_variant() -> None:
    given = full_report()
    groups, beside = module.sections(given)
    assert isinstance(groups, Section)
    assert isinstance(beside, Section)
    (table,), (plot,) = groups.tables, groups.plots
    columns = ("layers", ">LN", ">UN unfolded", ">UN folded", ">no norm", ">LN less UN folded")
    assert table.columns == columns
    there = [group for group in GROUPS if group != "elementwise"]  # no layer is in that one
    *bars, runs = plot.figure["data"]
    assert len(bars) == len(there)
    for row, bar, group in zip(table.cells, bars, there, strict=False):
        times = [1e3 * one.groups_s[group] for one in given.layers]
        assert bar["x"] == times
        assert [cell.text for cell in row[1:5]] == [f"{time:.4f}" for time in times]
        assert row[5].text == f"{times[0] - times[2]:+.4f}"
    assert runs["x"] == [1.08, 1.05, 1.0, 1.0]
    rows = {row[0].text: row for row in table.cells}
    assert [cell.text for cell in rows["normalization"]][1:] == [
        *("0.0700", "0.0450", "0.0000", "0.0000", "+0.0700")
    ]
    assert rows["normalization"][1].small == "6.9\N{NO-BREAK SPACE}%"
    assert [cell.text for cell in rows["all layers"]][1:] == [
        *("1.0208", "0.9957", "0.9507", "0.9507", "+0.0700")
    ]
    assert rows["a whole run, not profiled"][5].text == "+0.0800"
    assert rows["number of layers"][5].text == "+1"


def test_what_is_in_no_group_is_named_in_its_row() -> None:
    groups, _ = module.sections(full_report())
    assert isinstance(groups, Section)
    row = next(r for r in groups.tables[0].cells if r[0].text == GROUPS["other"])
    assert row[0].small == "ReduceMean"
    assigned = [one for one in LAYERS if one.group != "other"]
    groups, _ = module.sections(
        replace(report(), layers=(layers("ln", *assigned), layers("folded", *assigned)))
    )
    assert isinstance(groups, Section)
    assert GROUPS["other"] not in [row[0].text for row in groups.tables[0].cells]


def test_the_hatch_leaves_the_colour_to_be_seen() -> None:
    """plotly's own way is to draw the lines alone, on nothing."""
    groups, _ = module.sections(full_report())
    assert isinstance(groups, Section)
    hatched = [
        bar["marker"]
        for bar in groups.plots[0].figure["data"]
        if bar.get("marker", {}).get("pattern", {}).get("shape")
    ]
    (marker,) = hatched
    assert marker["color"] == module.COLOURS["normalization"]
    assert marker["pattern"]["fillmode"] == "overlay"


def test_the_cost_of_looking_is_said() -> None:
    costly = layer("Gemm", "products", 3000.0)
    given = replace(report(), layers=(layers("ln", costly), layers("folded", *LAYERS)))
    groups, _ = module.sections(given)
    assert isinstance(groups, Section)
    assert "their sum, here 0.95 to 2.78 times a run that is not profiled," in groups.text[1]


def test_a_run_that_is_mostly_not_in_its_layers_is_warned_of() -> None:
    almost = layer("Gemm", "products", 499.0)
    for found, warned in (((almost,), 1), (LAYERS, 0)):
        groups, _ = module.sections(replace(report(), layers=(layers("folded", *found),)))
        assert isinstance(groups, Section)
        assert len(groups.warnings) == warned


def test_layers_of_ln_beside_those_of_un_folded() -> None:
    _, beside = module.sections(full_report())
    assert isinstance(beside, Section)
    (table,) = beside.tables
    assert [row[0] for row in table.rows] == ["only LN", *["same"] * 5]
    first, second, *_, without_nodes, _ = table.cells
    assert (first[1].text, first[1].small) == ("LayerNormalization", LAYER_NORM.onnx_nodes[0])
    assert (first[2].text, first[3].text) == ("0.07000", "")
    assert second[1].text == second[3].text == "Gemm: MatMul Add"
    assert without_nodes[1].small == "Transpose_0"  # what the runtime calls it
    assert beside.closed == "Show all 6 rows"


def test_without_a_profile_it_is_said_how_to_take_one() -> None:
    (absent,) = module.sections(report())
    assert isinstance(absent, Absent)
    assert "--profile" in absent.reason


def test_without_ln_there_is_nothing_beside_and_no_difference() -> None:
    given = replace(report(), layers=(layers("folded", *LAYERS), layers("none", *LAYERS)))
    groups, beside = module.sections(given)
    assert isinstance(groups, Section)
    assert isinstance(beside, Absent)
    assert groups.tables[0].columns == ("layers", ">UN folded", ">no norm")
    assert {len(row) for row in groups.tables[0].rows} == {3}


def test_layers_that_take_no_microsecond_have_no_share() -> None:
    """ONNX Runtime counts whole ones, so of a small network all medians can be 0."""
    none_s = [replace(one, median_s=0.0) for one in LAYERS]
    groups, _ = module.sections(
        replace(report(), layers=(layers("ln", *none_s), layers("folded", *LAYERS)))
    )
    assert isinstance(groups, Section)
    ln, folded = groups.tables[0].cells[0][1:3]
    assert (ln.text, ln.small) == ("0.0000", "")
    assert folded.small.endswith("%")
