"""Reads the first 64 bytes of a plan, enough to refuse what is foreign or cut off.

The form is observed in plans of TensorRT 10 and TensorRT-RTX 1, not documented: four letters,
"ftrt" of TensorRT or "vtrt" of TensorRT-RTX; the size of the whole plan at 16 to 24; the version,
one byte a part, at 24 to 28; all little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from packaging.version import InvalidVersion, Version

from un_deploy.engines.flavor import Flavor
from un_deploy.errors import InputError
from un_deploy.files import PLAN_BEGINS

SIZE = 64

#: How plans are called; what is none although it is called so is refused as a damaged plan.
SUFFIXES = {".plan", ".engine", ".trt"}

_OF_TENSORRT, _OF_RTX = PLAN_BEGINS
_MAGIC: dict[bytes, Flavor] = {_OF_TENSORRT: "tensorrt", _OF_RTX: "tensorrt-rtx"}


@dataclass(frozen=True)
class Header:
    """What a plan says of itself; version holds four parts, each modulo 256."""

    flavor: Flavor
    size: int
    version: tuple[int, ...]

    def is_of(self, version: str) -> bool:
        """Whether a version, as a library's ``__version__``, is the one of the header.

        The versions up to 10.7 leave out the last of the four parts, which the header has.
        """
        try:
            release = Version(version).release[:4]
        except InvalidVersion:
            return False
        return tuple(part % 256 for part in release) == self.version[: len(release)]


def is_plan(path: Path) -> bool:
    """Whether a file is a plan, or is called one."""
    if path.suffix in SUFFIXES:
        return True
    try:
        if not path.is_file():  # a pipe would wait for a writer
            return False
        with path.open("rb") as file:
            return file.read(4) in _MAGIC
    except OSError:
        return False


def read_header(plan: bytes, origin: str) -> Header:
    """Read and check the header of a plan.

    Raises:
        InputError: it is no plan, or was cut off or extended.
    """
    flavor = _MAGIC.get(plan[:4])
    if flavor is None or len(plan) < SIZE:
        raise InputError(f"{origin} is no TensorRT plan: build it with un-deploy build")
    size = int.from_bytes(plan[16:24], "little")
    if size != len(plan):
        raise InputError(
            f"{origin} holds {len(plan)} bytes where its header says {size}: it was cut off or "
            "changed; build or copy it again"
        )
    return Header(flavor, size, tuple(plan[24:28]))
