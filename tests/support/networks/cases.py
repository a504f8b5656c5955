"""The recipes through both exporters, static and dynamic, and what they compute on some inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from _pytest.mark import ParameterSet

from models.recipes import MICRO, Recipe
from tests.support.float64 import run
from tests.support.graphs import exact
from tests.support.networks.exports import EXPORTS_OF, SEED, exported
from tests.support.networks.kept import kept
from tests.support.networks.trained_like import FORWARDS, variant
from un_deploy.graph.analysis.floating import widen
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.pipeline.export.calling import call
from un_deploy.pipeline.export.torch_to_onnx import Exporter

Feeds = dict[str, np.ndarray]


def with_micros(*others: tuple[Any, ...]) -> list[ParameterSet]:
    """Every micro network with each of these further parameters, in the slow tests too.

    Of the slow networks, the parts of one, each gets every third: together they have all, and the
    last, which takes its past as inputs, has the first.
    """
    parts = [recipe for recipe in MICRO.values() if recipe.slow][::-1]
    return [
        pytest.param(recipe, *other, marks=[pytest.mark.slow] if recipe.slow else [])
        for recipe in MICRO.values()
        for number, other in enumerate(others)
        if not recipe.slow or parts[number % len(parts)] is recipe
    ]


@dataclass(frozen=True)
class Case:
    """One network through one exporter, with its norm written in one way."""

    recipe: Recipe
    norm: str
    exporter: Exporter
    dynamic: bool

    def __str__(self) -> str:
        shape = "dynamic" if self.dynamic else "static"
        return f"{self.recipe}-{self.norm}-{self.exporter}-{shape}"

    @cached_property
    def original(self) -> ir.Model:
        return self._exported(self.norm)

    @cached_property
    def without_norms(self) -> ir.Model:
        return self._exported("none")

    @cached_property
    def folded(self) -> Folded:
        return fold_graph(self.original.clone())

    def feeds(self, count: int) -> list[Feeds]:
        """Inputs of the network's kind; the same every time, and for every writing and exporter."""
        return feeds_of(self.recipe, count)

    def _exported(self, norm: str) -> ir.Model:
        return exported_of(self.recipe, norm, self.exporter, self.dynamic)


def missing_biases(recipe: Recipe) -> int:
    """How many linear layers behind norms have no bias, so that a fold gives each one."""
    with torch.device("meta"):
        bare, biased = recipe.factory(), recipe.folds_to()
    return len(list(biased.parameters())) - len(list(bare.parameters()))


def cases(recipe: Recipe) -> list[Case]:
    """Both writings of the norm, every export once: see `EXPORTS_OF`."""
    return [
        Case(recipe, norm, *export) for norm in ("un", "released") for export in EXPORTS_OF[norm]
    ]


def exported_of(recipe: Recipe, form: str, exporter: Exporter, dynamic: bool) -> ir.Model:
    """A network's graph in one of `FORMS`, with as many rows as the recipe says where static."""
    return exported(
        recipe.factory, form, dynamic, exporter, batch=recipe.batch, forwards=forwards_of(recipe)
    )


def forwards_of(recipe: Recipe) -> int:
    """In its training. Of a large network three: a fold takes any running_var as it is, and twenty
    would take longer than the export."""
    return FORWARDS if recipe.micro else 3


@cache
def graph_of(recipe: Recipe, form: str, exporter: Exporter, dynamic: bool) -> ir.Model:
    """A micro network's graph in one of `FORMS`; whoever changes it clones it."""
    return exported_of(recipe, form, exporter, dynamic)


@cache
def reference(recipe: Recipe, form: str, exporter: Exporter, dynamic: bool) -> np.ndarray:
    """ONNX Runtime's first output of a micro network's graph on the first of its feeds."""
    from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

    session = OnnxRuntime(threads=1).load(graph_of(recipe, form, exporter, dynamic))
    return first_of(session.run(feeds_of(recipe)[0]))


def first_of(outputs: Feeds) -> np.ndarray:
    """The first output; behind the logits of a decoder's step come its caches."""
    return next(iter(outputs.values()))


def feeds_of(recipe: Recipe, count: int = 1) -> list[Feeds]:
    """Random inputs of a network's kind, `Recipe.batch` rows each; the same at every call."""
    with torch.device("meta"):
        network = recipe.factory()
    example = {n: t.numpy() for n, t in network.example_inputs(recipe.batch).items()}
    rng = np.random.default_rng(SEED)
    return [{n: _like(n, array, rng) for n, array in example.items()} for _ in range(count)]


def exact_outputs(recipe: Recipe, count: int) -> np.ndarray:
    """PyTorch's answers in float64: an oracle that shares no code with the rewriter.

    Returns:
        float64, the first outputs for each of the feeds, stacked.
    """

    def make() -> np.ndarray:
        network = variant(recipe.factory, "un", SEED, forwards=forwards_of(recipe)).double()
        with torch.no_grad():
            tensors = (
                {name: torch.from_numpy(widen(array)) for name, array in feeds.items()}
                for feeds in feeds_of(recipe, count)
            )
            return np.stack([call(network, inputs)[0][1].numpy() for inputs in tensors])

    return kept(f"{recipe}-{count}.npy", make, _save, np.load)


def _save(array: np.ndarray, path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def unrounded_outputs(folded: Folded, feeds: Feeds) -> Feeds:
    """The folded graph in float64, with its constants as computed and not as saved."""
    return run(folded.model, feeds, lambda value: exact(folded, value))


def float64_outputs(model: ir.Model, feeds: Feeds) -> Feeds:
    """The graph in float64, with its constants as saved."""
    return run(model, feeds, lambda value: widen(value.const_value.numpy()))


def _like(name: str, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if array.dtype.kind == "f":
        return rng.standard_normal(array.shape).astype(array.dtype)
    if "mask" in name:
        lengths = rng.integers(1, array.shape[1] + 1, size=(array.shape[0], 1))
        return (np.arange(array.shape[1]) < lengths).astype(array.dtype)
    return rng.integers(0, array.max() + 1, size=array.shape).astype(array.dtype)
