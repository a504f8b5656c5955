"""Packages that the machine lacks, from a folder of wheels, without installing them."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

FOLDERS = (ROOT / ".whl", ROOT / "wheels")
"""Where wheels are looked for unless a folder is named."""


def use_wheels(folder: Path | None, into: Path) -> list[str]:
    """Unpack all wheels of a folder and put them before everything installed, for children too.

    Args:
        folder: with wheels of this Python and platform; None: the first of `FOLDERS` there is.
        into: a folder, which must stay as long as the packages are used.

    Returns:
        the names of the wheels.
    """
    folder = folder or next((found for found in FOLDERS if found.is_dir()), into)
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)
    if wheels:
        sys.path.insert(0, str(into))
        before = filter(None, [str(into), os.environ.get("PYTHONPATH")])
        os.environ["PYTHONPATH"] = os.pathsep.join(before)
    return [wheel.name for wheel in wheels]
