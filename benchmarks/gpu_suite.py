"""What does folding Unified Normalization save on a GPU? One command, at most nine minutes.

    PYTHONPATH=. python benchmarks/gpu_suite.py --out FOLDER
    PYTHONPATH=. python benchmarks/gpu_suite.py --device cpu --small --out FOLDER

Every network is built, exported, folded and imported here, then timed as LN, LN in separate
kernels, UN in three forms, folded, and without norms; eager, as a CUDA graph, and compiled.
FOLDER gets cells.jsonl (every cell as soon as it is finished), suite.json, table.txt and map.svg.
Packages that the machine lacks are taken from a folder of wheels. benchmarks/gpu has the parts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

BEGAN = time.monotonic()
ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import click  # noqa: E402

from benchmarks.gpu.room import roomy_memory  # noqa: E402
from benchmarks.gpu.wheels import use_wheels  # noqa: E402


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="For the results.")
@click.option("--device", default="cuda", show_default=True, help="As torch names it.")
@click.option("--small", is_flag=True, help="Micro networks and few rounds.")
@click.option("--extra", is_flag=True, help="The cells of a second call.")
@click.option("--budget-s", default=540.0, show_default=True, help="Seconds for everything.")
@click.option("--compile/--no-compile", "compiled", default=None, help="On a CPU: off.")
@click.option("--wheels", type=click.Path(exists=True, path_type=Path), help="A folder of them.")
@click.option("--done", type=click.Path(exists=True, path_type=Path), help="An older cells.jsonl.")
@click.option("--work", type=click.Path(exists=True, path_type=Path), help="For gigabytes.")
@click.option("--seed", default=0, show_default=True, help="Of the order of timing.")
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
    seed: int,
) -> None:
    """Measure what folding saves, as far as the budget goes."""
    out.mkdir(parents=True, exist_ok=True)
    work = work or (None if small else roomy_memory())
    with TemporaryDirectory(prefix="un-deploy-gpu-", dir=work, ignore_cleanup_errors=True) as made:
        folder = Path(made)
        (folder / "wheels").mkdir()
        used = use_wheels(wheels, folder / "wheels")
        from benchmarks.gpu import cells, command

        series = cells.small(compiled=bool(compiled)) if small else cells.large(extra=extra)
        if compiled is False and not small:
            series = tuple(one for one in series if not any(c.compiled for c in one.cells))
        code = command.run(
            series,
            out=out,
            folder=folder,
            device=device,
            small=small,
            budget_s=budget_s,
            began=BEGAN,
            wheels=used,
            done=done,
            seed=seed,
        )
    sys.exit(code)


if __name__ == "__main__":
    main()
