"""Packages that the machine lacks, from a folder of wheels, without installing them."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path


def use_wheels(folder: Path, into: Path) -> list[str]:
    """Unpack all wheels of a folder and put them before everything installed, for children too.

    Args:
        folder: with wheels of this Python and platform.
        into: a folder, which must stay as long as the packages are used.

    Returns:
        the names of the wheels.
    """
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)
    sys.path.insert(0, str(into))
    before = filter(None, [str(into), os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join(before)
    return [wheel.name for wheel in wheels]
