"""Is what is timed right? Every variant in its backend, against its network in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from un_deploy.errors import ThresholdError
from un_deploy.graph.model_file import load_model
from un_deploy.graph.precision import Precision
from un_deploy.graph.reference import run, stored
from un_deploy.measure.outputs import relative_error
from un_deploy.measure.variant import TITLES, Kind, Variant
from un_deploy.runtime.backends import Backend, runtime_of
from un_deploy.runtime.protocol import Feeds


@dataclass(frozen=True)
class Accuracy:
    """How far a variant in this backend is from its network in float64.

    Attributes:
        kind, form: the variant.
        output: the output that is worst.
        error: max |found - expected| / max |expected|, over all entries of all outputs.
    """

    kind: Kind
    form: str
    output: str
    error: float


def accuracies(
    variants: Sequence[Variant],
    feeds: Feeds,
    *,
    backend: Backend,
    threads: int | None = None,
    device: str = "cpu",
    precision: Precision = "fp32",
) -> tuple[Accuracy, ...]:
    """The worst output of each variant; no norm is left out, since it computes something else.

    LN is held against LN, and UN in all its forms against the unfolded graph where there is one,
    so that a fault of the fold would show here too.

    Args:
        variants: see `un_deploy.measure.compare`.
        feeds: what they run on.
        backend, threads, device, precision: what runs them.

    Raises:
        InputError: a variant does not run.
    """
    references = {variant.kind: variant for variant in variants}
    references["folded"] = references.get("unfolded", references.get("folded", variants[0]))
    expected = {}
    found = []
    for variant in variants:
        if variant.kind == "none":
            continue
        reference = references[variant.kind].model
        if reference not in expected:
            expected[reference] = run(load_model(reference), feeds, stored)
        runtime = runtime_of(
            backend, threads=threads, device=device, fusions=variant.fusions, precision=precision
        )
        outputs = runtime.load(load_model(variant.model)).run(feeds)
        errors = {
            name: relative_error(expected[reference][name], outputs[name]) for name in outputs
        }
        worst = max(errors, key=lambda name: errors[name])
        found.append(Accuracy(variant.kind, variant.form, worst, errors[worst]))
    return tuple(found)


def require_accuracy(found: Sequence[Accuracy], most: float) -> None:
    """Raise if a variant is further from float64 than allowed.

    Raises:
        ThresholdError: names the first, its output and its error.
    """
    for one in found:
        if not one.error <= most:
            form = f" ({one.form})" if one.form else ""
            raise ThresholdError(
                f"{TITLES[one.kind]}{form}: output {one.output} is off by {one.error:.3g} of its "
                f"range, more than {most:g}"
            )
