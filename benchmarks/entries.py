"""What the benchmarks share: files of entries, tables, fresh processes, and ratios.

A result file has one entry for each thing that was measured, replaced when it is measured again.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import click
import numpy as np

from un_deploy.measure.speed.statistics import ratio

Entry = Mapping[str, Any]

_PEAK = """
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""
"""In kB, of this process alone: what the system tells of a child includes its parent's, copied."""


def write(path: Path, entry: Entry, key: Sequence[str], order: Sequence[tuple[Any, ...]]) -> None:
    """Put an entry in the place of an older one with the same key.

    Args:
        path: the file; entries in it that lack a part of the key are of an older form, and go.
        entry: what was measured.
        key: the fields that tell entries apart.
        order: all keys, as the file is to have them; an entry with another key goes.
    """
    old = json.loads(path.read_text(encoding="utf-8"))["entries"] if path.is_file() else []
    by_key = {tuple(e[k] for k in key): e for e in [*old, entry] if all(k in e for k in key)}
    kept = [by_key[one] for one in order if one in by_key]
    path.write_text(json.dumps({"entries": kept}, indent=2) + "\n", encoding="utf-8")


def keep(path: Path, result: Mapping[str, Any], page: str) -> None:
    """Write what a run has come to, and its page of the same name beside it."""
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(page, encoding="utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    """The entries of a file."""
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["entries"]
    return found


def line(ratios: Mapping[str, Mapping[str, Any]]) -> str:
    """Ratios with their intervals, for the terminal."""
    parts = (
        f"{name} {i['ratio']:.3f} [{i['low']:.3f}, {i['high']:.3f}]" for name, i in ratios.items()
    )
    return ", ".join(parts)


def over(seconds: Mapping[str, Any], base: str) -> dict[str, dict[str, Any]]:
    """The ratio of everything that was timed to one of it, with its interval."""
    return {n: ratio(t, seconds[base]).to_dict() for n, t in seconds.items() if n != base}


def medians(seconds: Mapping[str, Any]) -> dict[str, float]:
    """Over all builds and rounds."""
    return {name: float(np.median(times)) for name, times in seconds.items()}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown, line by line."""
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|"] + [
        f"| {' | '.join(row)} |" for row in rows
    ]


def written_into(page: Path, begin: str, end: str, part: str) -> str:
    """A page with this part between two lines of it, whatever stood there."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{part}\n{end}{after}"


def in_fresh_processes(
    build: Callable[..., Mapping[str, list[float]]], builds: int, *given: Any
) -> dict[str, list[list[float]]]:
    """Seconds by what was timed, a list for each build.

    Args:
        build: times one build, called with its number and what is given, in a fresh process.
        builds: how many.
        given: see `build`.
    """
    seconds: dict[str, list[list[float]]] = {}
    for number in range(builds):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            for name, times in fresh.submit(build, number, *given).result().items():
                seconds.setdefault(name, []).append(times)
    return seconds


def run(code: str, *arguments: str, python: str = sys.executable) -> tuple[float, float]:
    """CPU seconds and peak in MB of a fresh Python that runs this.

    Raises:
        click.ClickException: it fails; ends with what it said last.
    """
    command = [python, "-c", code + _PEAK, *arguments]
    with (
        TemporaryFile("w+") as said,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True) as process,
    ):
        assert process.stdout is not None
        told = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        why = said.read()
    if process.returncode:
        raise click.ClickException(f"exit code {process.returncode} of\n{code}\n{why}")
    return usage.ru_utime + usage.ru_stime, int(told.split()[-1]) / 1000
