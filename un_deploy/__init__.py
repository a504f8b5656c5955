"""un-deploy: from Layer Normalization to none at all in production, and the proof of it.

The public names load their room when first used, so `import un_deploy` costs nothing and the
base install needs no PyTorch.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from un_deploy.version import __version__ as __version__

# ONNX Runtime reads this when it is imported, and else tells its maker what it runs. It stands here
# since every process of ours, children included, comes by before it can import ONNX Runtime.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_HOME = {
    "UnifiedNorm": "un_deploy.nn",
    "build": "un_deploy.pipeline.build",
    "compare": "un_deploy.pipeline.compare.compare",
    "convert_norms": "un_deploy.nn",
    "export": "un_deploy.pipeline.export.export",
    "fold": "un_deploy.pipeline.fold_model",
    "to_torch": "un_deploy.runtime.torch_graph",
    "verify": "un_deploy.measure.equality.verify",
}

__all__ = [
    "UnifiedNorm",
    "build",
    "compare",
    "convert_norms",
    "export",
    "fold",
    "to_torch",
    "verify",
]

if TYPE_CHECKING:
    from un_deploy.measure.equality.verify import verify
    from un_deploy.nn import UnifiedNorm, convert_norms
    from un_deploy.pipeline.build import build
    from un_deploy.pipeline.compare.compare import compare
    from un_deploy.pipeline.export.export import export
    from un_deploy.pipeline.fold_model import fold
    from un_deploy.runtime.torch_graph import to_torch


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'un_deploy' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
