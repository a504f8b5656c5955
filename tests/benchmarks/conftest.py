"""One micro network prepared as the suite prepares it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.gpu.cells import Cell
from benchmarks.gpu.prepare import exports, prepare

HALF = ("ln", "un", "none")
CELLS = [Cell("vit_micro", 3, "float32", "eager"), Cell("vit_micro", 3, "float16", "eager", HALF)]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with vit_micro in all variants of `CELLS`, float32 at batch 3, some in float16."""
    folder = tmp_path_factory.mktemp("prepared")
    for name, kind, cells in exports(CELLS):
        prepare(name, kind, cells, folder)
    return folder
