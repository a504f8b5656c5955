"""Counts the kernels of eager networks. Runs in a process that times nothing.

A profiler that has once been on may slow down every later launch of its process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu import gates
from benchmarks.gpu.cells import Cell
from benchmarks.gpu.load_cell import load
from benchmarks.gpu.running import kernels


def count_kernels(cell: Cell, norms: int, folder: Path, device: str) -> dict[str, Any]:
    """Kernels of one run of each variant of a cell, and what they must be.

    Args:
        cell: neither compiled nor of ONNX Runtime.
        norms: how many the network has.
        folder: with what was prepared.
        device: as torch names it; on a CPU there is nothing to count.

    Returns:
        plain data: kernels by variant, and the gate.
    """
    loaded = load(cell, folder, device)
    with torch.inference_mode():
        counted = {
            name: kernels(call, loaded.inputs, device) for name, call in loaded.calls.items()
        }
    gate = gates.layer_norm_kernels(counted, norms)
    return {
        "network": cell.network,
        "batch": cell.batch,
        "norms": norms,
        "kernels": counted,
        "gates": [dict(vars(gate))],
    }
