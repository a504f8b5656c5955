"""ONNX Runtime on the CPU, all optimisations on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir

from un_deploy.errors import needs
from un_deploy.runtime.session import FileSession

if TYPE_CHECKING:
    import onnxruntime

SILENT = 4
"""Log nothing but crashes: what ONNX Runtime logs as an error it raises as well."""


@dataclass(frozen=True)
class OnnxRuntime:
    """See `un_deploy.runtime.protocol.Runtime`.

    Args:
        threads: threads within an operator; None: one for each physical core.
    """

    threads: int | None = None
    name: str = field(default="onnxruntime", init=False)

    def load(self, model: onnx_ir.Model) -> FileSession:
        """See `un_deploy.runtime.protocol.Runtime`.

        Raises:
            MissingPackageError: onnxruntime is not installed.
        """
        return FileSession(model, self.name, self._open)

    def _open(self, path: Path) -> onnxruntime.InferenceSession:
        with needs("cpu"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = SILENT
        options.intra_op_num_threads = self.threads or 0
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
