"""Memory of one run, as torch's allocators see it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
from torch.autograd.profiler import profile


def peak_bytes(run: Callable[[], Any], device: str) -> int | None:
    """The most bytes that a run holds beside what is there before; None where torch cannot tell.

    It is called twice, since the first call may allocate what is kept. A CUDA device is the
    current one.
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


def host_peak_bytes(run: Callable[[], Any]) -> int:
    """The same of the CPU's memory, by torch's profiler."""
    run()
    with torch.inference_mode(), profile(use_cpu=True, profile_memory=True) as profiled:
        run()
    events = [e for e in profiled.kineto_results.events() if e.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    held = accumulate((event.nbytes() for event in events), initial=0)
    return max(held)
