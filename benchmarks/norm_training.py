"""What a training step of the norm alone costs: LayerNorm, BatchNorm, x * w + b and our UN.

    python -m benchmarks.norm_training [--only 64,49,96 ...] [--way eager]

Forward and backward of one module on the CPU, one thread. Eager, every norm is held against
x * w + b, the scale and shift that each of them has to do anyway, written as a module; compiled
(inductor), against compiled LayerNorm. What it is held against is timed once more as the control.
The UNs are past their warm-up and their windows are full. mode="official" synchronises with the
host and cannot be compiled. All are timed in turn; every build is a fresh process. Results go to
benchmarks/results/norm_training.json, one entry a shape and way, replaced when it is measured
again, and as a table to norm_training.md beside it.
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from un_deploy.measure.environment import environment
from un_deploy.measure.statistics import ratio
from un_deploy.measure.timing import interleaved
from un_deploy.nn import UnifiedNorm
from un_deploy.runtime.protocol import Timer

RESULT = Path(__file__).parent / "results" / "norm_training.json"
SHAPES = {"32,197,384": (32, 197, 384), "8,1024,768": (8, 1024, 768), "64,49,96": (64, 49, 96)}
WARM_STEPS = 12
PAST_WARM_UP = 5000
HEAP = 30 * 2**20
"""Bytes that a network holds beside its norm; in a smaller heap glibc returns the memory of every
step to the system, and page faults are measured."""


class ScaleAndShift(nn.Module):
    """x * w + b as anyone would write it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


class TokenBatchNorm(nn.Module):
    """nn.BatchNorm1d over all tokens of (..., C)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x.flatten(0, -2)).view_as(x)
        return y


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "LayerNorm": nn.LayerNorm,
    "BatchNorm": TokenBatchNorm,
    "x * w + b": ScaleAndShift,
    "UN robust": UnifiedNorm,
    "UN paper": partial(UnifiedNorm, mode="paper"),
    "UN official": partial(UnifiedNorm, mode="official"),
}
AGAIN = ", again"
OVER = {"eager": "x * w + b", "compiled": "LayerNorm"}
LIMITS = {"eager": 1.2, "compiled": 1.0}
"""How much "UN robust" may take, in units of OVER."""


def variants(way: str) -> dict[str, Callable[[int], nn.Module]]:
    """What is timed, by name, the control among it."""
    names = [name for name in NORMS if way == "eager" or name != "UN official"]
    chosen = {name: NORMS[name] for name in names}
    return {**chosen, OVER[way] + AGAIN: NORMS[OVER[way]]}


def build(shape: tuple[int, ...], way: str, rounds: int, sample_s: float, number: int) -> Any:
    """Seconds a step by variant, one number a round, from the process that this runs in."""
    torch.set_num_threads(1)
    torch.manual_seed(number)
    torch.ones(HEAP, dtype=torch.uint8)
    x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)
    timers = {}
    for name, make in variants(way).items():
        norm = make(shape[-1])
        run = compiled(norm, x) if way == "compiled" else norm
        timers[name] = timer_of(norm, run, x, dy)
        timers[name](WARM_STEPS)
        if isinstance(norm, UnifiedNorm):
            norm.iters.fill_(PAST_WARM_UP)
    return interleaved(timers, rounds=rounds, sample_s=sample_s, reverse=number % 2 == 1)


def compiled(norm: nn.Module, x: Tensor) -> Callable[[Tensor], Tensor]:
    """The norm as one compiled graph, which computes what the norm does.

    Raises:
        AssertionError: it does not.
    """
    expected = deepcopy(norm)(x)
    run: Callable[[Tensor], Tensor] = torch.compile(norm, fullgraph=True)
    torch.testing.assert_close(run(x), expected, rtol=1e-4, atol=1e-4)
    return run


def timer_of(norm: nn.Module, run: Callable[[Tensor], Tensor], x: Tensor, dy: Tensor) -> Timer:
    """Steps of `run`, which calls `norm`: gradients forgotten, forward, backward."""
    parameters = list(norm.parameters())

    def seconds(runs: int) -> float:
        start = time.perf_counter()
        for _ in range(runs):
            x.grad = None
            for parameter in parameters:
                parameter.grad = None
            run(x).backward(dy)
        return time.perf_counter() - start

    return seconds


def measure(name: str, way: str, builds: int, rounds: int, sample_s: float) -> dict[str, Any]:
    """One shape in one way: each variant's time over that of OVER."""
    work = partial(build, SHAPES[name], way, rounds, sample_s)
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:
        found = list(fresh.imap(work, range(builds)))
    seconds = {key: [times[key] for times in found] for key in variants(way)}
    over = {
        key: ratio(times, seconds[OVER[way]]) for key, times in seconds.items() if key != OVER[way]
    }
    return {
        "shape": list(SHAPES[name]),
        "way": way,
        "threads": 1,
        "sample_s": sample_s,
        "median_s": {key: float(np.median(times)) for key, times in seconds.items()},
        "over": OVER[way],
        "ratios": {key: {**asdict(i), "significant": i.significant} for key, i in over.items()},
        "limit": LIMITS[way],
        "within_limit": over["UN robust"].high <= LIMITS[way],
        "environment": environment(),
    }


def merged(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The result file's entries with this one in place of an older one of its shape and way."""
    old = json.loads(RESULT.read_text())["entries"] if RESULT.is_file() else []
    by_key = {(tuple(e["shape"]), e["way"]): e for e in [*old, entry]}
    order = [(shape, way) for way in OVER for shape in SHAPES.values()]
    return [by_key[key] for key in order if key in by_key]


def table(entries: list[dict[str, Any]]) -> str:
    """All entries as Markdown."""
    lines = [
        "# A training step of the norm alone",
        "",
        "Written by `python -m benchmarks.norm_training`, which says what is measured; "
        "norm_training.json has more digits",
        "and the environments. Ratios with their intervals over fresh processes.",
    ]
    for entry in entries:
        shape = ", ".join(map(str, entry["shape"]))
        found = next(iter(entry["ratios"].values()))
        where = entry["environment"]
        lines += [
            "",
            f"## {shape}, {entry['way']}",
            "",
            f"{where['cpu']}, {entry['threads']} thread, torch {where['torch']}, "
            f"Python {where['python']}; {found['builds']} builds of {found['rounds']} rounds, "
            f"confidence {found['confidence']:.0%}. Limit of UN robust: {entry['limit']}, "
            f"{'kept' if entry['within_limit'] else 'not kept'} by the whole interval.",
            "",
            f"| norm | ms | over {entry['over']} |",
            "|---|---|---|",
        ]
        for name, median in entry["median_s"].items():
            told = "1"
            if name in entry["ratios"]:
                i = entry["ratios"][name]
                told = f"{i['ratio']:.3f} [{i['low']:.3f}, {i['high']:.3f}]"
            lines.append(f"| {name} | {median * 1e3:.3f} | {told} |")
        if entry["way"] == "compiled":
            lines.append("| UN official | - | cannot be compiled |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--only", multiple=True, type=click.Choice([*SHAPES]), default=[*SHAPES])
@click.option("--way", "ways", multiple=True, type=click.Choice([*OVER]), default=[*OVER])
@click.option("--builds", default=5, show_default=True)
@click.option("--rounds", default=20, show_default=True)
@click.option("--sample-ms", default=20.0, show_default=True)
def main(
    only: tuple[str, ...], ways: tuple[str, ...], builds: int, rounds: int, sample_ms: float
) -> None:
    """Measure, print a line for each shape and way, and write the results."""
    for way in ways:
        for name in only:
            entry = measure(name, way, builds, rounds, sample_ms / 1000)
            entries = merged(entry)
            RESULT.write_text(json.dumps({"entries": entries}, indent=2) + "\n")
            RESULT.with_suffix(".md").write_text(table(entries))
            parts = [
                f"{key} {i['ratio']:.3f} [{i['low']:.3f}, {i['high']:.3f}]"
                for key, i in entry["ratios"].items()
            ]
            click.echo(f"({name}) {way}, over {entry['over']}: {', '.join(parts)}")


if __name__ == "__main__":
    main()
