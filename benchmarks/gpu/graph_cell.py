"""Times one cell in a runtime that takes ONNX: ONNX Runtime, TensorRT. Runs in a worker process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: F401  (first, so that its CUDA and cuDNN are the ones that are found)

from benchmarks.gpu import gates
from benchmarks.gpu.cells import AGAIN, Cell
from benchmarks.gpu.load_cell import NotRunnableError, RefusedError, rows_of
from benchmarks.gpu.measure_cell import told
from benchmarks.gpu.networks import ROWS
from benchmarks.gpu.prepare import REFERENCE_ROWS, onnx_file, reference_file
from benchmarks.gpu.running import Sample
from benchmarks.gpu.timing import Effort, Times, add_build, settle
from un_deploy.engines.flavor import choose_flavor
from un_deploy.errors import UnDeployError
from un_deploy.graph.model.model_file import load_model
from un_deploy.graph.precision.convert import Precision
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.protocol import Runtime, Session, Timer
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime

BUILDS = {
    "onnxruntime": "sessions in one process, each with its own weights",
    "tensorrt": "engines built anew in one process",
}
"""What the builds are."""

PRECISIONS: dict[str, Precision] = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


@dataclass(frozen=True)
class _Entry:
    timer: Timer

    def sample(self, runs: int) -> Sample:
        """The host's clock for everything: ONNX Runtime has no other."""
        taken = self.timer(runs) / runs
        return Sample(taken, taken, taken)


def measure(cell: Cell, folder: Path, device: str, effort: Effort, until: float) -> dict[str, Any]:
    """See `benchmarks.gpu.measure_cell.measure`. On CUDA, ONNX Runtime computes in TF32.

    Raises:
        NotRunnableError: the runtime is not there, or not for the device.
        RefusedError: no variant gives right answers.
    """
    runtime = _runtime(cell, device)
    feeds = rows_of(cell, folder)
    found, left, sessions = [], {}, {}
    for variant in cell.variants:
        path = onnx_file(folder, cell.network, variant)
        if not path.is_file() or not reference_file(folder, cell.network, variant).is_file():
            left[variant] = "it was not prepared"
            continue
        try:
            sessions[variant] = runtime.load(load_model(path))
        except UnDeployError as error:
            raise NotRunnableError(str(error)) from error
        try:
            gate = _answers(cell, variant, sessions[variant], folder, feeds, device)
        except UnDeployError as error:  # an engine is built for its first inputs
            raise NotRunnableError(str(error)) from error
        found.append(gate)
        if not gate.passed:
            left[variant] = f"its answers are wrong: {gate.found}"
            del sessions[variant]
    if not sessions:
        raise RefusedError("no variant gives right answers")
    times = Times()
    names = [name for name in cell.entries() if name.removesuffix(AGAIN) in sessions]
    del sessions
    for build in range(effort.builds):
        began = time.monotonic()
        made = {}
        for name in names:
            path = onnx_file(folder, cell.network, name.removesuffix(AGAIN))
            made[name] = _Entry(runtime.load(load_model(path)).timer(feeds))
        if not build:
            settle(times, made, effort)
        add_build(times, made, effort)
        del made
        if time.monotonic() + (time.monotonic() - began) > until:
            break
    return {**told(times, found), "builds_are": BUILDS[cell.mode], "left": left}


def _runtime(cell: Cell, device: str) -> Runtime:
    if cell.mode == "onnxruntime":
        return OnnxRuntime(device="cuda" if device.startswith("cuda") else "cpu")
    try:
        return EngineRuntime(choose_flavor("auto"), PRECISIONS[cell.precision])
    except UnDeployError as error:
        raise NotRunnableError(str(error)) from error


def _answers(
    cell: Cell,
    variant: str,
    session: Session,
    folder: Path,
    feeds: dict[str, np.ndarray],
    device: str,
) -> gates.Gate:
    with np.load(reference_file(folder, cell.network, variant)) as archive:
        reference = dict(archive)
    outputs = session.run(feeds)
    rows = [row for row in range(cell.batch) if row % ROWS < REFERENCE_ROWS]
    wanted = {name: array[[row % ROWS for row in rows]] for name, array in reference.items()}
    finite = all(bool(np.all(np.isfinite(array))) for array in outputs.values())
    got = {name: outputs[name][rows] for name in reference}
    # TF32 rounds the operands of a product to 11 bits, as float16 does.
    tf32 = cell.precision == "float32" and device.startswith("cuda")
    precision = "float16" if tf32 else cell.precision
    return gates.answers(variant, got, wanted, precision, finite=finite)
