"""One line of JSON for each thing that is finished, on disk before the next begins."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file of JSON lines.

    Args:
        path: the file; what it holds already stays.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, kind: str, **what: Any) -> None:
        """Append a line and wait until the disk has it."""
        self._file.write(json.dumps({"kind": kind, **what}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a journal; one that a kill cut off is left out."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines
