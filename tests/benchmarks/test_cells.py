"""What the GPU suite measures, and in which order."""

from __future__ import annotations

import pytest

from benchmarks.gpu.cells import BEST, GRAPHS, Cell, Mode, Series, imports, large, small
from benchmarks.gpu.networks import LARGE
from benchmarks.gpu.prepare import VARIANTS, Import


def positions(cells: tuple[Cell, ...], **wanted: object) -> list[int]:
    return [
        number
        for number, cell in enumerate(cells)
        if all(getattr(cell, name) == value for name, value in wanted.items())
    ]


class TestOrder:
    def test_half_precision_comes_first_and_the_other_precisions_last(self) -> None:
        series = large()
        assert [one.title for one in series] == [
            "half precision",
            "compiled",
            "attention in its parts",
            "other precisions",
        ]
        assert [one.until for one in series] == sorted(one.until for one in series)

    def test_batches_1_and_32_come_before_8_and_128(self) -> None:
        cells = large()[0].cells
        early = [n for batch in (1, 32) for n in positions(cells, batch=batch)]
        late = [n for batch in (8, 128) for n in positions(cells, batch=batch)]
        assert max(early) < min(late)

    def test_captured_comes_before_eager_at_the_same_batches(self) -> None:
        cells = large()[0].cells
        for batch in (1, 8, 32, 128):
            captured = positions(cells, mode="cuda-graph", batch=batch)
            assert max(captured) < min(positions(cells, mode="eager", batch=batch))

    def test_the_networks_of_most_interest_come_first(self) -> None:
        cells = large()[0].cells
        assert tuple(cell.network for cell in cells[: len(BEST)]) == BEST
        assert cells[0] == Cell("vit_small", 1, "float16", "cuda-graph")


class TestWhat:
    def test_the_map_has_every_network_batch_and_mode_once(self) -> None:
        cells = large()[0].cells
        assert len({cell.key for cell in cells}) == len(cells) == len(LARGE) * 4 * 2
        assert all(cell.variants == tuple(VARIANTS) for cell in cells)

    @pytest.mark.parametrize("series", [large(), large(extra=True), small(compiled=True)])
    def test_keys_are_unique(self, series: tuple[Series, ...]) -> None:
        keys = [cell.key for one in series for cell in one.cells]
        assert len(set(keys)) == len(keys)

    def test_ln_and_no_norm_are_entered_twice(self) -> None:
        entries = Cell("vit_small", 1, "float16", "eager", ("ln", "folded", "none")).entries()
        assert entries == ("ln", "folded", "none", "ln, again", "none, again")

    def test_every_cell_is_imported(self) -> None:
        for series in (large(), small(compiled=True)):
            wanted = imports(series)
            for cell in (cell for one in series for cell in one.cells):
                if cell.mode in GRAPHS:
                    continue
                assert any(
                    cell.precision == one.precision
                    and cell.recognize == one.recognize
                    and cell.batch in one.batches
                    and set(cell.variants) <= set(one.variants)
                    for one in wanted[cell.network]
                ), cell.key

    @pytest.mark.parametrize("mode", GRAPHS)
    def test_what_takes_the_file_needs_no_import(self, mode: Mode) -> None:
        cell = Cell("vit_micro", 1, "float32", mode, ("ln",))
        eager = Cell("vit_micro", 8, "float32", "eager", ("ln",))
        assert imports((Series("one", (cell,), 1.0),)) == {"vit_micro": ()}
        assert imports((Series("both", (cell, eager), 1.0),)) == {
            "vit_micro": (Import("float32", (8,), variants=("ln",)),)
        }
