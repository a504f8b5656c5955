"""What scaling outlier tokens down adds to a training step of Unified Normalization, on a CPU.

    python -m benchmarks.outlier_cost [--shape 32x197x384 ...] [--compiled | --eager]

Clean batches, none of which holds an outlier, at the shapes of `benchmarks.norm_training`, timed as
there: one thread, processor time, builds in fresh processes, all in turn in every round. Ratios are
to the rule without it, "before", which is timed twice as a control. What eager energies cost by
themselves stands in the page, results/outlier_tokens.md.
"""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import torch

from benchmarks import entries
from benchmarks.norm_training import SHAPES, keep_freed_memory, seconds
from benchmarks.outlier_rules import Unprotected
from un_deploy.measure.speed.environment import environment
from un_deploy.measure.speed.timing import interleaved
from un_deploy.nn import UnifiedNorm

RESULT = Path(__file__).parent / "results" / "outlier_cost.json"
BEFORE = "before"
NAMES = (BEFORE, "before, again", "outliers scaled")


def build(number: int, shape: str, compiled: bool, rounds: int, sample_s: float) -> Any:
    """Seconds of a step of each, one number a round."""
    torch.set_num_threads(1)
    torch.manual_seed(number)
    keep_freed_memory()
    norms: dict[str, Any] = {name: UnifiedNorm(SHAPES[shape][-1]) for name in NAMES}
    for name in NAMES[:2]:
        norms[name].rule = Unprotected()
    if compiled:
        norms = {name: torch.compile(norm, fullgraph=True) for name, norm in norms.items()}
    timers = {name: partial(seconds, norm, SHAPES[shape]) for name, norm in norms.items()}
    return interleaved(timers, rounds=rounds, sample_s=sample_s, reverse=number % 2 == 1)


@click.command()
@click.option("--shape", "shapes", multiple=True, type=click.Choice([*SHAPES]), default=[*SHAPES])
@click.option("--compiled/--eager", "compiled", default=None, help="Without either, both.")
@click.option("--builds", default=3, show_default=True)
@click.option("--rounds", default=24, show_default=True)
@click.option("--sample-ms", default=20.0, show_default=True)
def main(
    shapes: tuple[str, ...], compiled: bool | None, builds: int, rounds: int, sample_ms: float
) -> None:
    """Measure, and write the result."""
    for way, shape in product((False, True) if compiled is None else (compiled,), shapes):
        given = (shape, way, rounds, sample_ms / 1000)
        found = entries.in_fresh_processes(build, builds, *given)
        entry = {
            "shape": shape,
            "compiled": way,
            "median_s": entries.medians(found),
            "over_before": entries.over(found, BEFORE),
            "environment": environment(),
        }
        entries.write(RESULT, entry, ("shape", "compiled"), [*product(SHAPES, (False, True))])
        click.echo(
            f"{shape}, {'compiled' if way else 'eager'}: {entries.line(entry['over_before'])}"
        )


if __name__ == "__main__":
    main()
