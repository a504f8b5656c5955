"""Engines of the recipes' graphs: the profiles that their open sizes need, and their kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import numpy as np
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


def with_biases(model: ir.Model, names: Collection[str]) -> ir.Model:
    """A copy whose outputs of these names have a bias, which a fold has given to others.

    Args:
        model: the values of these names are outputs of its graph, made by linear operators.
        names: for example ``FoldReport.gained_biases``.
    """
    model = model.clone()
    for value in [one for one in model.graph.outputs if one.name in names]:
        node = value.producer()
        assert node is not None and value.shape is not None and value.dtype is not None
        array = np.random.default_rng(0).standard_normal(int(value.shape[-1]))
        bias = ir.val(f"{value.name}_bias", const_value=ir.tensor(array.astype(np.float32)))
        model.graph.register_initializer(bias)
        add = ir.node("Add", [value, bias], name=f"{value.name}_biased")
        out = add.outputs[0]
        out.type, out.shape = value.type, value.shape
        value.name, out.name = f"{value.name}_product", value.name
        model.graph.insert_after(node, add)
        model.graph.outputs[list(model.graph.outputs).index(value)] = out
    return model


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
