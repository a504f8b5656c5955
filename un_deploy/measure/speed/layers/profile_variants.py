"""Times the layers of every variant, after the comparison, on the backend that timed them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from un_deploy.errors import InputError
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.model.model_file import load_model
from un_deploy.measure.speed.layers.groups import layer_group, node_groups
from un_deploy.measure.speed.layers.variant_layers import ProfiledLayer, VariantLayers
from un_deploy.measure.speed.variant import TITLES, Variant
from un_deploy.measure.speed.variant_times import Timed
from un_deploy.runtime.backends import load_file, threads_of_process
from un_deploy.runtime.how_it_ran import TellsHowItRan
from un_deploy.runtime.layer_times import TellsLayers, TimedLayer
from un_deploy.runtime.settings import RunSettings

RUNS, WARM_UP = 20, 5
"""Of each variant, there and back."""


def profile_variants(
    variants: Sequence[Variant],
    timed: Sequence[Timed],
    feeds: Feeds,
    settings: RunSettings,
    *,
    progress: Callable[[str], None] = lambda text: None,
) -> tuple[VariantLayers, ...]:
    """The layers of the fastest form of each kind.

    Every variant is profiled twice, the second time in reverse order, so that a machine that warms
    up or slows down meanwhile favours nobody.

    Raises:
        InputError: the backend cannot tell of layers, or tells of others the second time.
    """
    chosen = {}
    for kind in TITLES:
        forms = [one for one in timed if one.kind == kind and not one.control]
        if forms:
            best = min(forms, key=lambda one: one.median_s)
            found = next(v for v in variants if (v.kind, v.form) == (kind, best.form))
            chosen[found] = best.median_s
    sessions = {}
    for variant in chosen:
        progress(f"Loading {variant.name} to profile it")
        session = load_file(Path(variant.model), settings, variant.fusions)
        if not isinstance(session, TellsLayers):
            raise InputError(f"{settings.backend} cannot tell the times of its layers")
        sessions[variant] = session
    layers: dict[Variant, tuple[TimedLayer, ...]] = {}
    with threads_of_process(settings):
        for variant in (*sessions, *reversed(sessions)):
            progress(f"Profiling the layers of {variant.name}")
            told = sessions[variant].layer_times(feeds, RUNS, WARM_UP)
            layers[variant] = _together(layers[variant], told) if variant in layers else told
    return tuple(
        VariantLayers(
            kind=variant.kind,
            form=variant.form,
            layers=_grouped(variant, layers[variant]),
            runs=2 * RUNS,
            run_s=run_s,
            warnings=_warnings(sessions[variant]),
        )
        for variant, run_s in chosen.items()
    )


def _warnings(session: object) -> tuple[str, ...]:
    return session.how_it_ran().warnings if isinstance(session, TellsHowItRan) else ()


def _together(first: Sequence[TimedLayer], again: Sequence[TimedLayer]) -> tuple[TimedLayer, ...]:
    if [(one.name, one.kind) for one in first] != [(one.name, one.kind) for one in again]:
        raise InputError("the backend runs other layers when it is profiled a second time")
    return tuple(
        TimedLayer(a.name, a.kind, a.onnx_nodes, (*a.seconds, *b.seconds))
        for a, b in zip(first, again, strict=True)
    )


def _grouped(variant: Variant, layers: Sequence[TimedLayer]) -> tuple[ProfiledLayer, ...]:
    model = load_model(variant.model)
    groups = node_groups(model)
    operators = {node_name(node): node.op_type for node in model.graph}
    return tuple(
        ProfiledLayer(
            name=layer.name,
            kind=layer.kind,
            onnx_nodes=layer.onnx_nodes,
            operators=tuple(
                dict.fromkeys(operators[name] for name in layer.onnx_nodes if name in operators)
            ),
            group=layer_group(layer.kind, layer.onnx_nodes, groups),
            median_s=median(layer.seconds),
        )
        for layer in layers
    )
