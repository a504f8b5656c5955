"""What the tests of norms share."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def forget_what_was_compiled() -> Iterator[None]:
    """All norms have one forward, of which PyTorch compiles no more than eight forms a process."""
    yield
    if "torch._dynamo" in sys.modules:
        import torch

        torch.compiler.reset()
