"""Checks and times one cell. Runs in a worker process."""

from __future__ import annotations

import copy
import gc
import random
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu import gates, ratios
from benchmarks.gpu.cells import AGAIN, Cell
from benchmarks.gpu.load_cell import Loaded, RefusedError, load
from benchmarks.gpu.networks import ROWS
from benchmarks.gpu.prepare import REFERENCE_ROWS, reference_file
from benchmarks.gpu.running import Entry, captured_entry, kernels, plain_entry, renew
from benchmarks.gpu.timing import Effort, Times, add_build, settle
from un_deploy.runtime.torch_graph.memory import peak_bytes

RELOADS = "reloads in one process: new copies of weights and inputs, new captures"
"""What the builds are."""

_LOADED: dict[str, Loaded] = {}
"""Cells that are ready, by key; compiling comes long before timing."""


def ready(cell: Cell, folder: Path, device: str) -> dict[str, float]:
    """Load and compile a cell that will be measured later.

    Returns:
        seconds of compiling, by variant.

    Raises:
        NotRunnableError, RefusedError: see `load`.
    """
    _LOADED[cell.key] = load(cell, folder, device)
    return _LOADED[cell.key].compiled_s


def measure(cell: Cell, folder: Path, device: str, effort: Effort, until: float) -> dict[str, Any]:
    """Check and time a cell.

    Args:
        cell: made ready before, or now; not one of ONNX Runtime.
        folder: with what was prepared.
        device: as torch names it.
        effort: how long to measure.
        until: `time.monotonic()` after which no further build is begun.

    Returns:
        plain data: times, ratios, gates, memory.

    Raises:
        NotRunnableError, RefusedError: see `load`; or no variant gives right answers.
    """
    loaded = _LOADED.pop(cell.key, None) or load(cell, folder, device)
    gc.collect()
    gc.freeze()
    try:
        with torch.inference_mode():
            return _measure(cell, loaded, folder, device, effort, until)
    finally:
        gc.unfreeze()
        del loaded
        if device.startswith("cuda"):
            torch.cuda.empty_cache()


def _measure(
    cell: Cell, loaded: Loaded, folder: Path, device: str, effort: Effort, until: float
) -> dict[str, Any]:
    found = [gates.alike(loaded.modules)]
    for variant in list(loaded.modules):
        gate = _answers(cell, variant, loaded, folder)
        found.append(gate)
        if not gate.passed:
            loaded.left[variant] = f"its answers are wrong: {gate.found}"
            del loaded.modules[variant], loaded.calls[variant]
    if not loaded.modules:
        raise RefusedError("no variant gives right answers")
    if {"folded", "none"} <= loaded.modules.keys():
        found.append(gates.no_norm_left(loaded.modules["folded"], loaded.modules["none"]))
    memory = {
        name: peak_bytes(partial(call, *loaded.inputs), device)
        for name, call in loaded.calls.items()
    }
    captured = cell.mode != "eager" and device.startswith("cuda")
    names = [name for name in cell.entries() if name.removesuffix(AGAIN) in loaded.modules]
    times, pools = Times(), {}
    if captured:  # what the libraries allocate at the first capture belongs to no variant
        captured_entry(loaded.calls[names[0]], loaded.inputs, device)
    for build in range(effort.builds):
        began = time.monotonic()
        made = _entries(names, loaded, device, captured, random.Random(f"{effort.seed} {build}"))
        if not build:
            settle(times, made, effort)
            pools = {name: one.pool_bytes() for name, one in made.items() if AGAIN not in name}
        add_build(times, made, effort)
        del made
        now = time.monotonic()
        if now + (now - began) > until:
            break
    counted: dict[str, int | None] = {}
    if cell.compiled:  # at the very end: a profiler may slow down all later launches
        counted = {n: kernels(call, loaded.inputs, device) for n, call in loaded.calls.items()}
    return {
        **told(times, found),
        "kernels": counted,
        "builds_are": RELOADS,
        "left": loaded.left,
        "peak_bytes": memory,
        "pool_bytes": pools,
        "compiled_s": loaded.compiled_s,
    }


def told(times: Times, found: Sequence[gates.Gate]) -> dict[str, Any]:
    """Times, their ratios, and all gates, that on times among them, as plain data."""
    ratio_of, folded = {}, None
    for a, b in ratios.pairs(times.device):
        interval, ratio_of[f"{a} / {b}"] = ratios.interval(times.device[a], times.device[b])
        folded = interval if (a, b) == ("folded", "none") else folded
    if "folded / none" in ratio_of:
        found = [*found, gates.as_fast(folded)]
    return {
        "runs": times.runs,
        "rounds": times.rounds,
        "builds": times.builds,
        "median_s": _medians(times.device),
        "wall_s": _medians(times.wall),
        "queued_s": _medians(times.queued),
        "ratios": ratio_of,
        "gates": [dict(vars(gate)) for gate in found],
        "seconds": {
            name: [[float(f"{s:.6g}") for s in build] for build in builds]
            for name, builds in times.device.items()
        },
    }


def _entries(
    names: Sequence[str], loaded: Loaded, device: str, captured: bool, order: random.Random
) -> dict[str, Entry]:
    """One build: every entry on weights and inputs of its own, allocated in a shuffled order.

    What is captured keeps the addresses it was captured with, so one function serves all its
    captures, each on other copies of the weights. What is not captured reads its module's weights
    at every run, so there the second entry of a variant needs a module of its own (`loaded.again`);
    what is compiled and not captured shares it, since another module would be compiled anew.
    """
    padding = torch.empty(order.randrange(1, 1 << 20), dtype=torch.uint8, device=device)
    made = {}
    for name in order.sample(names, len(names)):
        variant = name.removesuffix(AGAIN)
        module, call = loaded.modules[variant], loaded.calls[variant]
        if not captured and call is module and name != variant:
            if name not in loaded.again:
                loaded.again[name] = copy.copy(module)
            module = call = loaded.again[name]
        renew(module, device)
        if captured:
            made[name] = captured_entry(call, loaded.inputs, device, holds=list(module.buffers()))
        else:
            made[name] = plain_entry(call, loaded.inputs, device)
    del padding
    return {name: made[name] for name in names}


def _answers(cell: Cell, variant: str, loaded: Loaded, folder: Path) -> gates.Gate:
    with np.load(reference_file(folder, cell.network, variant)) as archive:
        reference = dict(archive)
    outputs = loaded.calls[variant](*loaded.inputs)
    rows = [row for row in range(cell.batch) if row % ROWS < REFERENCE_ROWS]
    wanted = {name: array[[row % ROWS for row in rows]] for name, array in reference.items()}
    got = {name: out[rows].float().cpu() for name, out in zip(reference, outputs, strict=True)}
    return gates.answers(
        variant,
        {name: array.numpy() for name, array in got.items()},
        wanted,
        cell.precision,
        finite=all(bool(out.isfinite().all()) for out in outputs),
    )


def _medians(table: Mapping[str, list[list[float]]]) -> dict[str, float]:
    return {name: float(f"{np.median(builds):.6g}") for name, builds in table.items()}
