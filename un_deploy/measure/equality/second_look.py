"""Whole outputs of two networks in one runtime, compared with each other.

Beside a proof this is a second look, which decides nothing; for a pair that is no fold of each
other it is what the verdict rests on. Both run in the same runtime on the same inputs, so nothing
lies between them but their own rounding. What is allowed:

- `OWN_ERRORS` = 4 times the rounding error that the first network has by itself on these inputs
  (`un_deploy.measure.equality.own_error`), or `ROUNDINGS` = 32 units in the last place of the
  coarsest floating type among weights and outputs (float32: 3.8e-6) where that is more: an output
  of few entries may be right by luck;
- never more than `MOST` = 1e-3 of the largest entry. Where the network's own error passes that,
  its outputs tell nothing of the other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.model.input_specs import Feeds, tensor_outputs
from un_deploy.install import how_to_install
from un_deploy.measure.equality.outputs import relative_error
from un_deploy.measure.equality.own_error import OwnError
from un_deploy.measure.equality.random_operators import behind_random
from un_deploy.measure.equality.report import OutputResult
from un_deploy.measure.equality.sizes import runs_at_several_sizes
from un_deploy.measure.equality.unreached import Runs, Unreached, steering, unreached
from un_deploy.runtime.backends import installed_runtimes
from un_deploy.runtime.protocol import Runtime

ROUNDINGS = 32
OWN_ERRORS = 4
MOST = 1e-3


class CannotLookError(Exception):
    """No runtime that is installed runs both networks; says why."""


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        runtime: what ran both.
        feeds: the inputs of each run.
        results: of each output that does not depend on a random operator.
        random: the outputs that do, with the operator.
        empty: outputs that have no finite entry in any run, so that nothing was compared.
        failure: why the second network does not run where the first one does; empty where it does.
        unreached: what these inputs did not reach, in either network.
        notes: axes that were seen at one size alone.
        others: outputs that are no tensors.
    """

    runtime: Runtime
    feeds: Sequence[Feeds]
    results: tuple[OutputResult, ...] = ()
    random: Mapping[str, str] = field(default_factory=dict)
    empty: tuple[str, ...] = ()
    failure: str = ""
    unreached: tuple[Unreached, ...] = ()
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def _some_finite(array: np.ndarray) -> bool:
    return bool(array.size) and (array.dtype.kind not in "fc" or bool(np.any(np.isfinite(array))))


def look(first: ir.Model, second: ir.Model, feeds: Sequence[Feeds] | None, seed: int = 0) -> Look:
    """Run two networks of the same signature in the first runtime that runs both.

    Args:
        first: the original.
        second: the one to compare.
        feeds: the inputs of each run; None: random ones of several sizes.
        seed: of these.

    Raises:
        CannotLookError: no runtime is installed, or none runs both.
    """
    failed: Look | None = None
    reasons = []
    for runtime in installed_runtimes():
        try:
            seen = _look_in(runtime, first, second, feeds, seed)
        except InputError as error:
            reasons.append(str(error))
            continue
        if not seen.failure:
            return seen
        failed = failed or seen
    if failed is not None:
        return failed
    raise CannotLookError(
        "; ".join(dict.fromkeys(reasons)) or f"no runtime is installed: {how_to_install('cpu')}"
    )


def _look_in(
    runtime: Runtime, first: ir.Model, second: ir.Model, feeds: Sequence[Feeds] | None, seed: int
) -> Look:
    outputs = tensor_outputs(first)
    others = tuple(str(v.name) for v in first.graph.outputs if v.name not in outputs)
    if not outputs:
        raise InputError(f"no output is a tensor: {', '.join(others)}")
    fetch = list(dict.fromkeys([*outputs, *steering(first)]))
    session = runtime.load(first)
    single: list[str] = []
    if feeds is None:
        feeds, expected, single = runs_at_several_sizes(
            first, lambda one: session.run(one, fetch), seed
        )
    else:
        expected = [session.run(one, fetch) for one in feeds]
    del session  # of two networks one at a time lies in memory
    session = runtime.load(second)
    notes = tuple(f"only one size of {axis} was seen to run" for axis in single)
    random = {**behind_random(first), **behind_random(second)}
    random = {name: operator for name, operator in random.items() if name in outputs}
    fetch = list(dict.fromkeys([*outputs, *steering(second)]))
    try:
        found = [session.run(one, fetch) for one in feeds]
    except InputError as error:
        return Look(runtime, feeds, random=random, failure=str(error), notes=notes, others=others)
    empty = tuple(name for name in outputs if not any(_some_finite(r[name]) for r in expected))
    compared = [name for name in outputs if name not in random]
    judge = Judge(first, second, runtime)
    results = tuple(judge.results(feeds, expected, found, compared))
    missed = [
        *unreached(first, _with_inputs(expected, feeds)),
        *unreached(second, _with_inputs(found, feeds)),
    ]
    return Look(
        runtime,
        feeds,
        results,
        random,
        empty,
        unreached=tuple(dict.fromkeys(missed)),
        notes=notes,
        others=others,
    )


class Judge:
    """Holds tensors of a second network against those of a first one, and its own error."""

    def __init__(self, first: ir.Model, second: ir.Model, runtime: Runtime) -> None:
        self._own = OwnError(first, runtime)
        self._runtime = runtime.name
        self._floor = _floor(first, second)

    def results(
        self, feeds: Sequence[Feeds], expected: Runs, found: Runs, names: Sequence[str]
    ) -> Iterator[OutputResult]:
        """One result a name, each the worst over the runs."""
        own = dict.fromkeys(names, 0.0)
        for one, computed in zip(feeds, expected, strict=True):
            for name, error in self._own.of(one, computed, names).items():
                own[name] = max(own[name], error)
        for name in names:
            pairs = zip(expected, found, strict=True)
            error = max(relative_error(want[name], got[name]) for want, got in pairs)
            floating = expected[0][name].dtype.kind not in "iub"
            yield OutputResult(
                self._runtime, name, error, own[name], self._allowed(own[name], floating)
            )

    def _allowed(self, own: float, floating: bool) -> float | None:
        if not own <= MOST:
            return None
        return min(max(OWN_ERRORS * own, self._floor if floating else 0.0), MOST)


def _with_inputs(runs: Runs, feeds: Sequence[Feeds]) -> list[dict[str, np.ndarray]]:
    return [{**given, **run} for run, given in zip(runs, feeds, strict=True)]


def _floor(*models: ir.Model) -> float:
    """`ROUNDINGS` units of the coarsest floating type among the weights and outputs."""
    values = [
        value
        for model in models
        for value in (*model.graph.outputs, *model.graph.initializers.values())
    ]
    types = {value.dtype for value in values if value.dtype is not None}
    return ROUNDINGS * max((float(one.eps) for one in types if is_floating(one)), default=0.0)
