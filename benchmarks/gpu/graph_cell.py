"""A cell in a runtime that takes ONNX: ONNX Runtime, TensorRT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: F401  (first, so that its CUDA and cuDNN are the ones that are found)

from benchmarks.gpu.cells import Cell
from benchmarks.gpu.gates import Gate
from benchmarks.gpu.prepare import onnx_file
from un_deploy.engines.flavor import choose_flavor
from un_deploy.graph.model.model_file import load_model
from un_deploy.graph.precision.convert import Precision
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.protocol import Runtime, Session, Timer
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime

PRECISIONS: dict[str, Precision] = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


class GraphCell:
    """A cell's ONNX files, loaded anew for whatever is asked; see `torch_cell.TorchCell`."""

    def __init__(self, cell: Cell, folder: Path, device: str, feeds: dict[str, np.ndarray]) -> None:
        files = {name: onnx_file(folder, cell.network, name) for name in cell.variants}
        self._files = {name: path for name, path in files.items() if path.is_file()}
        self._feeds = feeds
        self._runtime: Runtime
        if cell.mode == "onnxruntime":
            self._runtime = OnnxRuntime(device=device.split(":")[0])
        else:
            self._runtime = EngineRuntime(choose_flavor("auto"), PRECISIONS[cell.precision])
        # On a GPU these runtimes multiply float32 in TF32.
        tf32 = cell.precision == "float32" and device.startswith("cuda")
        self.variants, self.precision = list(self._files), "TF32" if tf32 else cell.precision

    def outputs(self, variant: str) -> list[np.ndarray]:
        """What it gives, in the order of the graph's outputs."""
        return list(self._session(variant).run(self._feeds).values())

    def timer(self, variant: str) -> Timer:
        """A timer of a session of its own."""
        return self._session(variant).timer(self._feeds)

    def gates(self) -> list[Gate]:
        """None: a runtime does not tell what it makes of a graph."""
        return []

    def facts(self) -> dict[str, Any]:
        """Nothing beside the times."""
        return {}

    def _session(self, variant: str) -> Session:
        return self._runtime.load(load_model(self._files[variant]))
