"""Loads, checks and times one cell. Runs in a worker process."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from benchmarks.gpu import gates, ratios
from benchmarks.gpu.cells import AGAIN, Cell
from benchmarks.gpu.networks import ROWS
from benchmarks.gpu.prepare import (
    REFERENCE_ROWS,
    VARIANTS_OF,
    inputs_file,
    prepared_file,
    reference_file,
)
from benchmarks.gpu.running import Entry, entry, fresh, kernels, peak_bytes, renew
from benchmarks.gpu.timing import Effort, Times, add_build, settle


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
        compiled_s: seconds of the first run of what is compiled.
    """

    modules: dict[str, fx.GraphModule] = field(default_factory=dict)
    calls: dict[str, Callable[..., Any]] = field(default_factory=dict)
    inputs: list[Tensor] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    compiled_s: dict[str, float] = field(default_factory=dict)


_LOADED: dict[str, Loaded] = {}
"""Cells that are ready, by key; compiling comes long before timing."""


def ready(cell: Cell, folder: Path, device: str) -> dict[str, float]:
    """Load a cell, and compile it if it is to be compiled.

    Returns:
        seconds of compiling, by variant.

    Raises:
        NotRunnableError: this machine cannot run it.
        RefusedError: the variants are not alike in what was recognised.
    """
    if cell.mode != "eager" and cell.mode != "compile" and not device.startswith("cuda"):
        raise NotRunnableError(f"{cell.mode} needs a CUDA device")
    _no_tf32()
    loaded = Loaded()
    originals = {}
    for variant in cell.variants:
        path = prepared_file(folder, cell.network, variant, cell.precision, cell.recognize)
        if path.is_file():
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
    _LOADED[cell.key] = loaded
    return loaded.compiled_s


def measure(cell: Cell, folder: Path, device: str, effort: Effort, until: float) -> dict[str, Any]:
    """Check and time a cell.

    Args:
        cell: made ready before, or now.
        folder: with what was prepared.
        device: as torch names it.
        effort: how long to measure.
        until: `time.monotonic()` after which no further build is begun.

    Returns:
        plain data: times, ratios, gates, memory, kernels.

    Raises:
        NotRunnableError, RefusedError: see `ready`; or no variant gives right answers.
    """
    if cell.key not in _LOADED:
        ready(cell, folder, device)
    loaded = _LOADED.pop(cell.key)
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
    found = [gates.told(gates.alike(loaded.modules))]
    for variant in list(loaded.modules):
        gate = _answers(cell, variant, loaded, folder)
        found.append({**gates.told(gate), "variant": variant})
        if not gate.passed:
            loaded.left[variant] = f"its answers are wrong: {gate.found}"
            del loaded.modules[variant], loaded.calls[variant]
    if not loaded.modules:
        raise RefusedError("no variant gives right answers")
    if {"folded", "none"} <= loaded.modules.keys():
        gate = gates.no_norm_left(loaded.modules["folded"], loaded.modules["none"])
        found.append(gates.told(gate))
    bound = {name: _bound(call, loaded.inputs) for name, call in loaded.calls.items()}
    memory = {name: peak_bytes(call, device) for name, call in bound.items()}
    counted = {name: kernels(call, device) for name, call in bound.items()}
    captured = cell.mode != "eager" and device.startswith("cuda")
    times, pools = _times(cell, loaded, device, effort, until, captured)
    told: dict[str, Any] = {}
    folded_over_none = None
    for a, b in ratios.pairs(times.device):
        interval, told[f"{a} / {b}"] = ratios.interval(times.device[a], times.device[b])
        if (a, b) == ("folded", "none"):
            folded_over_none = interval
    if "folded / none" in told:
        found.append(gates.told(gates.as_fast(folded_over_none)))
    return {
        "runs": times.runs,
        "rounds": times.rounds,
        "builds": times.builds,
        "builds_are": "reloads in one process: new copies of weights and inputs, new captures",
        "median_s": _medians(times.device),
        "wall_s": _medians(times.wall),
        "queued_s": _medians(times.queued),
        "ratios": told,
        "gates": found,
        "left": loaded.left,
        "peak_bytes": memory,
        "pool_bytes": pools,
        "kernels": counted,
        "compiled_s": loaded.compiled_s,
        "seconds": {
            name: [[float(f"{s:.6g}") for s in build] for build in builds]
            for name, builds in times.device.items()
        },
        "effort": asdict(effort),
    }


def _times(
    cell: Cell, loaded: Loaded, device: str, effort: Effort, until: float, captured: bool
) -> tuple[Times, dict[str, int | None]]:
    names = [name for name in cell.entries() if name.removesuffix(AGAIN) in loaded.modules]
    times, pools = Times(), {}
    if captured:  # what the libraries allocate at the first capture belongs to no variant
        entry(loaded.calls[names[0]], loaded.inputs, device, captured=True)
    for build in range(effort.builds):
        began = time.monotonic()
        made = _entries(names, loaded, device, captured, random.Random(f"{effort.seed} {build}"))
        if not build:
            settle(times, made, effort)
            pools = {name: one.pool_bytes for name, one in made.items() if AGAIN not in name}
        add_build(times, made, effort)
        del made
        now = time.monotonic()
        if now + (now - began) > until:
            break
    return times, pools


def _entries(
    names: list[str], loaded: Loaded, device: str, captured: bool, order: random.Random
) -> dict[str, Entry]:
    """One build: every entry on weights and inputs of its own, allocated in a shuffled order.

    What is captured keeps the addresses it was captured with, so one compiled function serves all
    its captures, each on other copies of the weights. What is not captured reads its module's
    weights at every run, so there a second entry of a variant needs a module of its own; what is
    compiled and not captured shares it, since another module would be compiled anew.
    """
    padding = torch.empty(order.randrange(1, 1 << 20), dtype=torch.uint8, device=device)
    made = {}
    for name in order.sample(names, len(names)):
        variant = name.removesuffix(AGAIN)
        module, call = loaded.modules[variant], loaded.calls[variant]
        if captured:
            held = dict(_buffers(module))
            renew(module, device)
            made[name] = entry(call, loaded.inputs, device, captured=True)
            made[name].holds = [held, dict(_buffers(module))]
        elif call is module:
            own = fresh(module, device)
            made[name] = entry(own, loaded.inputs, device, captured=False)
        else:
            renew(module, device)
            made[name] = entry(call, loaded.inputs, device, captured=False)
    del padding
    return {name: made[name] for name in names}


def _buffers(module: fx.GraphModule) -> list[tuple[str, Tensor]]:
    return list(module.named_buffers(remove_duplicate=False))


def _answers(cell: Cell, variant: str, loaded: Loaded, folder: Path) -> gates.Gate:
    with np.load(reference_file(folder, cell.network, VARIANTS_OF[variant])) as archive:
        reference = dict(archive)
    outputs = loaded.calls[variant](*loaded.inputs)
    rows = [row for row in range(cell.batch) if row % ROWS < REFERENCE_ROWS]
    wanted = {name: array[[row % ROWS for row in rows]] for name, array in reference.items()}
    finite = all(bool(out.isfinite().all()) for out in outputs if out.is_floating_point())
    if not finite:
        return gates.Gate("answers", False, "an output is not finite")
    got = {name: gates.as_numpy(out[rows]) for name, out in zip(reference, outputs, strict=True)}
    return gates.answers(got, wanted, cell.precision)


def _inputs(cell: Cell, folder: Path, device: str) -> list[Tensor]:
    with np.load(inputs_file(folder, cell.network)) as archive:
        rows = [torch.from_numpy(array) for array in archive.values()]
    take = torch.arange(cell.batch) % ROWS
    made = [row[take].to(device) for row in rows]
    half = getattr(torch, cell.precision)
    return [t.to(half) if t.is_floating_point() else t for t in made]


@cache
def _modules(path: Path) -> Mapping[int, fx.GraphModule]:
    modules: dict[int, fx.GraphModule] = torch.load(path, weights_only=False, mmap=True)
    return modules


def _compiled(cell: Cell, module: fx.GraphModule) -> Callable[..., Any]:
    mode = "max-autotune-no-cudagraphs" if cell.mode == "max-autotune" else None
    torch._dynamo.config.recompile_limit = 64
    return torch.compile(module, fullgraph=True, dynamic=False, mode=mode)


def _bound(call: Callable[..., Any], inputs: list[Tensor]) -> Callable[[], Any]:
    return lambda: call(*inputs)


def _no_tf32() -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _medians(table: Mapping[str, list[list[float]]]) -> dict[str, float]:
    return {name: float(f"{np.median(builds):.6g}") for name, builds in table.items()}
