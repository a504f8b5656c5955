"""An executable trtexec of either version that ends in every way there is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from un_deploy.runtime.trtexec import Trtexec

DOUBLE = Path(__file__).parents[2] / "support" / "doubles" / "trtexec_double.py"
VERSIONS = {10: "101602", 11: "110400"}

Make = Callable[..., Trtexec]


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a Trtexec whose binary is the double, of a major version and in a mode."""

    def made(major: int = 10, mode: str = "pass", **arguments: Any) -> Trtexec:
        set_ = f"TRTEXEC_DOUBLE_VERSION={VERSIONS[major]} TRTEXEC_DOUBLE_MODE={mode}"
        lock = f"TRTEXEC_DOUBLE_LOCK='{tmp_path}/lock'"
        run = f"{set_} {lock} exec '{sys.executable}' -S -E '{DOUBLE}' \"$@\""
        return Trtexec(executable(tmp_path / f"trtexec-{major}-{mode}", run), **arguments)

    return made


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    """The double does not read it."""
    path = tmp_path / "model.onnx"
    path.touch()
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
