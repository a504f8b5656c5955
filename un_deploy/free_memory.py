"""How much memory a process may still take, so that what cannot fit is refused by its name.

A system that lends more than it has gives an array of any size, and kills whoever fills it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from un_deploy.errors import InputError

_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def check_memory(needed: int, what: str) -> None:
    """Refuse what takes more bytes than are free.

    Raises:
        InputError: says what it is, how much it takes and how much there is.
    """
    free = free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"{what}: takes {needed / 1e9:,.1f} GB of memory, {free / 1e9:,.1f} are free"
        )


def free_memory() -> int | None:
    """Bytes that are free on this machine, or within the limit of its container; None: unknown."""
    found = []
    with suppress(OSError, StopIteration, ValueError):
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        told = next(line for line in lines if line.startswith("MemAvailable:"))
        found.append(int(told.split()[1]) * 1024)
    with suppress(OSError, ValueError):  # "max" where there is no limit
        limit, used = ((_GROUP / name).read_text() for name in ("memory.max", "memory.current"))
        found.append(int(limit) - int(used))
    return min(found, default=None)
