"""What do killed runs leave? Fifty folds killed at random moments.

    python -m benchmarks.killed_runs [--number 50] [--seed 0]

SIGKILL, SIGTERM and SIGHUP take turns, and so do one file to replace and two (weights beside the
model); half of the moments are drawn from the whole run, half from when it writes. The target must
be the old file or the new one, whole; what SIGTERM or SIGHUP ends clears its own away; and the next
run leaves nothing of a killed one.

The runs go to benchmarks/results/killed_runs.json and .md; the exit code is 1 if one went wrong.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from benchmarks.entries import keep, table
from tests.support.killed_runs import FORMS, SIGNALS, KilledRun, Place
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "killed_runs.json"
WIDTH = 1500  # 36 MB to write


def page(runs: list[KilledRun], seed: int) -> str:
    """The counts as a table in Markdown."""
    rows = []
    for form in FORMS:
        for name in SIGNALS:
            of = [run for run in runs if (run.form, run.signal) == (form, name)]
            targets = [sum(run.target == held for run in of) for held in ("old", "new", "neither")]
            left = sum(run.left for run in of)
            rows.append([form, name, *map(str, (len(of), *targets, left))])
    wrong = [run for run in runs if run.wrong]
    return "\n".join(
        [
            "# What killed runs leave",
            "",
            f"killed_runs.json: {len(runs)} folds killed at random moments, seed {seed};",
            f"{len(wrong)} went wrong. Something stood beside the target only until the next run.",
            "Made by `python -m benchmarks.killed_runs`.",
            "",
            *table(["weights", "signal", "runs", "old", "new", "neither", "left something"], rows),
            "",
            *(f"- wrong: {run}" for run in wrong),
        ]
    )


@click.command()
@click.option("--number", default=50, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(number: int, seed: int) -> None:
    """Kill, look, run again, and write what was found."""
    draw = np.random.default_rng(seed)
    runs = []
    with TemporaryDirectory() as folder:
        places = [Place(Path(folder, form), form, WIDTH) for form in FORMS]
        while len(runs) < number:
            place, name = places[len(runs) % 2], SIGNALS[len(runs) // 2 % 3]
            run = place.killed(name, len(runs) // 6 % 2 == 0, draw)
            if run.ended != 0 or run.wrong:  # else it was done before its moment came
                runs.append(run)
                click.echo(run)
    result = {"environment": environment(), "seed": seed, "runs": [asdict(run) for run in runs]}
    keep(RESULT, result, page(runs, seed))
    sys.exit(int(any(run.wrong for run in runs)))


if __name__ == "__main__":
    main()
