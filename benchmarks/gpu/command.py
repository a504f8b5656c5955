"""Runs the suite and writes what it found."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import click

from benchmarks.gpu.cells import Series
from benchmarks.gpu.heat_map import heat_map
from benchmarks.gpu.journal import Journal, read
from benchmarks.gpu.report import failed_gates, report, table
from benchmarks.gpu.suite import Settings, Suite
from benchmarks.gpu.timing import Effort
from benchmarks.gpu.workers import WorkerError

LARGE = Effort()
SMALL = Effort(builds=3, rounds=5, sample_s=0.001, cell_s=1.0)


def run(
    series: Sequence[Series],
    *,
    out: Path,
    folder: Path,
    device: str,
    small: bool,
    budget_s: float,
    began: float,
    wheels: Sequence[str] = (),
    done: Path | None = None,
    seed: int = 0,
    effort: Effort | None = None,
    keep: tuple[str, ...] = (),
) -> int:
    """Run the suite, write its files, print its table.

    Args:
        series: the cells.
        out: for cells.jsonl, suite.json, table.txt and map.svg.
        folder: for what is prepared.
        device: as torch names it.
        small: short effort.
        budget_s: seconds for everything, from `began`.
        began: `time.monotonic()` at the start of the command.
        wheels: names of the wheels in use.
        done: a journal whose timed cells are taken over, not measured again; it may be the one in
            `out`, which is written anew.
        seed: of the order of timing.
        effort: of every cell; None: by `small`.
        keep: see `benchmarks.gpu.prepare.Recipe`.

    Returns:
        the exit code: 3 if a variant's answers are wrong, variants are not alike, or a norm is
        left in what should have none; else 1 if a cell failed; else 0.
    """
    chosen = effort or (SMALL if small else LARGE)
    settings = Settings(
        device=device,
        budget_s=budget_s,
        effort=Effort(**{**asdict(chosen), "seed": seed}),
        warm_s=0.2 if small else 2.0,
        reserve_s=1.0 if small else 10.0,
        prepare_share=0.8 if small else 0.35,
        keep=keep,
    )
    path = out / "cells.jsonl"
    finished = {
        line["key"]: line
        for line in (read(done) if done else [])
        if line["kind"] == "cell" and line["status"] == "timed"
    }
    path.unlink(missing_ok=True)
    journal = Journal(path)
    journal.write("start", settings=asdict(settings), wheels=list(wheels))
    for line in finished.values():
        journal.write(**{**line, "from_earlier_run": True})
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        Suite(series, settings, folder, journal, began, click.echo).run(finished)
    except KeyboardInterrupt:
        journal.write("interrupted", at_s=round(time.monotonic() - began, 1))
        click.echo("Interrupted: what is finished is written.")
    except WorkerError as error:
        raise click.ClickException(f"{device} cannot be used: {error}") from error
    journal.write("end", at_s=round(time.monotonic() - began, 1))
    return write(series, path, out)


def write(series: Sequence[Series], journal: Path, out: Path) -> int:
    """Write the report of a journal, print its table, and return the exit code."""
    found = report(series, read(journal))
    (out / "suite.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = table(found)
    (out / "table.txt").write_text(text, encoding="utf-8")
    (out / "map.svg").write_text(heat_map(found), encoding="utf-8")
    click.echo(text)
    if failed_gates(found, of_times=False):
        return 3
    return int(any(cell["status"] == "failed" for cell in found["cells"]))


def _interrupt(number: int, frame: FrameType | None) -> Any:
    raise KeyboardInterrupt
