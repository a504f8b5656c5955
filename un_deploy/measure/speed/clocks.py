"""Reads the GPU's clock before and after some work, and warns where it moved."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from shutil import which
from typing import TypeVar

T = TypeVar("T")

STILL = 0.01
"""Share by which a locked clock may seem to move."""


def sm_clock() -> int | None:
    """MHz of the first GPU's multiprocessors now; None where nvidia-smi does not tell."""
    program = which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=clocks.sm", "--format=csv,noheader,nounits"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
        return int(found.stdout.splitlines()[0])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return None


def watched(work: Callable[[], T]) -> tuple[T, str]:
    """Do some work; gives its result, and a warning if the clock moved meanwhile, else ""."""
    before = sm_clock()
    result = work()
    after = sm_clock()
    if before is None or after is None or abs(after - before) <= STILL * before:
        return result, ""
    return result, (
        f"the GPU's clock moved from {before} to {after} MHz, it is not locked: lock it with "
        "nvidia-smi --lock-gpu-clocks, or take the figures for this moment's"
    )
