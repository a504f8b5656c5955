"""Linux's control groups (cgroups), by which containers are given less than the machine has.

A limit of a group holds for all groups within it, and a process may see but its own; so each reader
looks at every group from the process's own outwards. Versions 1 and 2 differ in the names of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

ROOT = Path("/")
"""Of the file system; tests put a tree of their own there."""


def group_folders(controller: str, root: Path | None = None) -> Iterator[Path]:
    """The folders of this process's groups that may limit it, the innermost first.

    A container often sees its own group at the root of what is mounted, though the system names it
    by a longer path: then that root is all that there is.

    Args:
        controller: "cpu" or "memory".
        root: of the file system.
    """
    root = root or ROOT
    lines = []
    with suppress(OSError, ValueError):
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    mounted = root / "sys/fs/cgroup"
    for line in lines:
        _, _, rest = line.partition(":")  # the number of the hierarchy
        names, _, path = rest.partition(":")
        if controller in names.split(","):  # version 1
            bases = [mounted / controller, mounted / names]
        elif not names:  # version 2, alone or beside version 1
            bases = [mounted / "unified", mounted]
        else:
            continue
        base = next((one for one in bases if one.is_dir()), None)
        if base is not None:
            inner = PurePosixPath(path.lstrip("/"))
            folders = [base / one for one in (inner, *inner.parents) if ".." not in one.parts]
            yield from (one for one in dict.fromkeys(folders) if one.is_dir())


def number_in(folder: Path, *names: str) -> int | None:
    """The number in the first of these files that holds one; None: no limit, or not told."""
    for name in names:
        with suppress(OSError, ValueError):
            return int((folder / name).read_text(encoding="ascii"))
    return None


def numbers_in(file: Path) -> dict[str, int]:
    """What a file of lines "name number" tells."""
    found = {}
    with suppress(OSError, ValueError):
        for line in file.read_text(encoding="ascii").splitlines():
            name, number = line.split()
            found[name] = int(number)
    return found
