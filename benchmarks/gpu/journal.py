"""One line of JSON for each thing that is finished, on disk before the next begins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, kind: str, **what: Any) -> None:
    """Append a line and wait until the disk has it."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"kind": kind, **what}) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """All whole lines; one that a kill cut off is left out."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines


def begin(path: Path, done: Path | None, **start: Any) -> set[str]:
    """Begin a journal, and take over the timed cells of an older one.

    Args:
        path: the new journal.
        done: the older one, which may be the same file.
        start: what stands in the first line.

    Returns:
        the keys of the cells.
    """
    lines = [line for line in (read(done) if done else []) if line.get("status") == "timed"]
    path.unlink(missing_ok=True)
    write(path, "start", **start)
    for line in lines:
        write(path, **{**line, "from_earlier_run": True})
    return {line["key"] for line in lines}
