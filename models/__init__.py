"""Networks and training recipes to start from: plain PyTorch files, free to copy."""

from typing import Any


def __getattr__(name: str) -> Any:
    """``models.RECIPES``, which loads torch only when it is asked for."""
    if name == "RECIPES":
        from .recipes import RECIPES

        return RECIPES
    raise AttributeError(f"module 'models' has no attribute {name!r}")
