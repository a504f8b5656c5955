"""One network in every form that engines are compared in, and profiles for its dynamic form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache, lru_cache

import onnx_ir as ir
from torch import nn

from models.bert import bert_micro
from models.vit import vit_micro
from tests.support.trained_like import variant
from un_deploy.engines.build.from_graph import engine_of, prepare
from un_deploy.engines.build.options import BuildOptions
from un_deploy.engines.kernels.kernels import Signature, signatures
from un_deploy.engines.profiles import Profile, Range
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.precision.convert import Precision
from un_deploy.pipeline.export.torch_to_onnx import to_onnx

SEED = 2208
BATCH = 2
FORMS = ("none", "folded", "un", "released", "ln")
MICRO: dict[str, Callable[..., nn.Module]] = {"vit_micro": vit_micro, "bert_micro": bert_micro}


@cache
def forms(factory: Callable[..., nn.Module], dynamic: bool) -> dict[str, ir.Model]:
    """No norm, UN folded and unfolded, UN as the released module writes it, and LN."""
    return {form: exported(factory, form, dynamic) for form in FORMS}


def exported(factory: Callable[..., nn.Module], form: str, dynamic: bool) -> ir.Model:
    """One of `FORMS`."""
    network = _network(factory, "un" if form == "folded" else form)
    model = to_onnx(
        network,
        network.example_inputs(BATCH),
        dynamic_axes=network.dynamic_axes if dynamic else {},
        output_names=network.output_names,
    )
    return fold_graph(model).model if form == "folded" else model


@lru_cache(maxsize=1)  # a large one takes a minute to make, and is exported up to four times
def _network(factory: Callable[..., nn.Module], kind: str) -> nn.Module:
    return variant(factory, kind, SEED)


def profiles(model: ir.Model) -> tuple[Profile, ...]:
    """One profile where a size is dynamic: batch 1, 2, 8, sequence 8, 16, 32; else none."""
    sizes = {"batch": (1, BATCH, 8), "sequence": (8, 16, 32)}
    ranges = {}
    for value in model.graph.inputs:
        dims = [dim if isinstance(dim, int) else dim.value for dim in value.shape or ()]
        if any(isinstance(dim, str) for dim in dims):
            three = [
                tuple(sizes[dim][which] if isinstance(dim, str) else int(dim or 0) for dim in dims)
                for which in range(3)
            ]
            ranges[value.name or ""] = Range(*three)
    return (ranges,) if ranges else ()


def engine_signatures(
    model: ir.Model, precision: Precision, target: str = ""
) -> Counter[Signature]:
    """Build, and hold every kernel's type against the precision on the way."""
    graph = prepare(model, precision)
    engine = engine_of(
        graph,
        origin="the form",
        flavor="tensorrt-rtx",
        options=BuildOptions(compute_capabilities=(target,) if target else ()),
        profiles=profiles(graph.model),
    )
    return signatures(engine.built.kernels)
