"""What does folding Unified Normalization save on a GPU? One command, at most nine minutes.

    PYTHONPATH=. python benchmarks/gpu_suite.py --out FOLDER
    PYTHONPATH=. python benchmarks/gpu_suite.py --device cpu --small --out FOLDER

Every network is built, exported, folded and imported here, then timed as LN, LN in separate
kernels, UN in three forms, folded, and without norms; eager, as a CUDA graph, and compiled.
FOLDER gets cells.jsonl (every cell as soon as it is finished), suite.json, table.txt and map.svg.
Packages that the machine lacks are taken from a folder of wheels. benchmarks/gpu has the parts.
The exit code is 3 if a variant's answers are wrong, variants are not alike, or a norm is left in
what should have none; else 1 if a cell failed; else 0.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

BEGAN = time.monotonic()
ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import click  # noqa: E402

from benchmarks.gpu.wheels import use_wheels  # noqa: E402

MEMORY = Path("/dev/shm")

ROOM = 32 << 30
"""Bytes free in memory from which on prepared networks go there: six large ones take 13 GB, and
disks of rented machines write a few hundred megabytes a second."""

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="For the results.")
@click.option("--device", default="cuda", show_default=True, help="As torch names it.")
@click.option("--small", is_flag=True, help="Micro networks and few rounds.")
@click.option("--extra", is_flag=True, help="The cells of a second call.")
@click.option("--budget-s", default=540.0, show_default=True, help="Seconds for everything.")
@click.option("--compile/--no-compile", "compiled", default=None, help="Of small: off.")
@click.option("--wheels", type=FOLDER, help="With packages that the machine lacks.")
@click.option("--done", type=click.Path(exists=True, path_type=Path), help="An older cells.jsonl.")
@click.option("--work", type=FOLDER, help="For gigabytes.")
def main(
    out: Path,
    device: str,
    small: bool,
    extra: bool,
    budget_s: float,
    compiled: bool | None,
    wheels: Path | None,
    done: Path | None,
    work: Path | None,
) -> None:
    """Measure what folding saves, as far as the budget goes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not small and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM:
        work = work or MEMORY
    with TemporaryDirectory(prefix="un-deploy-gpu-", dir=work, ignore_cleanup_errors=True) as made:
        folder = Path(made)
        used = use_wheels(wheels, folder / "wheels")
        from benchmarks.gpu import cells, journal
        from benchmarks.gpu.heat_map import heat_map
        from benchmarks.gpu.measure import SMALL, Effort
        from benchmarks.gpu.report import exit_code, report, table
        from benchmarks.gpu.suite import Suite
        from benchmarks.gpu.workers import WorkerError

        series = cells.extra() if extra else cells.large()
        if small:
            series = cells.small(compiled=bool(compiled))
        elif compiled is False:
            series = tuple(one for one in series if not any(c.compiled for c in one.cells))
        out.mkdir(parents=True, exist_ok=True)
        path = out / "cells.jsonl"
        finished = journal.begin(path, done, device=device, wheels=used)
        effort = SMALL if small else Effort()
        try:
            Suite(series, device, effort, budget_s, BEGAN, folder, path, click.echo).run(finished)
        except KeyboardInterrupt:
            click.echo("Interrupted: what is finished is written.")
        except WorkerError as error:
            raise click.ClickException(f"{device} cannot be used: {error}") from error
    journal.write(path, "end", at_s=round(time.monotonic() - BEGAN, 1))
    found = report(series, journal.read(path))
    (out / "suite.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (out / "table.txt").write_text(table(found), encoding="utf-8")
    (out / "map.svg").write_text(heat_map(found), encoding="utf-8")
    click.echo(table(found))
    sys.exit(exit_code(found))


if __name__ == "__main__":
    main()
