"""Device memory of one run, as torch's allocator sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def peak_bytes(run: Callable[[], Any], device: str) -> int | None:
    """The most bytes that a run holds beside what is there before; None where torch cannot tell.

    Args:
        run: runs once; called twice, since the first may allocate what is kept.
        device: where; a CUDA device is the current one.
    """
    if not device.startswith("cuda"):
        return None
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
