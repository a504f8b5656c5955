"""Where gigabytes of prepared networks go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")

NEEDED = 32 << 30
"""Bytes free in memory from which on it is preferred: six large networks take 13 GB of it."""


def roomy_memory() -> Path | None:
    """A file system in memory with room enough; None: the usual place for temporary files.

    Disks of rented machines write a few hundred megabytes a second, which would be a minute.
    """
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
    return MEMORY if usable and shutil.disk_usage(MEMORY).free >= NEEDED else None
