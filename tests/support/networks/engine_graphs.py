"""Engines of the recipes' graphs: the profiles that their open sizes need, and their kernels."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir

from models.recipes import RECIPES
from un_deploy.engines.building.from_graph import Engine, PreparedGraph, engine_of, prepare
from un_deploy.engines.building.options import BuildOptions
from un_deploy.engines.kernels.kernels import Signature, signatures
from un_deploy.engines.profiles import Profile, Range
from un_deploy.graph.precision.convert import Precision

SIZES = {name: three for recipe in RECIPES.values() for name, three in recipe.sizes.items()}


def profiles(model: ir.Model) -> tuple[Profile, ...]:
    """One profile of the sizes that the recipes give where a size is open; else none."""
    ranges = {
        str(value.name): Range(*zip(*(_three(dim) for dim in value.shape), strict=True))
        for value in model.graph.inputs
        if value.shape is not None and not value.shape.is_static()
    }
    return (ranges,) if ranges else ()


def _three(dim: int | ir.SymbolicDim) -> tuple[int, int, int]:
    return (dim, dim, dim) if isinstance(dim, int) else SIZES[str(dim.value)]


def engine(graph: PreparedGraph, target: str = "", origin: str = "the form") -> Engine:
    """A TensorRT-RTX engine, whose types are held against the precision on the way.

    Args:
        graph: in its precision.
        target: a compute capability; empty: TensorRT-RTX's own choice.
        origin: what messages call the model.

    Raises:
        InputError: it cannot be built, or has other types.
    """
    return engine_of(
        graph,
        origin=origin,
        flavor="tensorrt-rtx",
        options=BuildOptions(compute_capabilities=(target,) if target else ()),
        profiles=profiles(graph.model),
    )


def engine_signatures(
    model: ir.Model, precision: Precision, target: str = ""
) -> Counter[Signature]:
    """Kernels of the engine of a model that is given in fp32; see `engine`."""
    return signatures(engine(prepare(model, precision), target).built.kernels)
