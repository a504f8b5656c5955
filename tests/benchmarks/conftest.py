"""One micro network prepared as the suite prepares it, and once with a norm that stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.gpu.prepare import VARIANTS, Import, Recipe, prepare

IMPORTS = (Import("float32", (1, 3)), Import("float16", (3,), variants=("ln", "un", "none")))
KEPT = "blocks.1.norm2"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with vit_micro in all variants, float32 at batch 1 and 3, float16 at 3."""
    folder = tmp_path_factory.mktemp("prepared")
    for kind in dict.fromkeys(VARIANTS.values()):
        prepare(Recipe("vit_micro", kind, IMPORTS), folder)
    return folder


@pytest.fixture(scope="session")
def with_a_norm_left(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, but that the fold left one norm alone."""
    folder = tmp_path_factory.mktemp("left")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    prepare(Recipe("vit_micro", "un", IMPORTS[:1], keep=(KEPT,)), folder)
    return folder
