"""Builds, exports, folds and imports one network with one kind of norm, and keeps it in files."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from benchmarks.gpu.addcmul import as_addcmul
from benchmarks.gpu.cells import GRAPHS, VARIANTS, Cell
from benchmarks.gpu.networks import NETWORKS, ROWS, Kind, build, inputs
from tests.support.trained_like import norms
from un_deploy.errors import InputError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.export.torch_to_onnx import to_onnx
from un_deploy.runtime.torch_graph import TorchRuntime

REFERENCE_ROWS = 2
"""Rows of which the float32 outputs are kept, to hold all others against."""


@dataclass(frozen=True)
class Recipe:
    """What one call prepares.

    Attributes:
        network: its name.
        kind: of norm.
        cells: of the network: what will be needed.
        keep: norms that the fold leaves alone; only to see the suite's gates fail.
    """

    network: str
    kind: Kind
    cells: tuple[Cell, ...]
    keep: tuple[str, ...] = ()


def recipes(cells: Iterable[Cell], keep: tuple[str, ...] = ()) -> list[Recipe]:
    """One for each export, the larger networks first, since they take longest."""
    by_network: dict[str, tuple[Cell, ...]] = {}
    for cell in cells:
        by_network[cell.network] = (*by_network.get(cell.network, ()), cell)
    by_size = sorted(by_network, key=lambda name: -NETWORKS[name].weights)
    return [
        Recipe(name, kind, by_network[name], keep) for name in by_size for kind in get_args(Kind)
    ]


def modules_file(folder: Path, cell: Cell, variant: str) -> Path:
    """Where the imported modules of a variant are, a dict by batch."""
    form = "" if cell.recognize else "_decomposed"
    return folder / cell.network / f"{variant}_{cell.precision}{form}.pt"


def reference_file(folder: Path, network: str, variant: str) -> Path:
    """Where the float32 outputs are that a variant must give."""
    return folder / network / f"{VARIANTS[variant][1]}_reference.npz"


def inputs_file(folder: Path, network: str) -> Path:
    """Where its rows of input are, in the order of the graph's inputs."""
    return folder / network / "inputs.npz"


def onnx_file(folder: Path, network: str, variant: str) -> Path:
    """Where the ONNX graph of a variant is."""
    return folder / network / f"{variant}.onnx"


def prepare(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Make the files of a recipe.

    Returns:
        What happened: seconds of each step, and what the fold did.

    Raises:
        UnDeployError: a step failed.
    """
    name, kind = recipe.network, recipe.kind
    seconds: dict[str, float] = {}
    (folder / name).mkdir(parents=True, exist_ok=True)
    with _timed(seconds, "build"):
        module = build(name, kind)

    def feeds(batch: int) -> dict[str, np.ndarray]:
        return {key: tensor.numpy() for key, tensor in inputs(name, module, batch).items()}

    count = sum(1 for _ in norms(module))
    facts: dict[str, Any] = {"network": name, "norm": kind, "norms": count}
    with _timed(seconds, "export"):
        graph = to_onnx(module, inputs(name, module, 2))
    variants = [variant for variant, (made_of, _) in VARIANTS.items() if made_of == kind]
    models = dict.fromkeys(variants, graph)
    if "folded" in variants:
        with _timed(seconds, "fold"):
            folded = fold_graph(graph.clone(), keep=recipe.keep)
        models["folded"] = folded.model
        facts["folded"] = len(folded.report.folded)
        facts["stayed"] = [f"{site.label}: {site.reason}" for site in folded.report.stayed]
        facts["gained_biases"] = len(folded.report.gained_biases)
    with _timed(seconds, "reference"):
        if kind == "ln":
            np.savez(inputs_file(folder, name), **feeds(ROWS))  # type: ignore[arg-type]
        if VARIANTS[variants[0]][1] == variants[0]:
            outputs = TorchRuntime().load(graph).run(feeds(REFERENCE_ROWS))
            np.savez(reference_file(folder, name, variants[0]), **outputs)  # type: ignore[arg-type]
    with _timed(seconds, "save and import"):
        for variant, model in models.items():
            cells = [cell for cell in recipe.cells if variant in cell.variants]
            if any(cell.mode in GRAPHS for cell in cells):
                save_model(model, onnx_file(folder, name, variant), force=True)
            imports: dict[tuple[Any, ...], list[Cell]] = {}
            for cell in cells:
                if cell.mode not in GRAPHS:
                    imports.setdefault((cell.precision, cell.recognize), []).append(cell)
            for (precision, recognize), alike in imports.items():
                dtype = None if precision == "float32" else precision
                session = TorchRuntime(dtype=dtype, recognize=recognize).load(model)
                made = {b: session.module(feeds(b)) for b in sorted({c.batch for c in alike})}
                if variant == "un_addcmul":
                    made = {batch: _fused(one, count) for batch, one in made.items()}
                torch.save(made, modules_file(folder, alike[0], variant))
    return {**facts, "seconds": seconds}


def _fused(module: torch.fx.GraphModule, count: int) -> torch.fx.GraphModule:
    fused, replaced = as_addcmul(module)
    if replaced != count:
        raise InputError(f"un_addcmul: {replaced} of {count} norms were found")
    return fused


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = round(time.perf_counter() - start, 3)
