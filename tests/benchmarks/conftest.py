"""One micro network prepared as the suite prepares it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from benchmarks.gpu.cells import Cell
from benchmarks.gpu.networks import Kind
from benchmarks.gpu.prepare import prepare

HALF = ("ln", "un", "none")
CELLS = [Cell("vit_micro", 3, "float32", "eager"), Cell("vit_micro", 3, "float16", "eager", HALF)]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with vit_micro in all variants, float32 at batch 3, some in float16."""
    folder = tmp_path_factory.mktemp("prepared")
    for kind in get_args(Kind):
        prepare("vit_micro", kind, CELLS, folder)
    return folder
