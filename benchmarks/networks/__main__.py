"""Do the networks that people have fold, are they proven and equal, and what stays of them?

    python -m benchmarks.networks [--only NAME ...] [--write]

Networks of transformers, diffusers and timm, from configurations, each in a process of its own,
through both exporters, static and dynamic. `make networks` installs the libraries and runs this.

With --write the result goes to benchmarks/results/networks.json, one entry a network, replaced when
it is measured again, and docs/networks.md is made from it. The exit code is 1 where a cell is
wrong, not proven or a traceback, where something stays that is not on the closed list (stays.py),
or where fewer than 90 % of the cells are exported and proven.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn

from benchmarks.networks.measure import measure, mode_name
from benchmarks.networks.page import faults, page
from tests.support.networks.exports import EXPORTS
from tests.support.networks.zoo import NETWORKS
from un_deploy.measure.speed.environment import environment
from un_deploy.pipeline.export.torch_to_onnx import to_onnx
from un_deploy.version import version_of

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "networks.json"
PAGE = ROOT / "docs" / "networks.md"
SECONDS = 900
"""That a network may take, with all its exports."""

LIBRARIES = ("transformers", "diffusers", "timm", "torchvision", "onnxscript")
Entry = Mapping[str, Any]


def in_own_process(name: str) -> Entry:
    """See `measure`, in a copy of this process; one that ends otherwise broke down."""
    fork = get_context("fork")  # what is imported here need not be imported there
    receiver, sender = fork.Pipe(duplex=False)
    process = fork.Process(target=_send, args=(sender, name))
    process.start()
    sender.close()
    try:
        if not receiver.poll(SECONDS):
            return _broken(name, f"took more than {SECONDS} s")
        found: Entry = receiver.recv()
    except EOFError:
        process.join()
        return _broken(name, f"exit code {process.exitcode}")
    else:
        return found
    finally:
        process.kill()
        process.join()


def _send(sender: Connection, name: str) -> None:
    warnings.simplefilter("ignore")
    sender.send(measure(NETWORKS[name]))


def warm_up() -> None:
    """Export something small, which imports all that exporters need."""
    to_onnx(nn.Linear(2, 2), {"input": torch.zeros(2, 2)})


def _broken(name: str, what: str) -> Entry:
    cell = {"cause": "a traceback", "traceback": what}
    cells = {mode_name(*mode): cell for mode in EXPORTS}
    return {"network": name, "library": NETWORKS[name].library, "cells": cells}


def write(entry: Entry, where: Path = RESULT) -> list[Entry]:
    """Put an entry in the place of an older one; all entries in the order of the networks."""
    old = json.loads(where.read_text(encoding="utf-8"))["entries"] if where.is_file() else []
    by_name = {one["network"]: one for one in [*old, entry]}
    kept = [by_name[name] for name in NETWORKS if name in by_name]
    versions = {name: version_of(name) for name in LIBRARIES}
    result = {"environment": {**environment(), **versions}, "entries": kept}
    where.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(kept, result["environment"]), encoding="utf-8")
    return kept


@click.command()
@click.option("--only", multiple=True, help="Networks whose name contains this; by default all.")
@click.option("--write", "writes", is_flag=True, help="Write the result and docs/networks.md.")
def main(only: tuple[str, ...], writes: bool) -> None:
    """Measure, tell, and say whether all is as it should be."""
    warm_up()
    found = []
    for name in NETWORKS:
        if only and not any(part in name for part in only):
            continue
        entry = in_own_process(name)
        found.append(entry)
        if writes:
            write(entry)
        wrong = faults([entry])
        print(name, *_cells(entry), "" if not wrong else "<- no", flush=True)
        for line in wrong:
            print(f"  {line}", flush=True)
    sys.exit(1 if faults(found) else 0)


def _cells(entry: Entry) -> list[str]:
    return [
        "refused" if cell["cause"] is not None else f"{cell['folded']}/{cell['norms']}"
        for cell in entry["cells"].values()
    ]


if __name__ == "__main__":
    main()
