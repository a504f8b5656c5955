"""What a norm costs in training on a CPU: one forward and backward of each, in one thread.

    python -m benchmarks.norm_training [--shape 32x197x384 ...] [--compiled | --eager]

A training step of a norm alone is timed against that of `x * weight + bias`, the least that a
norm with parameters can do, and against LayerNorm's. Five builds, each a fresh process, take all
norms in turn. Times are seconds of processor time, not of a clock on the wall: in one thread they
are the same on an idle machine, and other programs' share is left out on a busy one.

Results go to benchmarks/results/norm_training.json, one entry a shape and way of running, replaced
when it is measured again, and from there to the table at the end of norm_training.md.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

from benchmarks import entries
from models.norms import NORMS as BY_NAME
from un_deploy.measure.speed.environment import environment
from un_deploy.measure.speed.timing import interleaved
from un_deploy.nn import UnifiedNorm
from un_deploy.nn.robust import Normalize, RobustRule
from un_deploy.nn.rule import State
from un_deploy.nn.statistics import second_moment

RESULT = Path(__file__).parent / "results" / "norm_training.json"
PAGE = RESULT.with_suffix(".md")
TABLE = "## Table\n"
SHAPES = {"32x197x384": (32, 197, 384), "8x1024x768": (8, 1024, 768), "64x49x96": (64, 49, 96)}
"""(batch, tokens, channels): ViT-Small, a sequence of 1,024, a Swin stage's windows."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's malloc.h."""

LEAST, CONTROL, LAYER_NORM = "x * w + b", "x * w + b, again", "LayerNorm"


class Affine(nn.Module):
    """x * weight + bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


class WithoutHistory(RobustRule):
    """Normalises by the batch's own moment and keeps nothing: the least a rule like UN's takes."""

    def train(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        moment = second_moment(x.detach(), padding_mask, state["running_var"])
        std = (moment.value + self.eps).sqrt()
        length = std * moment.divisor**0.5
        inv_std = std.reciprocal()
        y: Tensor = Normalize.apply(x, weight, bias, length, inv_std, padding_mask, self.ranks)
        return y


def without_history(channels: int) -> UnifiedNorm:
    """A norm with that rule."""
    norm = UnifiedNorm(channels)
    norm.rule = WithoutHistory()
    return norm


NORMS: dict[str, Callable[[int], nn.Module]] = {
    LAYER_NORM: nn.LayerNorm,
    "RMSNorm": BY_NAME["rms"],
    "BatchNorm over tokens": BY_NAME["bn"],
    "DyT": BY_NAME["dyt"],
    "Derf": BY_NAME["derf"],
    LEAST: Affine,
    CONTROL: Affine,
    "no history": without_history,
    "UN robust": UnifiedNorm,
    "UN paper": partial(UnifiedNorm, mode="paper", warmup_iters=0),
    "UN official": partial(UnifiedNorm, mode="official", warmup_iters=0),
}
NEVER_COMPILED = {"UN official"}
"""Reads the device's values on the host."""


def build(number: int, shape: str, compiled: bool, rounds: int, sample_s: float) -> Any:
    """Seconds of a training step of every norm, by name, one number a round."""
    torch.set_num_threads(1)
    torch.manual_seed(number)
    keep_freed_memory()
    norms: dict[str, Any] = {
        name: new(SHAPES[shape][-1])
        for name, new in NORMS.items()
        if not (compiled and name in NEVER_COMPILED)
    }
    if compiled:
        norms = {name: torch.compile(norm, fullgraph=True) for name, norm in norms.items()}
    timers = {name: partial(seconds, norm, SHAPES[shape]) for name, norm in norms.items()}
    return interleaved(timers, rounds=rounds, sample_s=sample_s, reverse=number % 2 == 1)


def keep_freed_memory() -> None:
    """As in a network, whose heap is larger than one norm's tensors.

    Else glibc hands the memory of each step back to the system, and page faults are what is timed.
    """
    glibc = ctypes.CDLL(None)
    glibc.mallopt(M_MMAP_THRESHOLD, 2**25)
    glibc.mallopt(M_TRIM_THRESHOLD, 2**30)


def seconds(norm: nn.Module, shape: tuple[int, ...], steps: int) -> float:
    """Processor time of so many steps: gradients are dropped, then made."""
    x, dy = torch.randn(shape, requires_grad=True), torch.randn(shape)
    start = time.process_time()
    for _ in range(steps):
        x.grad = None
        norm.zero_grad()
        norm(x).backward(dy)
    return time.process_time() - start


def measure(
    shape: str, compiled: bool, builds: int, rounds: int, sample_s: float
) -> dict[str, Any]:
    """One entry of the result: medians, and ratios with their intervals."""
    found = entries.in_fresh_processes(build, builds, shape, compiled, rounds, sample_s)
    return {
        "shape": shape,
        "compiled": compiled,
        "threads": 1,
        "clock": "processor time",
        "sample_s": sample_s,
        "median_s": entries.medians(found),
        "over_least": entries.over(found, LEAST),
        "over_layer_norm": entries.over(found, LAYER_NORM),
        "environment": environment(),
    }


def table(measured: list[dict[str, Any]]) -> str:
    """Markdown: a row for each norm; each cell the time, and the ratio to `x * w + b`."""
    titles = [f"{e['shape']}, {'compiled' if e['compiled'] else 'eager'}" for e in measured]
    rows = ([name, *(cell(entry, name) for entry in measured)] for name in NORMS)
    return "\n".join(entries.table(["norm", *titles], rows)) + "\n"


def cell(entry: dict[str, Any], name: str) -> str:
    """Median, ratio and interval of one norm; else why there are none."""
    if name not in entry["median_s"]:
        return "cannot" if entry["compiled"] and name in NEVER_COMPILED else "not measured"
    time_us = f"{entry['median_s'][name] * 1e6:,.0f} us"
    if name == LEAST:
        return time_us
    found = entry["over_least"][name]
    return f"{time_us}, {found['ratio']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


@click.command()
@click.option("--shape", "shapes", multiple=True, type=click.Choice([*SHAPES]), default=[*SHAPES])
@click.option("--compiled/--eager", "compiled", default=None, help="Without either, both.")
@click.option("--builds", default=5, show_default=True)
@click.option("--rounds", default=20, show_default=True)
@click.option("--sample-ms", default=20.0, show_default=True)
def main(
    shapes: tuple[str, ...], compiled: bool | None, builds: int, rounds: int, sample_ms: float
) -> None:
    """Measure, and write the result and its table."""
    for shape in shapes:
        for way in (False, True) if compiled is None else (compiled,):
            entry = measure(shape, way, builds, rounds, sample_ms / 1000)
            entries.write(RESULT, entry, ("shape", "compiled"), [*product(SHAPES, (False, True))])
            prose = PAGE.read_text().split(TABLE)[0] if PAGE.is_file() else ""
            PAGE.write_text(prose + TABLE + "\n" + table(entries.read(RESULT)))
    click.echo(table(entries.read(RESULT)))


if __name__ == "__main__":
    main()
