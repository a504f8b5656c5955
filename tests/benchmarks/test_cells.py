"""What the GPU suite measures, and in which order."""

from __future__ import annotations

from benchmarks.gpu.cells import BEST, VARIANTS, Cell, extra, large, small
from benchmarks.gpu.networks import LARGE


def test_the_most_valuable_comes_first() -> None:
    half, *others = large()
    titles = [one.title for one in others]
    assert titles == ["compiled", "attention in its parts", "other precisions"]
    untils = [one.until for one in (half, *others)]
    assert untils == sorted(untils) and untils[-1] <= 1
    assert tuple(cell.network for cell in half.cells[: len(BEST)]) == BEST
    assert half.cells[0] == Cell("vit_small", 1, "float16", "cuda-graph")
    places = [(cell.batch > 1 and cell.batch != 32, cell.mode) for cell in half.cells]
    order = [(False, "cuda-graph"), (False, "eager"), (True, "cuda-graph"), (True, "eager")]
    assert list(dict.fromkeys(places)) == order and places == sorted(places)


def test_the_map_has_every_network_batch_and_mode_once() -> None:
    cells = large()[0].cells
    assert len({cell.key for cell in cells}) == len(cells) == len(LARGE) * 4 * 2
    assert all(cell.variants == tuple(VARIANTS) for cell in cells)
    for series in (large(), extra(), small(compiled=True)):
        keys = [cell.key for one in series for cell in one.cells]
        assert len(set(keys)) == len(keys)


def test_ln_and_no_norm_are_entered_twice() -> None:
    entries = Cell("vit_small", 1, "float16", "eager", ("ln", "folded", "none")).entries()
    assert entries == ("ln", "folded", "none", "ln, again", "none, again")
