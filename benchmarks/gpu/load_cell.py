"""A cell's modules on the device, compiled where they are to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from benchmarks.gpu import gates
from benchmarks.gpu.cells import Cell
from benchmarks.gpu.networks import ROWS
from benchmarks.gpu.prepare import inputs_file, prepared_file, reference_file
from benchmarks.gpu.running import fresh


class NotRunnableError(Exception):
    """A cell that this machine cannot run; one line says why."""


class RefusedError(Exception):
    """A cell whose times would mislead; one line says why."""


@dataclass
class Loaded:
    """A cell's modules on the device.

    Attributes:
        modules: by variant, with weights of their own.
        calls: what runs them: the modules themselves, or compiled.
        inputs: on the device, in the modules' order.
        left: variants that are not timed, and why.
        again: modules of their own for the second entries of variants that are not captured.
        compiled_s: seconds of compiling, the first run included.
    """

    modules: dict[str, fx.GraphModule] = field(default_factory=dict)
    calls: dict[str, Callable[..., Any]] = field(default_factory=dict)
    inputs: list[Tensor] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    again: dict[str, fx.GraphModule] = field(default_factory=dict)
    compiled_s: dict[str, float] = field(default_factory=dict)


def load(cell: Cell, folder: Path, device: str) -> Loaded:
    """Load a cell, and compile it if it is to be compiled.

    Args:
        cell: any but one of ONNX Runtime.
        folder: with what was prepared.
        device: as torch names it.

    Raises:
        NotRunnableError: this machine cannot run it.
        RefusedError: the variants are not alike in what was recognised.
    """
    if cell.mode in ("cuda-graph", "max-autotune") and not device.startswith("cuda"):
        raise NotRunnableError(f"{cell.mode} needs a CUDA device")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    loaded = Loaded()
    originals = {}
    for variant in cell.variants:
        path = prepared_file(folder, cell.network, variant, cell.precision, cell.recognize)
        if path.is_file() and reference_file(folder, cell.network, variant).is_file():
            originals[variant] = _modules(path)[cell.batch]
        else:
            loaded.left[variant] = "it was not prepared"
    if not originals:
        raise NotRunnableError("none of its variants was prepared")
    alike = gates.alike(originals)
    if not alike.passed:
        raise RefusedError(f"fusions differ between variants: {alike.found}")
    with torch.inference_mode():
        loaded.inputs = _inputs(cell, folder, device)
        for variant, module in originals.items():
            loaded.modules[variant] = fresh(module, device)
            loaded.calls[variant] = loaded.modules[variant]
            if cell.compiled:
                start = time.perf_counter()
                loaded.calls[variant] = _compiled(cell, loaded.modules[variant])
                loaded.calls[variant](*loaded.inputs)
                loaded.compiled_s[variant] = round(time.perf_counter() - start, 2)
    return loaded


def rows_of(cell: Cell, folder: Path) -> dict[str, np.ndarray]:
    """A cell's inputs as arrays, in the order of the graph's inputs.

    Raises:
        NotRunnableError: they were not prepared.
    """
    path = inputs_file(folder, cell.network)
    if not path.is_file():
        raise NotRunnableError("its inputs were not prepared")
    with np.load(path) as archive:
        take = np.arange(cell.batch) % ROWS
        return {name: array[take] for name, array in archive.items()}


def _inputs(cell: Cell, folder: Path, device: str) -> list[Tensor]:
    half = getattr(torch, cell.precision)
    made = [torch.from_numpy(array).to(device) for array in rows_of(cell, folder).values()]
    return [t.to(half) if t.is_floating_point() else t for t in made]


@cache
def _modules(path: Path) -> Mapping[int, fx.GraphModule]:
    modules: dict[int, fx.GraphModule] = torch.load(path, weights_only=False, mmap=True)
    return modules


def _compiled(cell: Cell, module: fx.GraphModule) -> Callable[..., Any]:
    # The CUDA graph is ours, so that all modes are captured alike.
    mode = "max-autotune-no-cudagraphs" if cell.mode == "max-autotune" else None
    return torch.compile(module, fullgraph=True, dynamic=False, mode=mode)
