"""Reads the GPU's clock before and after some work, and warns where it moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from un_deploy.gpu import first_gpu

T = TypeVar("T")

STILL = 0.01
"""Share by which a locked clock may seem to move."""


def run_and_check_clock(work: Callable[[], T]) -> tuple[T, str]:
    """Run some work: its result, and a warning where the GPU's clock moved meanwhile, or ""."""
    before = _sm_mhz()
    result = work()
    after = _sm_mhz()
    if before is None or after is None or abs(after - before) <= STILL * before:
        return result, ""
    return result, (
        f"the GPU's clock moved from {before} to {after} MHz, it is not locked: lock it with "
        "nvidia-smi --lock-gpu-clocks, or take the figures for this moment's"
    )


def _sm_mhz() -> int | None:
    found = first_gpu()
    return found.sm_mhz if found else None
