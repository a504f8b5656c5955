"""What several tests need and takes long to make is made once in a run, by whoever comes first.

A run keeps it as files in a temporary folder, which its test processes share and which goes when
the run ends (tests/conftest.py). Outside a run of the tests nothing is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")

FOLDER = "UN_DEPLOY_TESTS_KEEP"
"""The environment variable that tells the processes of a run their folder."""


def kept(
    name: str,
    make: Callable[[], Made],
    save: Callable[[Made, Path], object],
    load: Callable[[Path], Made],
) -> Made:
    """What `make` gives; loaded from its file where a process of this run has made it before.

    Args:
        name: of the file. Whatever decides about its content must be in it.
        make: makes it.
        save: writes it to a path.
        load: reads it from there, anew for each caller.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        return make()
    from filelock import FileLock  # comes with torch

    path = Path(folder) / name
    with FileLock(f"{path}.lock"):
        if not path.exists():
            half = path.with_name(f"half-{name}")
            save(make(), half)
            half.rename(path)
    return load(path)
