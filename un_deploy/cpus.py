"""How many CPUs this process may use: those it is bound to (affinity), and the quota of its group.

A quota (`docker run --cpus=1.5`) gives time, not CPUs: a library that starts a thread for each CPU
of the machine spends the time of its period at once, and then all threads stand still together.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from un_deploy.control_groups import group_folders, number_in, numbers_in

THREADS = "OMP_NUM_THREADS"
"""The environment variable that OpenMP, OpenBLAS, MKL and torch read when they are loaded."""

_COMPILERS = "TORCHINDUCTOR_COMPILE_THREADS"


def cpu_quota(root: Path | None = None) -> float | None:
    """CPUs' worth of time, the least of all groups around this process; None: no quota."""
    return min((quota for _, quota in _limited(root)), default=None)


def usable_cpus(root: Path | None = None) -> int:
    """CPUs that this process may use, a quota rounded up; at least 1."""
    quota = cpu_quota(root)
    return len(bound_cpus()) if quota is None else min(len(bound_cpus()), math.ceil(quota))


def bound_cpus() -> frozenset[int]:
    """The numbers of the CPUs that this process is bound to; at least one."""
    every = range(os.cpu_count() or 1)
    return frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else every)


def limited_threads(root: Path | None = None) -> int | None:
    """Threads to compute with where a library's own choice would be wrong; None: it is right.

    OMP_NUM_THREADS where it is set, else the quota's where that is below the CPUs that this process
    is bound to, which the libraries know themselves.
    """
    with suppress(KeyError, ValueError):
        return max(1, int(os.environ[THREADS].split(",")[0]))
    usable = usable_cpus(root)
    return usable if usable < len(bound_cpus()) else None


def limit_threads(root: Path | None = None) -> None:
    """Let the libraries that are loaded after this, here and in children, follow a quota.

    What the user has set stands.
    """
    usable = usable_cpus(root)
    if usable < len(bound_cpus()):
        for name in (THREADS, _COMPILERS):
            os.environ.setdefault(name, str(usable))


@dataclass(frozen=True)
class Throttled:
    """How often a quota was spent before its period ended, since the groups were made.

    Attributes:
        periods: in which that happened.
        seconds: that the group's CPUs stood still, added up.
    """

    periods: int
    seconds: float


def throttled(root: Path | None = None) -> Throttled | None:
    """What the groups around this process tell of all processes in them; None: no quota."""
    told = [numbers_in(folder / "cpu.stat") for folder, _ in _limited(root)]
    if not told:
        return None
    microseconds = [
        one.get("throttled_usec", one.get("throttled_time", 0) / 1000)  # version 2, and 1
        for one in told
    ]
    return Throttled(sum(one.get("nr_throttled", 0) for one in told), sum(microseconds) / 1e6)


def _limited(root: Path | None) -> Iterator[tuple[Path, float]]:
    """Every group with a quota, and the quota in CPUs."""
    for folder in group_folders("cpu", root):
        quota = number_in(folder, "cpu.cfs_quota_us")
        period = number_in(folder, "cpu.cfs_period_us")
        with suppress(OSError, ValueError):  # "max 100000" where there is none
            quota, period = map(int, (folder / "cpu.max").read_text(encoding="ascii").split())
        if quota and period and quota > 0 and period > 0:
            yield folder, quota / period
