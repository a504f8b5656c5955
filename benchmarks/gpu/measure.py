"""Checks and times one cell. Runs in a worker process."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu import gates
from benchmarks.gpu.cells import AGAIN, GRAPHS, TWICE, VARIANTS, Cell
from benchmarks.gpu.graph_cell import GraphCell
from benchmarks.gpu.networks import ROWS
from benchmarks.gpu.prepare import inputs_file, reference_file
from benchmarks.gpu.torch_cell import TorchCell
from un_deploy.errors import InputError, UnDeployError
from un_deploy.measure.speed.statistics import ratio
from un_deploy.measure.speed.timing import reloads


@dataclass(frozen=True)
class Effort:
    """How long a cell is measured; see `un_deploy.measure.speed.timing.reloads`."""

    builds: int = 5
    rounds: int = 20
    sample_s: float = 0.002


SMALL = Effort(builds=3, rounds=5, sample_s=0.001)


def measure(cell: Cell, folder: Path, device: str, effort: Effort) -> dict[str, Any]:
    """Check and time a cell.

    Args:
        cell: what is measured.
        folder: with what was prepared.
        device: as torch names it.
        effort: how long to measure.

    Returns:
        plain data: the status "timed", times, ratios, gates, memory; or "refused" or
        "not runnable", and the reason.
    """
    try:
        return {"status": "timed", **_timed(_load(cell, folder, device), cell, folder, effort)}
    except gates.RefusedError as error:
        return {"status": "refused", "reason": str(error)}
    except UnDeployError as error:
        return {"status": "not runnable", "reason": str(error)}
    finally:
        if device.startswith("cuda"):
            torch.cuda.empty_cache()


def count_kernels(cell: Cell, folder: Path, device: str) -> dict[str, int]:
    """Kernels of one run of each variant of a cell, in a process that times nothing.

    Compiling leaves what it makes in the folder's cache, from where `measure` takes it.
    """
    loaded = _load(cell, folder, device)
    return loaded.kernels() if isinstance(loaded, TorchCell) else {}


def _load(cell: Cell, folder: Path, device: str) -> TorchCell | GraphCell:
    path = inputs_file(folder, cell.network)
    if not path.is_file():
        raise InputError("its inputs were not prepared")
    with np.load(path) as archive:
        feeds = {name: array[np.arange(cell.batch) % ROWS] for name, array in archive.items()}
    return (GraphCell if cell.mode in GRAPHS else TorchCell)(cell, folder, device, feeds)


def _timed(
    loaded: TorchCell | GraphCell, cell: Cell, folder: Path, effort: Effort
) -> dict[str, Any]:
    found, right, left = loaded.gates(), [], {}
    for variant in cell.variants:
        reference = reference_file(folder, cell.network, variant)
        if variant not in loaded.variants or not reference.is_file():
            left[variant] = "it was not prepared"
            continue
        gate = gates.answers(variant, loaded.outputs(variant), reference, loaded.precision)
        found.append(gate)
        if gate.passed:
            right.append(variant)
        else:
            left[variant] = f"its answers are wrong: {gate.found}"
    if not right:
        raise gates.RefusedError("no variant gives right answers")
    gc.collect()
    gc.freeze()  # else the collection before each build would take longer than its rounds
    try:
        times = reloads(
            lambda name: loaded.timer(name.removesuffix(AGAIN)),
            [name for name in cell.entries() if name.removesuffix(AGAIN) in right],
            **asdict(effort),
        )
    finally:
        gc.unfreeze()
    ratios = {f"{a} / {b}": ratio(times[a], times[b]) for a, b in _pairs(times)}
    if "folded / none" in ratios:
        found.append(gates.as_fast(ratios["folded / none"]))
    return {
        **asdict(effort),
        "median_s": {name: float(f"{np.median(t):.6g}") for name, t in times.items()},
        "ratios": {name: interval.to_dict() for name, interval in ratios.items()},
        "gates": [asdict(gate) for gate in found],
        "left": left,
        **loaded.facts(),
        "seconds": {n: [[float(f"{s:.6g}") for s in b] for b in t] for n, t in times.items()},
    }


def _pairs(times: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Which times are divided by which: over folded, folded over no norm, the A/A control."""
    wanted = [(name, "folded") for name in VARIANTS if name not in ("folded", "none")]
    wanted += [("folded", "none"), ("ln", "none"), *((f"{name}{AGAIN}", name) for name in TWICE)]
    return (pair for pair in wanted if times.keys() >= set(pair))
