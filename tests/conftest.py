"""A folder for what the tests of one run share: see tests/support/networks/kept.py.

un_deploy comes first: a test that imports ONNX Runtime itself must not tell its maker either.
"""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

import un_deploy  # noqa: F401
from tests.support.networks.kept import FOLDER


def pytest_configure(config: pytest.Config) -> None:
    """Whoever starts the run makes the folder; other test processes and pytest runs inherit it."""
    if FOLDER not in os.environ:
        folder = os.environ[FOLDER] = tempfile.mkdtemp(prefix="un-deploy-tests-")

        def remove() -> None:
            del os.environ[FOLDER]
            shutil.rmtree(folder, ignore_errors=True)

        config.add_cleanup(remove)
