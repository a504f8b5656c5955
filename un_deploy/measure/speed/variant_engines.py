"""Builds a TensorRT engine of every variant, runs none, and tells what each would run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import onnx_ir as ir

from un_deploy.engines.building.from_graph import Engine, PreparedGraph, engine_of, prepare
from un_deploy.engines.building.options import BuildOptions
from un_deploy.engines.flavor import Flavor, library
from un_deploy.engines.kernels.kernels import Kernel, Signature, bytes_written, signatures
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.graph.model.model_file import load_model
from un_deploy.graph.precision.convert import Precision
from un_deploy.graph.strip.biases_gained_by_fold import add_biases
from un_deploy.measure.speed.engine_facts import EngineFacts, PlannedKernel
from un_deploy.measure.speed.variant import Variant
from un_deploy.measure.speed.whose_error import saying_whose


def engine_facts(
    variants: Sequence[Variant],
    feeds: Feeds,
    *,
    flavor: Flavor,
    precision: Precision,
    tf32: bool = True,
    gained_biases: Collection[str] = (),
) -> tuple[EngineFacts, ...]:
    """Build every variant for the shapes of the inputs, and compare the kernels with no norm's.

    Args:
        variants: see `un_deploy.measure.speed.compare`; forms that only ONNX Runtime's own settings
            tell apart are one engine.
        feeds: their shapes are the engines', fixed, so that bytes are known.
        tf32: whether products of fp32 may be computed in TF32.
        gained_biases: of the fold: UN folded is compared with no norm that has biases there too.

    Raises:
        InputError: a variant does not build in the precision.
        MissingPackageError: the flavour is not installed.
    """
    found: dict[Variant, tuple[EngineFacts, Counter[Signature]]] = {}
    for variant in variants:
        if variant.fusions == "all":
            with saying_whose(variant.name):
                graph = prepare(load_model(variant.model), precision)
                engine = _engine(graph, feeds, flavor, tf32)
                found[variant] = _facts(variant, engine, flavor, precision, tf32)
                del graph, engine  # its plan is as large as the weights
    none = next((variant for variant in found if variant.kind == "none"), None)
    bare = biased = None if none is None else found[none][1]
    if none is not None and none.derived and gained_biases:
        graph = prepare(_with_biases(none, gained_biases), precision)
        biased = signatures(_engine(graph, feeds, flavor, tf32).built.kernels)
    return tuple(
        replace(facts, same_as_none=_alike(kernels, biased if facts.kind == "folded" else bare))
        for facts, kernels in found.values()
    )


def _facts(
    variant: Variant, engine: Engine, flavor: Flavor, precision: Precision, tf32: bool
) -> tuple[EngineFacts, Counter[Signature]]:
    """What is told of an engine, and the kernels to hold against no norm's."""
    built = engine.built
    facts = EngineFacts(
        kind=variant.kind,
        form=variant.form,
        flavor=flavor,
        tensorrt=library(flavor).__version__,
        precision=precision,
        plan_bytes=len(built.plan),
        activation_bytes=built.memory.get("activation"),
        bytes_written=bytes_written(built.kernels),
        same_as_none=None,
        kernels=tuple(map(_planned, built.kernels)),
        warnings=(*engine.graph.notes, *built.warnings),
        types=(engine.types.told,) if engine.types else (),
        tf32=tf32,
    )
    return facts, signatures(built.kernels)


def _engine(graph: PreparedGraph, feeds: Feeds, flavor: Flavor, tf32: bool) -> Engine:
    shapes = {name: array.shape for name, array in feeds.items()}
    options = BuildOptions(tf32=tf32)
    return engine_of(graph, origin="the variant", flavor=flavor, shapes=shapes, options=options)


def _with_biases(variant: Variant, biases: Collection[str]) -> ir.Model:
    model = load_model(variant.model)
    add_biases(model, biases)
    return model


def _alike(kernels: Counter[Signature], bare: Counter[Signature] | None) -> bool | None:
    return None if bare is None else kernels == bare


def _planned(kernel: Kernel) -> PlannedKernel:
    return PlannedKernel(
        name=kernel.name,
        what=f"{kernel.layer_type} {kernel.fused}".rstrip(),
        onnx_nodes=kernel.onnx_nodes,
        bytes_written=bytes_written([kernel]),
    )
