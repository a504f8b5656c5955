"""Every version of TensorRT whose bindings are here."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.tensorrt_api.install import BINDINGS
from tests.support.tensorrt_api.stubs import Stubs, make_stubs

INSTALLED = Path(__file__).parents[2] / "build" / "tensorrt-api"
RTX = "rtx"
STANDARD = tuple(BINDINGS)
VERSIONS = (*STANDARD, RTX)
StubsOf = Callable[[str], Stubs]


@pytest.fixture(scope="session")
def stubs_of(tmp_path_factory: pytest.TempPathFactory) -> StubsOf:
    """The stubs of a version, made once; skips where it is not installed."""

    @cache
    def made(version: str) -> Stubs:
        folder = tmp_path_factory.mktemp("stubs")
        if version == RTX:
            if not find_spec("tensorrt_rtx"):
                pytest.skip("needs TensorRT-RTX: the rtx extra")
            return make_stubs("tensorrt_rtx_bindings", folder)
        if not (INSTALLED / version / "tensorrt_libs" / "__init__.py").exists():
            pytest.skip(f"needs the bindings of TensorRT {version}: make api-test installs them")
        return make_stubs("tensorrt_bindings", folder, INSTALLED / version)

    return made
