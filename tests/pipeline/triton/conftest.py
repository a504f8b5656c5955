"""A model of each kind in a folder, and a repository that is not there yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.triton.small_models import image_model, token_model
from tests.support.plans import write_plan


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return image_model(tmp_path / "image.onnx")


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return token_model(tmp_path / "tokens.onnx")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return write_plan(tmp_path / "image.plan")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return tmp_path / "repository"
