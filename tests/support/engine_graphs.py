"""Engines of the recipes' graphs: the profiles that their open sizes need, and their kernels."""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir

from models.recipes import RECIPES
from un_deploy.engines.build.builder import build_graph
from un_deploy.engines.build.options import BuildOptions
from un_deploy.engines.kernels.check_types import check_types
from un_deploy.engines.kernels.kernels import Signature, signatures
from un_deploy.engines.profiles import Profile, Range
from un_deploy.graph.precision.convert import Precision, to_precision

SIZES = {name: three for recipe in RECIPES.values() for name, three in recipe.sizes.items()}


def profiles(model: ir.Model) -> tuple[Profile, ...]:
    """One profile of the sizes that the recipes give where a size is open; else none."""
    ranges = {}
    for value in model.graph.inputs:
        dims = [dim if isinstance(dim, int) else dim.value for dim in value.shape or ()]
        if any(isinstance(dim, str) for dim in dims):
            three = [
                tuple(SIZES[dim][which] if isinstance(dim, str) else int(dim or 0) for dim in dims)
                for which in range(3)
            ]
            ranges[value.name or ""] = Range(*three)
    return (ranges,) if ranges else ()


def engine_signatures(
    model: ir.Model, precision: Precision, target: str = ""
) -> Counter[Signature]:
    """Kernels of an engine, whose types are held against the precision on the way.

    Args:
        model: in fp32.
        precision: that it is converted to.
        target: a compute capability; empty: TensorRT-RTX's own choice.
    """
    converted, report = to_precision(model, precision)
    built = build_graph(
        converted,
        origin="the form",
        flavor="tensorrt-rtx",
        options=BuildOptions(compute_capabilities=(target,) if target else ()),
        profiles=profiles(converted),
    )
    check_types(built.kernels, converted, report)
    return signatures(built.kernels)
