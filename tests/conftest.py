"""What the tests of one run share, so that it is made once.

un_deploy comes first: a test that imports ONNX Runtime itself must not tell its maker either.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from functools import cache

import pytest

import un_deploy  # noqa: F401
from tests.support.networks.kept import FOLDER


def pytest_configure(config: pytest.Config) -> None:
    """The folder of tests/support/networks/kept.py, made by whoever starts the run; other test
    processes and pytest runs inherit it."""
    if FOLDER not in os.environ:
        folder = os.environ[FOLDER] = tempfile.mkdtemp(prefix="un-deploy-tests-")

        def remove() -> None:
            del os.environ[FOLDER]
            shutil.rmtree(folder, ignore_errors=True)

        config.add_cleanup(remove)


class _Loaded:
    modules = 0
    """How many there were when what they hold was last put aside."""


def pytest_runtest_setup() -> None:
    """Before a test: keep what the libraries hold for the whole run."""
    _put_modules_aside()
    _keep_the_exporters_table()


def _put_modules_aside() -> None:
    """A comparison collects garbage a dozen times, and each time looked at everything that pytest,
    PyTorch and the tests hold: 0.2 s, of which nothing is ever garbage."""
    if len(sys.modules) > _Loaded.modules + 100:
        gc.collect()
        gc.freeze()
        _Loaded.modules = len(sys.modules)


def _keep_the_exporters_table() -> None:
    """PyTorch's newer exporter fills its table of operators anew for every graph, which takes
    longer than a small graph does: from the first export on, a process keeps the table."""
    module = sys.modules.get("torch.onnx._internal.exporter._registration")
    if module is None or hasattr(module.ONNXRegistry.from_torchlib, "cache_info"):
        return
    module.ONNXRegistry.from_torchlib = staticmethod(cache(module.ONNXRegistry.from_torchlib))
