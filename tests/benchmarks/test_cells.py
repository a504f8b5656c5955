"""What the GPU suite measures, and in which order."""

from __future__ import annotations

import pytest

from benchmarks.gpu.cells import BEST, VARIANTS, Cell, Series, extra, large, small
from benchmarks.gpu.networks import LARGE


def positions(cells: tuple[Cell, ...], **wanted: object) -> list[int]:
    return [n for n, cell in enumerate(cells) if wanted.items() <= vars(cell).items()]


def test_the_most_valuable_comes_first() -> None:
    series, cells = large(), large()[0].cells
    titles = ["half precision", "compiled", "attention in its parts", "other precisions"]
    assert [one.title for one in series] == titles
    assert [one.until for one in series] == sorted(one.until for one in series)
    assert tuple(cell.network for cell in cells[: len(BEST)]) == BEST
    assert cells[0] == Cell("vit_small", 1, "float16", "cuda-graph")
    early, late = (
        [n for b in two for n in positions(cells, batch=b)] for two in ((1, 32), (8, 128))
    )
    assert max(early) < min(late)
    for batch in (1, 8, 32, 128):
        captured = positions(cells, mode="cuda-graph", batch=batch)
        assert max(captured) < min(positions(cells, mode="eager", batch=batch))


def test_the_map_has_every_network_batch_and_mode_once() -> None:
    cells = large()[0].cells
    assert len({cell.key for cell in cells}) == len(cells) == len(LARGE) * 4 * 2
    assert all(cell.variants == tuple(VARIANTS) for cell in cells)


@pytest.mark.parametrize("series", [large(), extra(), small(compiled=True)])
def test_keys_are_unique(series: tuple[Series, ...]) -> None:
    keys = [cell.key for one in series for cell in one.cells]
    assert len(set(keys)) == len(keys)


def test_ln_and_no_norm_are_entered_twice() -> None:
    entries = Cell("vit_small", 1, "float16", "eager", ("ln", "folded", "none")).entries()
    assert entries == ("ln", "folded", "none", "ln, again", "none, again")
