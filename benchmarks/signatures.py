"""Do engines of the folded network run the kernels of the one without norms? On every target.

    python -m benchmarks.signatures [--only vit_micro ...]

Needs TensorRT-RTX (the rtx extra) and no GPU: engines are built, and not run. Every recipe, with
fixed and with dynamic shapes, in fp32, fp16 and bf16, for TensorRT-RTX's own choice of target and
for SM75 to SM121, in five forms: no norm, UN folded, UN unfolded, UN as the released module writes
it, and LN. No norm has a bias wherever a fold gives one. SM75 has no fp32 and no bf16 products:
those builds must be refused.

Results go to benchmarks/results/signatures.json after every build, one entry a build; what stands
there is not built again, so an interrupted run goes on where it stopped. signatures.md beside it
is written from it. Builds are deterministic: the same versions give the same file. The exit code is
1 where something is not as it must be, see `benchmarks.signatures_table.faults`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, astuple, fields
from itertools import groupby, product
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

import click
import onnx_ir as ir

from benchmarks import signatures_table
from benchmarks.signatures_table import Cell
from models.recipes import LARGE, MEASURED, MICRO
from tests.support.networks.engine_graphs import engine
from tests.support.networks.exports import exported
from un_deploy.engines.building.from_graph import PreparedGraph, prepare
from un_deploy.engines.flavor import described
from un_deploy.engines.kernels.kernels import Signature, bytes_written, signatures
from un_deploy.errors import InputError
from un_deploy.files import atomic_write_text
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.precision.convert import Precision
from un_deploy.measure.speed.environment import environment

RESULT = Path(__file__).parent / "results" / "signatures.json"
SHAPES = ("static", "dynamic")
TARGETS = ("default", "75", "80", "86", "89", "120", "121")
MAIN, OTHER = ("un", "folded", "none"), ("released", "ln")
STAGES = ((MICRO, MAIN + OTHER), (LARGE, MAIN), (LARGE, OTHER))
"""What matters most comes first. "un" and "folded" are one network, which is made once."""


def cells() -> list[Cell]:
    """All, in the order in which they are built."""
    return [
        Cell(network, shapes, precision, target, form)
        for networks, forms in STAGES
        for network, form in product(networks, forms)
        for shapes, precision, target in product(SHAPES, get_args(Precision), TARGETS)
    ]


def build(prepared: PreparedGraph, target: str, origin: str) -> dict[str, Any]:
    """What one engine's builder tells, or why it refuses."""
    try:
        made = engine(prepared, "" if target == "default" else target, origin)
    except InputError as error:
        return {"refused": str(error)}
    built, types = made.built, made.types
    assert types is not None  # a precision was asked for
    return {
        "signatures": digest(signatures(built.kernels)),
        "kernels": len(built.kernels),
        "bytes_written": bytes_written(built.kernels),
        "activation_bytes": built.memory.get("activation"),
        "plan_bytes": len(built.plan),
        "multiplying": dict(types.multiplying),
        "fp32_outputs": list(types.fp32_outputs),
    }


def digest(found: Counter[Signature]) -> str:
    """Equal where two multisets of signatures are."""
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]


class Result:
    """The file of results, written whole after every entry."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = environment() | {"builder": described("tensorrt-rtx")}
        self.entries: dict[Cell, dict[str, Any]] = {}
        if path.is_file():
            old = json.loads(path.read_text(encoding="utf-8"))
            if old["environment"] != self.environment:
                raise click.ClickException(
                    f"{path} comes from another environment: move it away to start anew"
                )
            for entry in old["entries"]:
                cell = Cell(**{field.name: entry.pop(field.name) for field in fields(Cell)})
                self.entries[cell] = entry

    def add(self, cell: Cell, entry: dict[str, Any]) -> None:
        """Put an entry in, and write all of them, a line each, with the table beside."""
        self.entries[cell] = entry
        head = json.dumps(self.environment, indent=2)
        lines = ",\n".join(map(json.dumps, self.flat()))
        text = f'{{\n"environment": {head},\n"entries": [\n{lines}\n]\n}}\n'
        atomic_write_text(self.path, text, force=True)

    def flat(self) -> list[dict[str, Any]]:
        """Entries with their cells' fields, in the order of the cells."""
        return [asdict(c) | self.entries[c] for c in cells() if c in self.entries]


def run(wanted: list[Cell], result: Result) -> None:
    """Build what the result lacks: a graph is exported once, and converted once a precision."""
    left = [cell for cell in wanted if cell not in result.entries]
    for (network, form, shapes), cells in groupby(left, attrgetter("network", "form", "shapes")):
        model, told = graph(network, form, shapes)
        for precision, here in groupby(cells, attrgetter("precision")):
            prepared = prepare(model, precision)
            for cell in here:
                entry = build(prepared, cell.target, network) | told
                result.add(cell, entry)
                said = entry.get("refused") or f"{entry['kernels']} kernels, {entry['signatures']}"
                click.echo(f"{' '.join(astuple(cell))}: {said}")


def graph(network: str, form: str, shapes: str) -> tuple[ir.Model, dict[str, Any]]:
    """A form of a network in fp32, and of the folded one what the fold report says."""
    dynamic, factory = shapes == "dynamic", MEASURED[network].factory
    if form != "folded":
        factory = MEASURED[network].folds_to if form == "none" else factory
        return exported(factory, form, dynamic), {}
    folded = fold_graph(exported(factory, "un", dynamic))
    stayed, gained = folded.report.stayed, folded.report.gained_biases
    return folded.model, {"norms_stayed": len(stayed), "gained_biases": list(gained)}


@click.command()
@click.option("--only", multiple=True, type=click.Choice([*MEASURED]), default=[*MEASURED])
@click.option("--result", "path", type=click.Path(path_type=Path), default=RESULT)
def main(only: tuple[str, ...], path: Path) -> None:
    """Build what is missing, and write the table."""
    result = Result(path)
    run([cell for cell in cells() if cell.network in only], result)
    entries = result.flat()
    missing = [cell for cell in cells() if cell not in result.entries]
    table = signatures_table.markdown(entries, result.environment["builder"], missing)
    atomic_write_text(path.with_suffix(".md"), table, force=True)
    found = signatures_table.faults(entries)
    for line in found:
        click.echo(line, err=True)
    raise SystemExit(int(bool(found)))


if __name__ == "__main__":
    main()
