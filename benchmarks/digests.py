"""Does the rewriter write what it wrote? Digests of everything that it makes.

    python -m benchmarks.digests [--only vit_micro ...] [--write]

Every recipe that is measured, with fixed and with dynamic shapes, in five forms (no norm, UN
folded, UN unfolded, UN as the released module writes it, LN), is stripped, folded and converted to
fp16 and bf16, and 300 seeded random graphs are folded and stripped. Where TensorRT-RTX is installed
(the rtx extra; it needs no GPU), engines are planned too: of the micro recipes in three precisions,
of the larger ones in fp16 with fixed shapes. Of each graph its bytes are digested, of each report
its dictionary, of each engine its signatures.

Results are held against benchmarks/results/digests.json: the exit code is 1 where one differs.
--write replaces them there. They hold for the versions in constraints.txt alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any, get_args

import click
import onnx_ir as ir

from models.recipes import MEASURED, Recipe
from tests.support.graphs import to_bytes
from tests.support.networks.engine_graphs import engine_signatures
from tests.support.networks.exports import FORMS, exported
from tests.support.random_graphs import random_graph
from un_deploy.errors import UnDeployError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.precision.convert import Precision, to_precision
from un_deploy.graph.strip.strip import strip_graph

RESULT = Path(__file__).parent / "results" / "digests.json"
RANDOM = "random graphs"
SEEDS = 300


def digest(of: bytes | str | Any) -> str:
    """Equal where two things are."""
    if not isinstance(of, (bytes, str)):
        of = json.dumps(of, sort_keys=True, default=str)
    return hashlib.sha256(of if isinstance(of, bytes) else of.encode()).hexdigest()[:16]


def _done(report: FoldReport) -> dict[str, Any]:
    """What a fold did; what it says of the file as it came is not the rewriter's."""
    return {name: value for name, value in asdict(report).items() if name != "notes"}


def of_recipe(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """What is made of one recipe: (name, digest)."""
    for form in FORMS:
        for dynamic in (False, True):
            where = f"{recipe} {'dynamic' if dynamic else 'static'} {form}"
            if form == "folded":
                folded = fold_graph(exported(recipe.factory, "un", dynamic))
                model = folded.model
                yield f"{where} report", digest(_done(folded.report))
            else:
                model = exported(recipe.factory, form, dynamic)
            yield where, digest(to_bytes(model))
            yield from _of_graph(where, model, fold=form == "released")
            for precision in ("fp16", "bf16"):
                yield f"{where} {precision}", _converted(model, precision)
            if recipe.micro or not dynamic:
                for precision in get_args(Precision) if recipe.micro else ("fp16",):
                    yield f"{where} {precision} engine", _engine(model, precision)


def of_random_graphs() -> Iterator[tuple[str, str]]:
    """The same for the random graphs, which are too small for engines."""
    for seed in range(SEEDS):
        yield from _of_graph(f"random {seed}", random_graph(Random(seed)), fold=True)


def _of_graph(where: str, model: ir.Model, *, fold: bool) -> Iterator[tuple[str, str]]:
    stripped = model.clone()
    report = strip_graph(stripped)
    yield f"{where} stripped", digest(digest(to_bytes(stripped)) + digest(asdict(report)))
    if fold:
        folded = fold_graph(model.clone())
        both = digest(to_bytes(folded.model)) + digest(_done(folded.report))
        yield f"{where} folded", digest(both)


def _converted(model: ir.Model, precision: Precision) -> str:
    converted, report = to_precision(model.clone(), precision)
    return digest(digest(to_bytes(converted)) + digest(asdict(report)))


def _engine(model: ir.Model, precision: Precision) -> str:
    try:
        return digest(sorted(map(_plain, engine_signatures(model.clone(), precision).items())))
    except UnDeployError as error:
        return f"refused: {error}"


def _plain(counted: tuple[Any, int]) -> str:
    return json.dumps([asdict(counted[0]), counted[1]], sort_keys=True, default=str)


@click.command()
@click.option("--only", multiple=True, type=click.Choice([RANDOM, *MEASURED]))
@click.option("--write", is_flag=True, help="Replace what stands in the file.")
@click.option("--result", "path", type=click.Path(path_type=Path), default=RESULT)
def main(only: tuple[str, ...], write: bool, path: Path) -> None:
    """Make everything again, and say what differs."""
    kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    found: dict[str, str] = {}
    for name in only or (RANDOM, *MEASURED):
        made = of_random_graphs() if name == RANDOM else of_recipe(MEASURED[name])
        for what, one in made:
            found[what] = one
            if write:
                path.write_text(json.dumps(kept | found, indent=0) + "\n", encoding="utf-8")
            elif kept.get(what) != one:
                click.echo(f"{what}: {one}, and was {kept.get(what)}")
        click.echo(f"{name}: done, {len(found)} digests so far")
    differ = [what for what, one in found.items() if kept.get(what) != one]
    click.echo(f"{len(found)} digests, {len(differ)} of them differ from {path.name}")
    raise SystemExit(int(bool(differ) and not write))


if __name__ == "__main__":
    main()
