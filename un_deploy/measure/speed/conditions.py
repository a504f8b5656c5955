"""What else the machine did while it measured: other processes' load, and the GPU's clock."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from un_deploy.cpus import bound_cpus
from un_deploy.gpu import first_gpu

T = TypeVar("T")

STILL = 0.01
"""Share by which a locked clock may seem to move."""

QUIET = 0.2
"""CPUs that other processes may take from what is timed: the system itself takes some."""

_STAT = Path("/proc/stat")
_WAITING = (3, 4)
"""Where a line of /proc/stat has the time in which a CPU had nothing to do."""


@dataclass(frozen=True)
class Conditions:
    """What a comparison was measured under; None: the system does not tell.

    Attributes:
        load: the load average of one minute, as it began.
        cpus: that this process may run on.
        others: of these, how many CPUs others kept busy on average: other processes, and other
            guests of a virtual machine's host.
        sm_mhz: the clock of the GPU's multiprocessors as it began and as it ended.
    """

    load: float | None
    cpus: int
    others: float | None
    sm_mhz: tuple[int, int] | None = None

    def unsteady(self, *, threads: int | None, on_gpu: bool) -> tuple[str, ...]:
        """Why times measured so are not to be trusted; empty: nothing here is against them.

        Args:
            threads: that were timed; None: as many as there are CPUs.
            on_gpu: whether a GPU computed; then one thread launches, and the clock counts.
        """
        found = []
        wanted = 1 if on_gpu else min(threads or self.cpus, self.cpus)
        if self.others is not None and self.others > self.cpus - wanted + QUIET:
            found.append(
                f"other processes kept {self.others:.1f} of {self.cpus} CPUs busy meanwhile, and "
                f"{wanted} {'was' if wanted == 1 else 'were'} timed"
            )
        if on_gpu and self.sm_mhz is not None and moved(*self.sm_mhz):
            before, after = self.sm_mhz
            found.append(
                f"the GPU's clock moved from {before} to {after} MHz, it is not locked: lock it "
                "with nvidia-smi --lock-gpu-clocks"
            )
        return tuple(found)


def moved(before: int, after: int) -> bool:
    """Whether a clock is not where it was."""
    return abs(after - before) > STILL * before


def run_and_see(work: Callable[[], T]) -> tuple[T, Conditions]:
    """Run some work: its result, and what else the machine did meanwhile."""
    cpus, load, clock = bound_cpus(), _load(), _sm_mhz()
    began, busy, own = time.monotonic(), _busy(cpus), _own()
    result = work()
    seconds, busy_then, own_then = time.monotonic() - began, _busy(cpus), _own()
    others = None
    if busy is not None and busy_then is not None and seconds > 0:
        others = max(0.0, (busy_then - busy) - (own_then - own)) / seconds
    after = _sm_mhz()
    clocks = None if clock is None or after is None else (clock, after)
    return result, Conditions(load, len(cpus), others, clocks)


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _busy(cpus: frozenset[int]) -> float | None:
    """Seconds that these CPUs have worked since the machine started, or were taken by its host."""
    try:
        lines = [line.split() for line in _STAT.read_text(encoding="ascii").splitlines()]
        found = {one[0]: list(map(int, one[1:9])) for one in lines if one[0].startswith("cpu")}
        ticks = [
            sum(found[f"cpu{cpu}"]) - sum(found[f"cpu{cpu}"][i] for i in _WAITING) for cpu in cpus
        ]
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if any(ticks) else None


def _own() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def _sm_mhz() -> int | None:
    found = first_gpu()
    return found.sm_mhz if found else None
