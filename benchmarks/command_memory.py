"""How much memory does each command take at its peak, against what un-deploy expects?

    python -m benchmarks.command_memory FILE.onnx ... [--only fold ...] [--write]

FILE: networks that fold, one file each. The peak is the largest sum over a command's process tree
of the memory that each process holds alone and its part of what it shares (PSS), looked at every
10 ms; file pages that are mapped count. The estimate is that of `un_deploy.memory_needs`, from the
sizes of the files alone; `verify` reads the file and its fold.

--write puts what was measured to benchmarks/results/command_memory.json, one entry for each file
and command, and a table to command_memory.md beside it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks import entries
from un_deploy.measure.speed.environment import environment
from un_deploy.memory_needs import needed

RESULT = Path(__file__).parent / "results" / "command_memory.json"
LEAST, MOST = 0.7, 1.5
COMMANDS: dict[str, tuple[str, ...]] = {
    "inspect": ("inspect", "{source}"),
    "strip": ("strip", "{source}", "-o", "{folder}/stripped.onnx"),
    "fold": ("fold", "{source}", "-o", "{folder}/folded.onnx"),
    "verify": ("verify", "{source}", "{folder}/folded.onnx"),
    "triton": ("triton", "{source}", "--repository", "{folder}/r", "--max-batch-size", "0"),
    "profile": ("profile", "{source}", "--runs", "2"),
    "build": ("build", "{source}", "-o", "{folder}/model.plan"),
    "compare": ("compare", "--unfolded", "{source}", "--builds", "1", "--rounds", "2"),
}
"""In the order in which they are run: what verify reads, fold has written."""


def tree(pid: int) -> Iterator[int]:
    """A process and all that it has started."""
    yield pid
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from tree(child)


def pss(pid: int) -> int:
    """Bytes of a process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def peak(arguments: tuple[str, ...]) -> int:
    """Bytes of a command's process tree, at most.

    Raises:
        click.ClickException: the command fails.
    """
    command = [sys.executable, "-m", "un_deploy", *arguments]
    most = 0
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None:
            most = max(most, sum(map(pss, tree(process.pid))))
            time.sleep(0.01)
        assert process.stderr is not None
        said = process.stderr.read()
    if process.returncode:
        raise click.ClickException(f"{' '.join(arguments)}: {said}")
    return most


def page(found: list[dict[str, Any]]) -> str:
    """The table beside the result."""
    rows = [
        (
            entry["file"],
            f"{entry['file_mb']:.1f} MB",
            entry["command"],
            f"{entry['peak_mb']:.0f} MB",
            f"{entry['estimate_mb']:.0f} MB",
            f"{entry['estimate_mb'] / entry['peak_mb']:.2f}",
        )
        for entry in found
    ]
    lines = [
        "# What memory commands take",
        "",
        "command_memory.json, measured by `python -m benchmarks.command_memory --write`, which",
        f"says what is counted. The last column is to be between {LEAST} and {MOST}.",
        "",
        *entries.table(("file", "size", "command", "peak", "estimate", "estimate / peak"), rows),
    ]
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--only", multiple=True, type=click.Choice([*COMMANDS]), default=[*COMMANDS])
@click.option("--write", is_flag=True, help="Put what was measured into the results.")
def main(files: tuple[Path, ...], only: tuple[str, ...], write: bool) -> None:
    """Measure, print peak and estimate, and say whether every estimate is near enough."""
    near = True
    for source in files:
        with TemporaryDirectory() as folder:
            for name, arguments in COMMANDS.items():
                if name not in only and not (name == "fold" and "verify" in only):
                    continue
                most = peak(tuple(one.format(source=source, folder=folder) for one in arguments))
                size = source.stat().st_size
                folded = Path(folder, "folded.onnx")
                sizes = [size, folded.stat().st_size] if name == "verify" else [size]
                estimate = needed(name, sizes)
                assert estimate is not None
                entry = {
                    "file": source.stem.split("-")[0],
                    "command": name,
                    "file_mb": round(size / 1e6, 1),
                    "peak_mb": round(most / 1e6, 1),
                    "estimate_mb": round(estimate / 1e6, 1),
                    "environment": environment(),
                }
                click.echo(f"{entry['file']} {name} {entry['peak_mb']} {entry['estimate_mb']}")
                near &= LEAST <= estimate / most <= MOST
                if write:
                    old = entries.read(RESULT) if RESULT.is_file() else []
                    names = dict.fromkeys([*(one["file"] for one in old), entry["file"]])
                    order = [(file, command) for file in names for command in COMMANDS]
                    entries.write(RESULT, entry, ("file", "command"), order)
    if write:
        RESULT.with_suffix(".md").write_text(page(entries.read(RESULT)), encoding="utf-8")
    raise SystemExit(int(not near))


if __name__ == "__main__":
    main()
