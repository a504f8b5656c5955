"""What the GPU suite measures, and in which order."""

from __future__ import annotations

import pytest

from benchmarks.gpu import cells as cells_module
from benchmarks.gpu.cells import ALL, BASELINES, BEST, Cell, extra, large, small
from benchmarks.gpu.networks import LARGE, NETWORKS, WANTED, Network
from benchmarks.gpu.suite import PREPARE_SHARE, RESERVE_S
from models.vit import vit_small


def test_the_most_valuable_comes_first() -> None:
    half, *others = large()
    titles = [one.title for one in others]
    own = "the paper's networks"
    assert titles == [own, "compiled", "attention in its parts", "other precisions"]
    untils = [one.until for one in (half, *others)]
    assert untils == sorted(untils) and untils[-1] <= 1
    assert tuple(cell.network for cell in half.cells[: len(BEST)]) == BEST
    assert half.cells[0] == Cell("vit_small", 1, "float16", "cuda-graph")
    places = [(cell.batch > 1 and cell.batch != 32, cell.mode) for cell in half.cells]
    order = [(False, "cuda-graph"), (False, "eager"), (True, "cuda-graph"), (True, "eager")]
    assert list(dict.fromkeys(places)) == order and places == sorted(places)


def test_the_map_has_every_network_batch_and_mode_once() -> None:
    cells = large()[0].cells
    gave_way = extra()[-1].cells
    assert [(cell.batch, cell.mode) for cell in gave_way] == [(128, "eager")] * len(LARGE)
    keys = {cell.key for cell in (*cells, *gave_way)}
    assert len(keys) == len(cells) + len(gave_way) == len(LARGE) * 4 * 2
    assert all(cell.variants == ALL for cell in (*cells, *gave_way))
    for series in (large(), extra(), small(compiled=True)):
        keys = [cell.key for one in series for cell in one.cells]
        assert len(set(keys)) == len(keys)


def test_ln_and_no_norm_are_entered_twice() -> None:
    entries = Cell("vit_small", 1, "float16", "eager", ("ln", "folded", "none")).entries()
    assert entries == ("ln", "folded", "none", "ln, again", "none, again")


def test_all_cells_fit_into_nine_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every network of the paper's, behind what preparing may take and before the report."""
    for name in WANTED:
        monkeypatch.setitem(NETWORKS, name, Network(vit_small, 40))
    monkeypatch.setattr(cells_module, "PAPER", WANTED)
    cells = [cell for one in large() for cell in one.cells]
    assert [cell.network for cell in cells if cell.network in WANTED] == [*WANTED, *WANTED]
    assert all(0.5 < cell.seconds < 40 for cell in cells)
    assert sum(cell.seconds for cell in cells) < 540 * (1 - PREPARE_SHARE) - RESERVE_S


def test_the_other_norms_are_in_one_cell() -> None:
    cells = [cell for one in large() for cell in one.cells]
    (place,) = [cell for cell in cells if set(BASELINES) & set(cell.variants)]
    assert place.key == "vit_base batch 32 float16 compile"
    assert place.variants == ("ln", "un", "folded", "none", *BASELINES)


def test_what_a_cell_takes() -> None:
    """A hundred samples of each entry: of 2 ms, or of a run of 2 * 87e6 * 196 * 128 operations."""
    captured = Cell("vit_base", 1, "float16", "cuda-graph", ("ln", "folded", "none"))
    assert captured.seconds == pytest.approx(0.6 + 100 * 5 * 0.002)
    large_one = Cell("vit_base", 128, "float16", "cuda-graph", ("ln", "folded", "none"))
    run_s = 2 * 87e6 * 196 * 128 / 3e14
    assert large_one.seconds == pytest.approx(0.6 + 100 * 5 * run_s)
