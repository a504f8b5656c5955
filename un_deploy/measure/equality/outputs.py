"""Compares the outputs of two graphs: in float64, and by a runtime where there is one.

What is allowed, relative to the largest entry of the original's output in float64:

- in float64 nothing rounds but the weights that were rewritten, once each: `ROUNDINGS` = 32 units
  in the last place of the coarsest floating type among weights and outputs (float32: 3.8e-6).
  Folded vision transformers and post-norm encoders of 4 to 12 layers stay below half a unit; a
  convolutional network that ends in Sigmoid, whose output is exp(-16) on noise, had up to 7.
- in a runtime every operator rounds, in the original as well. So the original's own error in the
  same runtime, on the same inputs, says what rounding is there: `OWN_ERRORS` = 4 times that, or
  the 32 units where that is more. The folded networks above had 0.6 to 1.7 times the original's.
  Where an output has few entries the original may be right by luck: of twelve runs of a network
  with four, one had 2 units before the fold and 13 behind it.

Both are whole-model figures, in which a small fault can hide: the operator check is the proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.reference import is_floating, run, stored, widen
from un_deploy.graph.proof.operator_check import ir_eps
from un_deploy.runtime.protocol import Runtime

Array = np.ndarray

Runs = Sequence[Mapping[str, Array]]
"""Inputs or outputs by name, one mapping a run."""

ROUNDINGS = 32
OWN_ERRORS = 4

#: What `OutputResult.runtime` says of the evaluation that does not round.
FLOAT64 = "float64"


@dataclass(frozen=True)
class OutputResult:
    """One output of the second graph, against the first graph's in float64.

    Attributes:
        runtime: what computed it: "float64", or the runtime's name.
        error: max |second - first| / max |first|, the worst over the inputs (integers and
            booleans: the share of entries that differ).
        original: the same error of the first graph in this runtime; 0 in float64.
        allowed: the largest error that passes.
    """

    runtime: str
    output: str
    error: float
    original: float
    allowed: float

    @property
    def passed(self) -> bool:
        return self.error <= self.allowed  # NaN never passes


def signature_problems(first: ir.Model, second: ir.Model, *, shapes: bool) -> list[str]:
    """Where the inputs and outputs of two graphs differ: names, order, types.

    With `shapes` also the declared shapes, with the names of dynamic dimensions.
    """
    problems = []
    for kind in ("inputs", "outputs"):
        old, new = (list(getattr(m.graph, kind)) for m in (first, second))
        names = [[value.name for value in values] for values in (old, new)]
        if names[0] != names[1]:
            problems.append(f"the {kind} are {names[1]}, the original's {names[0]}")
            continue
        for a, b in zip(old, new, strict=True):
            if a.dtype != b.dtype:
                problems.append(f"{kind[:-1]} {a.name!r} is {b.dtype}, the original's {a.dtype}")
            elif shapes and _dims(a) != _dims(b):
                problems.append(f"{kind[:-1]} {a.name!r} is {_dims(b)}, the original's {_dims(a)}")
    return problems


def float64_results(
    first: ir.Model, second: ir.Model, feeds: Runs
) -> tuple[list[OutputResult], list[dict[str, Array]]]:
    """Compare in float64, with the weights as saved.

    Returns:
        The results, and the first graph's outputs for each of the feeds.

    Raises:
        InputError: an operator cannot be run in float64.
    """
    expected = [run(first, feed, stored) for feed in feeds]
    found = [run(second, feed, stored) for feed in feeds]
    exact = dict.fromkeys(expected[0], 0.0)
    return list(_results(FLOAT64, expected, found, exact, _floor(first, second))), expected


def runtime_results(
    runtime: Runtime, first: ir.Model, second: ir.Model, feeds: Runs, expected: Runs
) -> list[OutputResult]:
    """Run both graphs in a runtime, and compare them with the first one's outputs in float64.

    Raises:
        CannotRunError: the runtime does not run the first graph, so it says nothing of the second.
        InputError: it runs the first and not the second.
    """
    try:
        session = runtime.load(first)
        own = [session.run(feed) for feed in feeds]
    except InputError as error:
        raise CannotRunError(str(error)) from error
    session = runtime.load(second)
    found = [session.run(feed) for feed in feeds]
    errors = {name: _worst(name, expected, own) for name in expected[0]}
    return list(_results(runtime.name, expected, found, errors, _floor(first, second)))


class CannotRunError(Exception):
    """A runtime does not run the original."""


def _results(
    runtime: str, expected: Runs, found: Runs, own: Mapping[str, float], floor: float
) -> Iterator[OutputResult]:
    for name in expected[0]:
        floating = expected[0][name].dtype.kind == "f"
        allowed = max(OWN_ERRORS * own[name], floor if floating else 0.0)
        error = _worst(name, expected, found)
        yield OutputResult(runtime, name, error, own[name], allowed)


def _worst(name: str, expected: Runs, found: Runs) -> float:
    pairs = zip(expected, found, strict=True)
    return float(np.max([relative_error(want[name], got[name]) for want, got in pairs]))


def relative_error(expected: Array, found: Array) -> float:
    """Relative to the largest expected entry; NaN where either is not finite."""
    found = widen(found)
    if found.shape != expected.shape:
        return float("inf")
    if expected.dtype.kind != "f":
        return float(np.mean(found != expected)) if expected.size else 0.0
    if not (np.all(np.isfinite(expected)) and np.all(np.isfinite(found))):
        return float("nan")
    scale = float(np.max(np.abs(expected), initial=0))
    return float(np.max(np.abs(found - expected), initial=0)) / (scale or 1.0)


def _floor(*models: ir.Model) -> float:
    """`ROUNDINGS` units of the coarsest floating type among the weights and outputs."""
    dtypes = {value.dtype for model in models for value in model.graph.outputs}
    dtypes |= {value.dtype for model in models for value in model.graph.initializers.values()}
    return ROUNDINGS * max((ir_eps(d) for d in dtypes if d and is_floating(d)), default=0.0)


def _dims(value: ir.Value) -> list[int | str | None] | None:
    if value.shape is None:
        return None
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]
