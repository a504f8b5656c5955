"""One network through both exporters, static and dynamic: exported, folded, proven, run."""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from torch import Tensor, nn

from tests.support.graphs import operators
from tests.support.networks.exports import EXPORTS
from tests.support.networks.zoo.network import Network
from tests.support.networks.zoo.trained import built, calls_of_norms
from un_deploy.errors import UnDeployError
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.model.labels import label_of
from un_deploy.graph.proof.prove import prove
from un_deploy.pipeline.export.check_export import check_export
from un_deploy.pipeline.export.forward import outputs_of
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

Inputs = dict[str, Tensor]
Cell = dict[str, Any]


def measure(network: Network, modes: Sequence[tuple[Exporter, bool]] = EXPORTS) -> dict[str, Any]:
    """A network's cells, by the name of the mode: an exporter, and whether sizes are left open."""
    module, inputs = built(network, "un")
    bare, _ = built(network, "none")
    norms = calls_of_norms(module, inputs)
    cells = {
        mode_name(exporter, dynamic): cell(network, module, bare, inputs, norms, exporter, dynamic)
        for exporter, dynamic in modes
    }
    return {"network": network.name, "library": network.library, "cells": cells}


def mode_name(exporter: Exporter, dynamic: bool) -> str:
    """As the table has it."""
    return f"{exporter}, {'dynamic' if dynamic else 'static'}"


def cell(
    network: Network,
    module: nn.Module,
    bare: nn.Module,
    inputs: Inputs,
    norms: list[str],
    exporter: Exporter,
    dynamic: bool,
) -> Cell:
    """What became of a network in one mode, or why it was refused; whether something broke.

    Args:
        module, bare: with UN, and without norms.
        norms: the UN modules that a run comes by.
    """
    axes = network.axes if dynamic else {}
    try:
        original = to_onnx(module, inputs, dynamic_axes=axes, exporter=exporter)
        exported = check_export(module, original, inputs)
    except UnDeployError as error:
        return {"cause": shortened(str(error))}
    except Exception:
        return {"cause": "a traceback", "traceback": traceback.format_exc()}
    try:
        folded = fold_graph(original, fold_norm_affine=True)
        proof = prove(original, folded)
        difference = differences(module, original, folded.model, inputs)
        without = to_onnx(bare, inputs, dynamic_axes=axes, exporter=exporter)
    except Exception:
        return {"cause": "a traceback", "traceback": traceback.format_exc()}
    return {
        "cause": None,
        "exported_difference": exported,
        "proven": proof.passed,
        "problems": [str(problem) for problem in proof.problems],
        **difference,
        **what_folded(folded, norms),
        "more": dict(Counter(operators(folded.model)) - Counter(operators(without))),
    }


def what_folded(folded: Folded, norms: list[str]) -> Cell:
    """Norms of the network and other affines: folded, stayed with the reason, never seen."""
    sites = [
        replace(site, label=_module(site.label))
        for site in folded.report.sites
        if site.kind in ("norm", "affine")
    ]
    converted = set(norms)
    gone = Counter(s.label for s in sites if s.status == "folded" and s.label in converted)
    stayed = [s for s in sites if s.status == "stayed"]
    left = Counter(norms) - gone - Counter(s.label for s in stayed)
    # A norm behind a norm is one with it, and one of constants alone is a constant.
    there = {_module(label_of(node)) for node in folded.model.graph}
    merged = Counter({name: count for name, count in left.items() if name not in there})
    near = {miss.node: miss.reason for miss in folded.report.near_misses}
    return {
        "norms": len(norms),
        "folded": (gone + merged).total(),
        "others_folded": sum(s.status == "folded" and s.label not in converted for s in sites),
        "stayed": [
            {"label": s.label, "norm": s.label in converted, "reason": s.reason} for s in stayed
        ],
        "unseen": dict(left - merged),
        "near_misses": near,
    }


def _module(label: str) -> str:
    """Without the number that TorchScript gives a module that runs again."""
    return re.sub(r"_\d+(?=\.|$)", "", label)


def differences(
    module: nn.Module, original: ir.Model, folded: ir.Model, inputs: Inputs
) -> dict[str, float]:
    """Largest differences of the folded graph's outputs, as shares of the largest output."""
    names = [str(value.name) for value in original.graph.outputs]
    torch_gives = {k: v.numpy() for k, v in outputs_of(module, inputs, names).items()}
    before, after = (_run(model, inputs) for model in (original, folded))
    return {"to_original": _largest(after, before), "to_pytorch": _largest(after, torch_gives)}


def _run(model: ir.Model, inputs: Inputs) -> dict[str, np.ndarray]:
    return OnnxRuntime().load(model).run({name: one.numpy() for name, one in inputs.items()})


def _largest(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> float:
    worst = 0.0
    for name, want in wanted.items():
        scale = float(np.abs(want).max()) or 1.0
        worst = max(worst, float(np.abs(got[name].astype(float) - want).max()) / scale)
    return worst


def shortened(text: str, most: int = 300) -> str:
    """An exporter's message, in one line, without the folders that it made."""
    line = " ".join(re.sub(r"\S*/un-deploy-\w+/", "", text).split())
    return line if len(line) <= most else line[: most - 3] + "..."
