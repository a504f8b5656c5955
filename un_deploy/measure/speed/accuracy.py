"""Compares what every variant computes, in the backend that times it, with float64.

What is right in float64 a runtime computes (`un_deploy.runtime.in_double`); where none can, nothing
is judged, and that is said. A plan has no graph to compute in float64. It is held against the graph
of another form of the same network where one was given, else plans of UN are held against each
other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError, ThresholdError
from un_deploy.graph.fold.quantised import hides_norms, named, quantised
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.graph.model.model_file import load_model
from un_deploy.measure.equality.outputs import relative_error
from un_deploy.measure.speed.variant import TITLES, Kind, Variant
from un_deploy.measure.speed.whose_error import saying_whose
from un_deploy.runtime.backends import backend_named, choose_backend, load_file
from un_deploy.runtime.in_double import InDouble
from un_deploy.runtime.settings import RunSettings

FLOAT64 = "float64"


@dataclass(frozen=True)
class Accuracy:
    """How far a variant in this backend is from its network in float64.

    Attributes:
        output: the output that is worst; "" where nothing was judged.
        error: max |found - expected| / max |expected|, over all entries of all outputs; None where
            nothing was judged.
        against: what it is held against; where nothing was judged, why not.
    """

    kind: Kind
    form: str
    output: str
    error: float | None
    against: str = FLOAT64


def accuracies(
    variants: Sequence[Variant], feeds: Feeds, settings: RunSettings, *, logs: Path | None = None
) -> tuple[Accuracy, ...]:
    """The worst output of each variant but no norm, which computes something else.

    That is only seen to give finite numbers, as is a plan that there is nothing to hold against.

    LN is held against LN, other norms against themselves, and UN in all its forms against the
    unfolded graph where there is one, so that a fault of the fold would show here too.

    Args:
        logs: a folder for the log of a run that fails, where the backend has one.

    Raises:
        InputError: a variant does not run, a plan gives NaN or infinities, or so does a linear
            operator of no norm: such numbers take other times.
    """
    for variant in variants:
        if variant.kind == "none" and variant.plan_bytes is None:
            _check_no_norm(variant.model, feeds, settings)
    computed = {
        variant: _computed(variant, feeds, settings, logs)
        for variant in variants
        if variant.kind != "none"
    }
    expected: dict[str, dict[str, np.ndarray] | str] = {}
    found = []
    for variant, outputs in computed.items():
        reference = _reference(variant, variants)
        if reference is None:
            _check_finite(variant, outputs)
            continue
        against, model = FLOAT64, reference.model
        if reference.plan_bytes is not None:
            against = _plan_of(reference.kind)
            expected[model] = computed[reference]
        elif model not in expected:
            expected[model] = _in_float64(model, feeds)
        wanted = expected[model]
        if isinstance(wanted, str):
            found.append(Accuracy(variant.kind, variant.form, "", None, wanted))
            continue
        errors = {name: relative_error(wanted[name], outputs[name]) for name in outputs}
        worst = max(errors, key=lambda name: errors[name])
        found.append(Accuracy(variant.kind, variant.form, worst, errors[worst], against))
    return tuple(found)


def _computed(
    variant: Variant, feeds: Feeds, settings: RunSettings, logs: Path | None
) -> dict[str, np.ndarray]:
    with saying_whose(variant.name):
        session = load_file(Path(variant.model), settings, variant.fusions)
    with saying_whose(variant.name, session, logs):
        return session.run(feeds)


def _in_float64(model: str, feeds: Feeds) -> dict[str, np.ndarray] | str:
    """The outputs in float64, or why there are none."""
    graph = load_model(model)
    if hides_norms(found := quantised(graph)):  # what passes between its operators is rounded
        return f"quantised ({named(found)}): it has no float64 form"
    try:
        return InDouble(graph).run(feeds)
    except InputError as error:
        return str(error)


def _reference(variant: Variant, variants: Sequence[Variant]) -> Variant | None:
    """The first graph that computes the same; else, for a plan of UN folded, that of unfolded."""
    of_un = ("unfolded", "folded")
    kinds = of_un if variant.kind in of_un else (variant.kind,)
    same = [one for kind in kinds for one in variants if one.kind == kind]
    graphs = [one for one in same if one.plan_bytes is None]
    if graphs:
        return graphs[0]
    return same[0] if same[0].kind != variant.kind else None


def _plan_of(kind: Kind) -> str:
    return f"the plan of {TITLES[kind]}"


def _check_no_norm(model: str, feeds: Feeds, settings: RunSettings) -> None:
    """Refuse a network without norms in which a linear operator overflows."""
    graph = load_model(model).graph
    linear = [str(node.outputs[0].name) for node in graph if operator_named(node.op_type).linear]
    eager = choose_backend(backend_named(settings.backend).inner_tensors or settings.backend)
    session = load_file(Path(model), RunSettings(eager, device=settings.device))
    for name, array in session.run(feeds, linear).items():
        if not np.all(np.isfinite(array)):
            raise InputError(
                f"without norms the network overflows at {name}: its time would say nothing; "
                f"give smaller inputs with {argument('inputs')}"
            )


def _check_finite(variant: Variant, outputs: Mapping[str, np.ndarray]) -> None:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise InputError(
                f"{TITLES[variant.kind]}: output {name} of {variant.source} is not finite on "
                "these inputs"
            )


def require_accuracy(
    found: Sequence[Accuracy], most: float, of: Collection[Kind] = (), *, judged: str = ""
) -> None:
    """Raise if a variant is further from float64 than allowed.

    Args:
        found: of the variants that there was something to hold against.
        most: the error allowed.
        of: variants that must be among these, or be what another was held against.
        judged: backend and precision, for the message.

    Raises:
        ThresholdError: names the first, its output and its error; or one that was not judged.
        InputError: a variant was held against nothing, or none against anything.
    """
    whose = f"{judged}: " if judged else ""
    held = {one.kind for one in found}
    against = {one.against for one in found}
    loose = [kind for kind in of if kind not in held and _plan_of(kind) not in against]
    if loose or not found:
        of_whom = f" of {', '.join(TITLES[kind] for kind in loose)}" if loose else ""
        raise InputError(
            f"an error{of_whom} cannot be bounded: plans have no graph to be held against; give "
            "the ONNX file of such a network (of UN, folded or unfolded, beside its plan)"
        )
    for one in found:
        form = f" ({one.form})" if one.form else ""
        if one.error is None:
            raise ThresholdError(
                f"{whose}the error of {TITLES[one.kind]}{form} was not judged, so it cannot be "
                f"held against {most:g}: {one.against}"
            )
        if not one.error <= most:
            raise ThresholdError(
                f"{whose}{TITLES[one.kind]}{form}: output {one.output} is off by "
                f"{one.error:.3g} of its range, more than {most:g}"
            )
