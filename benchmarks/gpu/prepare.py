"""Builds, exports, folds and imports one network with one kind of norm, and keeps it in files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
import torch
from torch import fx

from benchmarks.gpu import networks
from benchmarks.gpu.forms import as_addcmul, separate_layer_norm
from benchmarks.gpu.networks import Kind
from un_deploy.errors import InputError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.export.torch_to_onnx import to_onnx
from un_deploy.runtime.torch_graph.runtime import TorchRuntime

Precision = Literal["float16", "bfloat16", "float32"]

REFERENCE_ROWS = 2
"""Rows of which the float32 outputs are kept, to hold all others against."""

VARIANTS: dict[str, Kind] = {
    "ln": "ln",
    "ln_separate": "ln",
    "un_released": "released",
    "un": "un",
    "un_addcmul": "un",
    "folded": "un",
    "none": "none",
}
"""All variants, and the export that each is made of."""

VARIANTS_OF: dict[str, str] = {
    **{name: name for name in VARIANTS},
    "ln_separate": "ln",
    "un_addcmul": "un",
}
"""The imported variant that each is, or is rewritten from."""

ANSWERS_OF: dict[str, str] = {
    **VARIANTS_OF,
    "un_released": "un",
    "un_addcmul": "un",
    "folded": "un",
}
"""The variant whose float32 answers each must give: unfolded UN's, for all that is made of it."""


@dataclass(frozen=True)
class Import:
    """Imports of a network.

    Attributes:
        precision: of weights and activations.
        batches: one import for each.
        recognize: attention, linear and GELU as one call each.
        variants: those that are wanted.
    """

    precision: Precision
    batches: tuple[int, ...]
    recognize: bool = True
    variants: tuple[str, ...] = tuple(VARIANTS)


@dataclass(frozen=True)
class Recipe:
    """What one call prepares.

    Attributes:
        network: its name.
        kind: of norm.
        imports: what is made of it.
        save: keep the ONNX files too.
        keep: norms that the fold leaves alone; only to see the suite's gates fail.
    """

    network: str
    kind: Kind
    imports: tuple[Import, ...]
    save: bool = False
    keep: tuple[str, ...] = ()


def prepared_file(
    folder: Path, network: str, variant: str, precision: str, recognize: bool
) -> Path:
    """Where the modules of a variant are, a dict by batch."""
    form = "" if recognize else "_decomposed"
    return folder / network / f"{variant}_{precision}{form}.pt"


def reference_file(folder: Path, network: str, variant: str) -> Path:
    """Where the float32 outputs are that a variant must give."""
    return folder / network / f"{ANSWERS_OF[variant]}_reference.npz"


def inputs_file(folder: Path, network: str) -> Path:
    """Where its rows of input are, in the order of the graph's inputs."""
    return folder / network / "inputs.npz"


def onnx_file(folder: Path, network: str, variant: str) -> Path:
    """Where its ONNX graph is."""
    return folder / network / f"{variant}.onnx"


def prepare(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Make the files of a recipe.

    Returns:
        What happened: seconds of each step, and what the fold did.

    Raises:
        UnDeployError: a step failed.
    """
    seconds: dict[str, float] = {}
    (folder / recipe.network).mkdir(parents=True, exist_ok=True)
    with _timed(seconds, "build"):
        module = networks.build(recipe.network, recipe.kind)
        norms = networks.norms_of(module)
    with _timed(seconds, "export"):
        graph = to_onnx(module, networks.inputs(recipe.network, module, 2))
    graphs = {"released": "un_released"}.get(recipe.kind, recipe.kind)
    models: dict[str, ir.Model] = {graphs: graph}
    facts: dict[str, Any] = {"network": recipe.network, "norm": recipe.kind, "norms": norms}
    if recipe.kind == "un":
        with _timed(seconds, "fold"):
            folded = fold_graph(graph.clone(), keep=recipe.keep)
        models["folded"] = folded.model
        facts["folded"] = len(folded.report.folded)
        facts["stayed"] = [f"{site.label}: {site.reason}" for site in folded.report.stayed]
        facts["gained_biases"] = len(folded.report.gained_biases)
    with _timed(seconds, "reference"):
        if recipe.kind == "ln":
            rows = _feeds(recipe.network, module, networks.ROWS)
            np.savez(inputs_file(folder, recipe.network), **rows)  # type: ignore[arg-type]
        feeds = _feeds(recipe.network, module, REFERENCE_ROWS)
        for variant, model in models.items():
            if ANSWERS_OF[variant] == variant:
                outputs = TorchRuntime().load(model).run(feeds)
                path = reference_file(folder, recipe.network, variant)
                np.savez(path, **outputs)  # type: ignore[arg-type]
            if recipe.save:
                save_model(model, onnx_file(folder, recipe.network, variant), force=True)
    with _timed(seconds, "import"):
        for wanted in recipe.imports:
            for variant, model in models.items():
                if any(VARIANTS_OF[name] == variant for name in wanted.variants):
                    _import(recipe, folder, variant, model, module, wanted, norms)
    return {**facts, "seconds": seconds}


def _import(
    recipe: Recipe,
    folder: Path,
    variant: str,
    model: ir.Model,
    module: torch.nn.Module,
    wanted: Import,
    norms: int,
) -> None:
    dtype = None if wanted.precision == "float32" else wanted.precision
    session = TorchRuntime(dtype=dtype, recognize=wanted.recognize).load(model)
    made: dict[str, dict[int, fx.GraphModule]] = {variant: {}}
    for batch in wanted.batches:
        imported = session.module(_feeds(recipe.network, module, batch))
        made[variant][batch] = imported
        for name, rewrite in (("ln_separate", separate_layer_norm), ("un_addcmul", as_addcmul)):
            if VARIANTS_OF[name] == variant and name in wanted.variants:
                form, replaced = rewrite(imported)
                if replaced != norms:
                    raise InputError(f"{name}: {replaced} of {norms} norms were found")
                made.setdefault(name, {})[batch] = form
    for name in set(made) & set(wanted.variants):
        modules = made[name]
        path = prepared_file(folder, recipe.network, name, wanted.precision, wanted.recognize)
        torch.save(modules, path)


def _feeds(name: str, module: torch.nn.Module, batch: int) -> dict[str, np.ndarray]:
    return {key: tensor.numpy() for key, tensor in networks.inputs(name, module, batch).items()}


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = round(time.perf_counter() - start, 3)


def recipes(
    imports: Mapping[str, tuple[Import, ...]], *, save: bool = False, keep: tuple[str, ...] = ()
) -> list[Recipe]:
    """One for each export, the larger networks first, since they take longest."""
    by_size = sorted(imports, key=lambda name: -networks.NETWORKS[name].weights)
    return [
        Recipe(name, kind, imports[name], save, keep) for name in by_size for kind in networks.NORMS
    ]
