"""Is a folded network as fast as the network that never had a norm? On every recipe, CPU.

    python -m benchmarks.folded_is_no_norm [--backend ort-cpu] [--only vit_micro ...]

For each network four graphs in one comparison: UN as the released module writes it (a layout pair
round every norm), UN unfolded as ours writes it, folded, and no norm. Two ratios are held against a
limit: folded / no norm must lie within 2 % of 1 with its whole interval, and the released form
must not. Both results go to benchmarks/results/folded_is_no_norm.json, one entry a network and
backend, replaced when it is measured again. Twenty builds, since five show equality within 2 %
seldom (docs/how-we-compare.md).
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np

from benchmarks import entries
from models.recipes import MEASURED, Recipe
from tests.support.networks.trained_like import variant
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.environment import environment
from un_deploy.measure.speed.statistics import ratio
from un_deploy.measure.speed.timing_process import Entry, Job, run_builds
from un_deploy.pipeline.export.torch_to_onnx import to_onnx
from un_deploy.runtime.backends import BACKENDS
from un_deploy.runtime.settings import RunSettings

RESULT = Path(__file__).parent / "results" / "folded_is_no_norm.json"
LIMIT = 0.02
SEED = 2208


def save_variants(recipe: Recipe, batch: int, folder: Path) -> dict[str, Path]:
    """Static graphs of one network, and the inputs, in a folder."""
    paths = {}
    for kind in ("released", "un", "none"):
        network = variant(recipe.factory, kind, SEED)
        inputs = network.example_inputs(batch)
        np.savez(folder / "inputs.npz", **{k: v.numpy() for k, v in inputs.items()})
        graph = to_onnx(network, inputs, dynamic_axes={}, output_names=network.output_names)
        models = {kind: graph}
        if kind == "un":
            models["folded"] = fold_graph(graph.clone()).model
        for name, model in models.items():
            paths[name] = folder / f"{name}.onnx"
            save_model(model, paths[name], force=True)
    return paths


def measure(
    name: str, backend: str, builds: int, rounds: int, sample_s: float, threads: int
) -> dict[str, Any]:
    """One network in one backend: intervals of the ratios, and what they say."""
    recipe = MEASURED[name]
    batch = 8 if recipe.micro else 1
    with TemporaryDirectory() as made:
        folder = Path(made)
        paths = save_variants(recipe, batch, folder)
        timed = [Entry(kind, str(path)) for kind, path in paths.items()]
        timed.append(Entry("none, again", str(paths["none"])))
        job = Job(
            settings=RunSettings(backend, threads),
            entries=tuple(timed),
            inputs=str(folder / "inputs.npz"),
            rounds=rounds,
            sample_s=sample_s,
        )
        seconds = run_builds(job, builds, folder)
    within = {
        f"{kind}_within_limit": ratio(seconds[kind], seconds["none"]).within(LIMIT)
        for kind in ("folded", "released")
    }
    return {
        "network": name,
        "limit": LIMIT,
        "backend": backend,
        "batch": batch,
        "threads": threads,
        "sample_s": sample_s,
        "median_s": entries.medians(seconds),
        "over_none": entries.over(seconds, "none"),
        **within,
        "environment": environment(),
    }


@click.command()
@click.option("--backend", "backends", multiple=True, default=["ort-cpu", "torch"])
@click.option("--only", multiple=True, type=click.Choice([*MEASURED]), default=[*MEASURED])
@click.option("--builds", default=20, show_default=True)
@click.option("--rounds", default=20, show_default=True)
@click.option("--sample-ms", default=5.0, show_default=True)
@click.option("--threads", default=1, show_default=True)
def main(
    backends: tuple[str, ...],
    only: tuple[str, ...],
    builds: int,
    rounds: int,
    sample_ms: float,
    threads: int,
) -> None:
    """Measure, print each network's line, and write the result."""
    for name in only:
        for backend in backends:
            entry = measure(name, backend, builds, rounds, sample_ms / 1000, threads)
            entries.write(RESULT, entry, ("network", "backend"), [*product(MEASURED, BACKENDS)])
            click.echo(f"{name:10} {backend:8} over no norm: {entries.line(entry['over_none'])}")


if __name__ == "__main__":
    main()
