"""Every version of TensorRT whose bindings are here, and what mypy finds against each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.tensorrt_api import stubs as tensorrt
from tests.support.tensorrt_api.install import BINDINGS
from tests.support.tensorrt_api.stubs import Stubs

INSTALLED = Path(__file__).parents[2] / "build" / "tensorrt-api"
RTX = "rtx"
STANDARD = tuple(one.version for one in BINDINGS)
VERSIONS = (*STANDARD, RTX)


@pytest.fixture(scope="session")
def stubs_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stubs]:
    """The stubs of a version, made once; skips where it is not installed."""

    @cache
    def made(version: str) -> Stubs:
        folder = tmp_path_factory.mktemp("stubs")
        if version == RTX:
            if not find_spec("tensorrt_rtx"):
                pytest.skip("needs TensorRT-RTX: the rtx extra")
            return tensorrt.make("tensorrt_rtx_bindings", folder)
        if not (INSTALLED / version / "tensorrt").is_dir():
            pytest.skip(f"needs the bindings of TensorRT {version}: make api-test installs them")
        return tensorrt.make("tensorrt_bindings", folder, INSTALLED / version)

    return made
