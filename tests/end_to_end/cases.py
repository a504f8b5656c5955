"""The networks of these tests: every exporter, static and dynamic, by two writings of the norm."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import get_args

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from tests.support.trained_like import variant
from un_deploy.graph.analysis.reference import run, widen
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx

SEED = 2208


@dataclass(frozen=True)
class Case:
    """One network through one exporter, with its norm written in one way."""

    factory: Callable[..., nn.Module]
    norm: str
    exporter: Exporter
    dynamic: bool

    def __str__(self) -> str:
        shape = "dynamic" if self.dynamic else "static"
        return f"{self.factory.__name__}-{self.norm}-{self.exporter}-{shape}"

    @cached_property
    def original(self) -> ir.Model:
        return _exported(self.factory, self.norm, self.exporter, self.dynamic)

    @cached_property
    def without_norms(self) -> ir.Model:
        return _exported(self.factory, "none", self.exporter, self.dynamic)

    @cached_property
    def folded(self) -> Folded:
        return fold_graph(self.original.clone())

    def feeds(self, count: int) -> list[dict[str, np.ndarray]]:
        """Inputs of the network's kind; the same every time, and for every writing and exporter."""
        return _feeds(self.factory, count)


def exact_outputs(case: Case, count: int) -> list[np.ndarray]:
    """PyTorch's answers in float64: an oracle that shares no code with the rewriter."""
    return _exact_outputs(case.factory, count)


@lru_cache(maxsize=1)
def _exact_outputs(factory: Callable[..., nn.Module], count: int) -> list[np.ndarray]:
    net = deepcopy(_network(factory, "un")).double()
    with torch.no_grad():
        tensors = (
            {name: torch.from_numpy(widen(array)) for name, array in feeds.items()}
            for feeds in _feeds(factory, count)
        )
        return [net(**inputs).numpy() for inputs in tensors]


@lru_cache(maxsize=4)
def _feeds(factory: Callable[..., nn.Module], count: int) -> list[dict[str, np.ndarray]]:
    first = {name: tensor.numpy() for name, tensor in _example(factory).items()}
    rng = np.random.default_rng(SEED)
    return [{name: _like(name, array, rng) for name, array in first.items()} for _ in range(count)]


def _example(factory: Callable[..., nn.Module]) -> dict[str, torch.Tensor]:
    """One image or two sentences: a large network in float64 takes its time."""
    return factory().example_inputs(1 if "vit" in factory.__name__ else 2)


@lru_cache(maxsize=3)  # a large network takes a minute to look trained
def _network(factory: Callable[..., nn.Module], norm: str) -> nn.Module:
    return variant(factory, norm, SEED)


@lru_cache(maxsize=3)  # both writings of the norm are held against the same network without
def _exported(
    factory: Callable[..., nn.Module], norm: str, exporter: Exporter, dynamic: bool
) -> ir.Model:
    net = _network(factory, norm)
    return to_onnx(
        net,
        net.example_inputs() if dynamic else _example(factory),
        dynamic_axes=net.dynamic_axes if dynamic else {},
        output_names=net.output_names,
        exporter=exporter,
    )


def cases(*factories: Callable[..., nn.Module]) -> list[Case]:
    return [
        Case(factory, norm, exporter, dynamic)
        for factory in factories
        for exporter in get_args(Exporter)
        for dynamic in (False, True)
        for norm in ("un", "released")
    ]


def unrounded_outputs(folded: Folded, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The folded graph in float64, with its constants as computed and not as saved."""
    return run(folded.model, feeds, lambda value: folded.constants[value])


def float64_outputs(model: ir.Model, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The graph in float64, with its constants as saved."""
    return run(model, feeds, lambda value: widen(value.const_value.numpy()))


def _like(name: str, array: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if array.dtype.kind == "f":
        return rng.standard_normal(array.shape).astype(array.dtype)
    if "mask" in name:
        lengths = rng.integers(1, array.shape[1] + 1, size=(array.shape[0], 1))
        return (np.arange(array.shape[1]) < lengths).astype(array.dtype)
    return rng.integers(0, array.max() + 1, size=array.shape).astype(array.dtype)
