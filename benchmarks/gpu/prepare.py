"""Builds, exports, folds and imports one network with one kind of norm, and keeps it in files."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.fx.subgraph_rewriter import replace_pattern_with_filters

from benchmarks.gpu.cells import BASELINES, GRAPHS, VARIANTS, Cell
from benchmarks.gpu.networks import NETWORKS, ROWS, Kind, build, inputs
from tests.support.networks.trained_like import norms
from un_deploy.errors import InputError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.export.torch_to_onnx import to_onnx
from un_deploy.runtime.torch_graph import TorchRuntime

REFERENCE_ROWS = 2
"""Rows of which the float32 outputs are kept, to hold all others against."""


def exports(cells: Iterable[Cell]) -> list[tuple[str, Kind, tuple[Cell, ...]]]:
    """The network and norm of each export and the network's cells; the largest networks first."""
    by_network: dict[str, tuple[Cell, ...]] = {}
    for cell in cells:
        by_network[cell.network] = (*by_network.get(cell.network, ()), cell)
    by_size = sorted(by_network, key=lambda name: -NETWORKS[name].weights)
    return [(name, kind, by_network[name]) for name in by_size for kind in _kinds(by_network[name])]


def _kinds(cells: Iterable[Cell]) -> dict[Kind, None]:
    """What the variants of cells are made of, each once."""
    return dict.fromkeys(VARIANTS[variant][0] for cell in cells for variant in cell.variants)


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


def prepare(name: str, kind: Kind, cells: Sequence[Cell], folder: Path) -> dict[str, Any]:
    """Make the files that cells need of one export of a network.

    Returns:
        what happened: seconds until each step was done, and what the fold did.

    Raises:
        UnDeployError: a step failed.
    """
    began, seconds = time.perf_counter(), {}

    def done(step: str) -> None:
        seconds[step] = round(time.perf_counter() - began, 2)

    def feeds(batch: int) -> dict[str, np.ndarray]:
        return {key: tensor.numpy() for key, tensor in inputs(name, module, batch).items()}

    (folder / name).mkdir(parents=True, exist_ok=True)
    module = build(name, kind)
    count = sum(1 for _ in norms(module))
    facts: dict[str, Any] = {"network": name, "norm": kind, "norms": count, "seconds": seconds}
    done("build")
    graph = to_onnx(module, inputs(name, module, 2))
    done("export")
    variants = [variant for variant, (made_of, _) in VARIANTS.items() if made_of == kind]
    models = dict.fromkeys(variants, graph)
    if "folded" in variants:
        folded = fold_graph(graph.clone())
        models["folded"], report = folded.model, folded.report
        facts["stayed"] = [f"{site.label}: {site.reason}" for site in report.stayed]
        facts["gained_biases"] = len(report.gained_biases)
        done("fold")
    if kind in BASELINES:
        folded = fold_graph(graph.clone(), fold_norm_affine=True)
        models[kind] = folded.model
        facts["stayed"] = [f"{site.label}: {site.reason}" for site in folded.report.stayed]
        done("fold")
    if kind == "ln":
        np.savez(inputs_file(folder, name), **feeds(ROWS))  # type: ignore[arg-type]
    if VARIANTS[variants[0]][1] == variants[0]:
        outputs = TorchRuntime().load(graph).run(feeds(REFERENCE_ROWS))
        np.savez(reference_file(folder, name, variants[0]), **outputs)  # type: ignore[arg-type]
        done("reference")
    for variant, model in models.items():
        wanted = [cell for cell in cells if variant in cell.variants]
        if any(cell.mode in GRAPHS for cell in wanted):
            save_model(model, onnx_file(folder, name, variant), force=True)
        imports: dict[Path, list[Cell]] = {}
        for cell in wanted:
            if cell.mode not in GRAPHS:
                imports.setdefault(modules_file(folder, cell, variant), []).append(cell)
        for path, alike in imports.items():
            dtype = None if alike[0].precision == "float32" else alike[0].precision
            session = TorchRuntime(dtype=dtype, recognize=alike[0].recognize).load(model)
            made = {batch: session.module(feeds(batch)) for batch in {c.batch for c in alike}}
            if variant == "un_addcmul":
                made = {batch: _fused(one, count) for batch, one in made.items()}
            torch.save(made, path)
    done("import")
    return facts


def _fused(module: fx.GraphModule, count: int) -> fx.GraphModule:
    fused, replaced = as_addcmul(module)
    if replaced != count:
        raise InputError(f"un_addcmul: {replaced} of {count} norms were found")
    return fused


def as_addcmul(module: fx.GraphModule) -> tuple[fx.GraphModule, int]:
    """UN as one call of addcmul: x * scale + shift, where both vary per channel.

    Returns:
        A copy of the module, and how many norms were replaced in it.
    """
    made = copy.deepcopy(module)

    def per_channel(match: Any, *_: fx.Graph) -> bool:
        return all(_is_vector(made, node) for node in match.placeholder_nodes[1:])

    found = replace_pattern_with_filters(made, _affine, _addcmul, [per_channel])
    return made, len(found)


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return x * scale + shift


def _addcmul(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return torch.addcmul(shift, x, scale)


def _is_vector(module: fx.GraphModule, node: Any) -> bool:
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return False
    tensor = getattr(module, str(node.target))
    return isinstance(tensor, Tensor) and tensor.numel() == tensor.shape[-1] > 1
