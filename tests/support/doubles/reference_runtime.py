"""onnx's own reference evaluator as a runtime: slow, and no part of the package."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import onnx
import onnx_ir
from onnx.reference import ReferenceEvaluator

from un_deploy.runtime.session import FileSession


@dataclass(frozen=True)
class ReferenceRuntime:
    """See `un_deploy.runtime.protocol.Runtime`: each operator in numpy, in its own type."""

    name: str = field(default="onnx.reference", init=False)

    def load(self, model: onnx_ir.Model | Path) -> FileSession:
        """See `un_deploy.runtime.protocol.Runtime`."""
        return FileSession(model, self.name, self._open)

    def _open(self, path: Path) -> ReferenceEvaluator:
        return ReferenceEvaluator(onnx.load(path))
