"""Every version of TensorRT whose bindings are here, and the sources that are held against it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

import un_deploy.runtime.tensorrt as room
from tests.support.tensorrt_api.install import BINDINGS
from tests.support.tensorrt_api.sources import read
from tests.support.tensorrt_api.surface import Surface, load

INSTALLED = Path(__file__).parents[2] / "build" / "tensorrt-api"
RTX = "rtx"
STANDARD = tuple(one.version for one in BINDINGS)


@cache
def surface_of(version: str) -> Surface:
    """A version's names; skips where it is not installed."""
    if version == RTX:
        if not find_spec("tensorrt_rtx"):
            pytest.skip("needs TensorRT-RTX: the rtx extra")
        return load("tensorrt_rtx")
    folder = INSTALLED / version
    if not (folder / "tensorrt").is_dir():
        pytest.skip(f"needs the bindings of TensorRT {version}: make api-test installs them")
    return load("tensorrt", folder)


@pytest.fixture(params=[*STANDARD, RTX])
def surface(request: pytest.FixtureRequest) -> Surface:
    """What a version has, each in turn."""
    return surface_of(request.param)


@pytest.fixture(scope="session")
def sources() -> Mapping[str, str]:
    """The text of every file of the room, by module name."""
    return read(Path(room.__file__).parent)
