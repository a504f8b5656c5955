"""Which runtime this installation has."""

from __future__ import annotations

from importlib.util import find_spec

from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.protocol import Runtime


def available_runtime() -> Runtime | None:
    """A runtime that stands for production, or None where only the base install is there."""
    return OnnxRuntime() if find_spec("onnxruntime") else None
