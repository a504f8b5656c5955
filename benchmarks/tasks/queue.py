"""Runs every training and judgement of the two tasks that has not ended, one after another.

    python -m benchmarks.tasks.queue --out FOLDER [--dry-run]
    python -m benchmarks.tasks.queue --out FOLDER --collect

Weights and logs go to FOLDER; --collect copies the logs that have ended to benchmarks/results.
The same command goes on where it was killed: a training takes up its last complete epoch. One that
fails is told of and left for the next call, and the queue goes on. A second queue on one folder
waits until the first has ended.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.tasks.jobs import JOBS, Job

RESULTS = Path(__file__).parents[1] / "results"


def run(jobs: Sequence[Job], out: Path) -> list[Job]:
    """Run what has not ended; gives those that failed."""
    failed = []
    for job in jobs:
        if job.is_done(out):
            continue
        command = [part.format(out=out) for part in job.command]
        click.echo(f"{time.strftime('%F %T')} {' '.join(command)}")
        (out / job.log).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", *command], check=False)
        if not job.is_done(out):
            click.echo(f"{time.strftime('%F %T')} failed: {job.log}")
            failed.append(job)
    return failed


def collect(jobs: Sequence[Job], out: Path, results: Path) -> list[Path]:
    """Copy every log that has ended; gives where to."""
    ended = [job for job in jobs if job.is_done(out)]
    for job in ended:
        (results / job.log).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(out / job.log, results / job.log)
    return [results / job.log for job in ended]


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--dry-run", is_flag=True, help="Only say what has not ended.")
@click.option("--collect", "copy", is_flag=True, help="Only copy the logs that have ended.")
def main(out: Path, dry_run: bool, copy: bool) -> None:
    """Run what the protocols name and has not ended."""
    if copy:
        click.echo(f"copied {len(collect(JOBS, out, RESULTS))} of {len(JOBS)} logs")
    elif dry_run:
        for job in JOBS:
            click.echo(f"{'ended' if job.is_done(out) else '     '} {job.log}")
    else:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "queue.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            raise SystemExit(bool(run(JOBS, out)))


if __name__ == "__main__":
    main()
