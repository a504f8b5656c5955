"""How much memory a process may still take, so that what cannot fit is refused by its name.

A system that lends more than it has gives an array of any size, and kills whoever fills it.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from pathlib import Path

from un_deploy import control_groups
from un_deploy.control_groups import group_folders, number_in, numbers_in
from un_deploy.errors import InputError

_NO_LIMIT = 1 << 60
"""Version 1 of control groups has a number of about 2**63 there."""


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


def free_memory(root: Path | None = None) -> int | None:
    """Bytes that are free on this machine, or within the limits of its groups; None: unknown."""
    found = [_left(folder) for folder in group_folders("memory", root)]
    found.append(_available((root or control_groups.ROOT) / "proc/meminfo"))
    return min((one for one in found if one is not None), default=None)


def _available(meminfo: Path) -> int | None:
    with suppress(OSError, StopIteration, ValueError):
        lines = meminfo.read_text(encoding="ascii").splitlines()
        told = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(told.split()[1]) * 1024
    return None


def _left(group: Path) -> int | None:
    """What a limit leaves; files that are kept in memory for next time make room when asked."""
    limit = number_in(group, "memory.max", "memory.limit_in_bytes")
    used = number_in(group, "memory.current", "memory.usage_in_bytes")
    if limit is None or used is None or limit >= _NO_LIMIT:
        return None
    told = numbers_in(group / "memory.stat")
    return limit - used + told.get("total_inactive_file", told.get("inactive_file", 0))


def give_back() -> None:
    """Return to the system what is no longer used, before a child needs it.

    Graphs are circles, which only a collection frees; and the C library keeps what was freed.
    """
    gc.collect()
    with suppress(AttributeError, OSError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)
