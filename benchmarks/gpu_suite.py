"""What does folding Unified Normalization save on a GPU? One command, at most nine minutes.

    TMPDIR=/dev/shm PYTHONPATH=. python benchmarks/gpu_suite.py --out FOLDER
    PYTHONPATH=. python benchmarks/gpu_suite.py --device cpu --small --out FOLDER

Every network is built, exported, folded and imported here, then timed as LN, LN in separate
kernels, UN in three forms, folded, and without norms; eager, as a CUDA graph, and compiled.
FOLDER gets cells.jsonl (every cell as soon as it is finished), suite.json and table.txt;
`python -m benchmarks.gpu.heat_map FOLDER` draws the map. What is prepared, 13 GB, goes to TMPDIR.
Packages that the machine lacks are taken from a folder of wheels. benchmarks/gpu has the parts.
The exit code is 3 if a variant's answers are wrong, variants are not alike, or a norm is left in
what should have none; else 1 if a cell failed; else 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import click

BEGAN = time.monotonic()
ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

PATH = click.Path(exists=True, path_type=Path)


def use_wheels(folder: Path, into: Path) -> list[str]:
    """Unpack wheels, and put them before everything installed, for this process and its children.

    Args:
        folder: with wheels of this Python and platform.
        into: a folder, which must stay as long as the packages are used.

    Returns:
        the names of the wheels.
    """
    wheels = sorted(folder.glob("*.whl"))
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into)
    sys.path.insert(0, str(into))
    before = filter(None, [str(into), os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join(before)
    return [wheel.name for wheel in wheels]


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="For the results.")
@click.option("--device", default="cuda", show_default=True, help="As torch names it.")
@click.option("--small", is_flag=True, help="Micro networks and few rounds.")
@click.option("--extra", is_flag=True, help="The cells of a second call.")
@click.option("--budget-s", default=540.0, show_default=True, help="Seconds for everything.")
@click.option("--wheels", type=PATH, help="With packages that the machine lacks.")
@click.option("--done", type=PATH, help="An older cells.jsonl.")
def main(
    out: Path,
    device: str,
    small: bool,
    extra: bool,
    budget_s: float,
    wheels: Path | None,
    done: Path | None,
) -> None:
    """Measure what folding saves, as far as the budget goes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix="un-deploy-gpu-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        used = use_wheels(wheels, folder / "wheels") if wheels else []
        from benchmarks.gpu import cells, journal
        from benchmarks.gpu.measure import SMALL, Effort
        from benchmarks.gpu.report import exit_code, report, table
        from benchmarks.gpu.suite import Suite
        from benchmarks.gpu.workers import WorkerError

        series = cells.extra() if extra else cells.large()
        if small:
            series = cells.small(compiled=device != "cpu")
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
    click.echo(table(found))
    sys.exit(exit_code(found))


if __name__ == "__main__":
    main()
