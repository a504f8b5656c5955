"""How much memory does each command take at its peak, against what un-deploy expects?

    python -m benchmarks.command_memory FILE ... [--only fold ...] [--write]

FILE: a network that folds, NAME.onnx or NAME-MORE.onnx; or a recipe as models/vit.py:vit_tiny,
which is exported from a checkpoint of random weights. The peak is the largest sum over a command's
process tree of the memory that each process holds alone and its part of what it shares (PSS),
looked at for a quarter of the time; file pages that are mapped count. The estimate is that of
`un_deploy.memory_needs`, from the sizes of the files alone: `verify` reads the file and its fold,
`export` the checkpoint.

--write puts what was measured to benchmarks/results/command_memory.json, one entry for each file
and command, and a table to command_memory.md beside it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks import entries
from un_deploy.cli.overwriting import model_files
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
    "compare --engines": (
        *("compare", "--unfolded", "{source}", "--builds", "1", "--rounds", "2", "--engines"),
    ),
    "export": (
        *("export", "{source}", "-o", "{folder}/exported.onnx", "--norm", "ln"),
        *("--checkpoint", "{folder}/weights.pt"),
    ),
}
"""In the order in which they are run: what verify reads, fold has written."""

CHECKPOINT = """
import sys, torch
from un_deploy.pipeline.export.model_spec import load_module

torch.save(load_module(sys.argv[1], norm="ln").state_dict(), sys.argv[2])
"""
"""Writes a recipe's random weights, in a process of its own."""


def tree(pid: int) -> Iterator[int]:
    """A process and all that it has started, but for what is still its parent's own memory.

    Between vfork and exec a child has that, and its parent's command line.
    """
    yield pid
    try:
        own = Path(f"/proc/{pid}/cmdline").read_bytes()
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(one) for task in tasks for one in (task / "children").read_text().split()]
        started = [one for one in children if Path(f"/proc/{one}/cmdline").read_bytes() != own]
    except OSError:
        return
    for child in started:
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
            begin = time.monotonic()
            most = max(most, sum(map(pss, tree(process.pid))))
            time.sleep(max(0.01, 3 * (time.monotonic() - begin)))
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
        "says what is counted; PyTorch was installed, which verify and compare load for float64.",
        "External weights count with their file, and of export the size is the checkpoint's. The",
        "other commands have no estimate: convert follows its batches, trtexec-compare and the",
        "engines of a GPU what runs them, and demo, doctor and report read no network of yours.",
        f"The last column is to be between {LEAST} and {MOST}.",
        "",
        *entries.table(("file", "size", "command", "peak", "estimate", "estimate / peak"), rows),
    ]
    return "\n".join(lines) + "\n"


def size_of(path: Path) -> int:
    """Bytes of an ONNX file with its weights, or of another file."""
    return sum(file.stat().st_size for file in model_files(path))


def measured(source: str, name: str, folder: Path) -> dict[str, Any]:
    """What a command took for a file or a recipe, and what un-deploy expects."""
    most = peak(tuple(one.format(source=source, folder=folder) for one in COMMANDS[name]))
    read = [folder / "weights.pt"] if name == "export" else [Path(source)]
    sizes = [size_of(path) for path in read]
    both = [*sizes, size_of(folder / "folded.onnx")] if name == "verify" else sizes
    estimate = needed(name.split()[0], both)
    assert estimate is not None
    return {
        "file": re.sub(r".*:|-.*", "", source if ":" in source else Path(source).stem),
        "command": name,
        "file_mb": round(sizes[0] / 1e6, 1),
        "peak_mb": round(most / 1e6, 1),
        "estimate_mb": round(estimate / 1e6, 1),
        "environment": environment(),
    }


def keep(entry: dict[str, Any]) -> None:
    """Put an entry into the results, and the page beside them."""
    old = entries.read(RESULT) if RESULT.is_file() else []
    names = dict.fromkeys([*(one["file"] for one in old), entry["file"]])
    order = [(file, command) for file in names for command in COMMANDS]
    entries.write(RESULT, entry, ("file", "command"), order)
    RESULT.with_suffix(".md").write_text(page(entries.read(RESULT)), encoding="utf-8")


@click.command()
@click.argument("sources", metavar="FILE...", nargs=-1, required=True)
@click.option("--only", multiple=True, type=click.Choice([*COMMANDS]), default=[*COMMANDS])
@click.option("--write", is_flag=True, help="Put what was measured into the results.")
def main(sources: tuple[str, ...], only: tuple[str, ...], write: bool) -> None:
    """Measure, print peak and estimate, and say whether every estimate is near enough."""
    near = True
    for source in sources:
        is_recipe = ":" in source
        with TemporaryDirectory() as made:
            folder = Path(made)
            if is_recipe:
                entries.run(CHECKPOINT, source, str(folder / "weights.pt"))
            for name in COMMANDS:
                if (name == "export") != is_recipe:
                    continue
                if name not in only and not (name == "fold" and "verify" in only):
                    continue
                entry = measured(source, name, folder)
                click.echo(f"{entry['file']} {name} {entry['peak_mb']} {entry['estimate_mb']}")
                near &= LEAST <= entry["estimate_mb"] / entry["peak_mb"] <= MOST
                if write:
                    keep(entry)
    raise SystemExit(int(not near))


if __name__ == "__main__":
    main()
