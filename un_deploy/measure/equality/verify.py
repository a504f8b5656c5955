"""Proves that a folded graph computes what the original computes, operator by operator.

For a graph and its fold: the fold is done once more in memory to learn what each tensor stands for,
every operator is checked against the original (`un_deploy.graph.proof.operator_check`), and so are
the signature and the outputs (`un_deploy.measure.equality.outputs`). For any other two graphs the
outputs are all that can be compared.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError, VerificationError
from un_deploy.graph.analysis.reference import run, stored
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.proof.operator_check import TOLERANCE, Blind, OperatorResult, check_operators
from un_deploy.json_form import JsonForm
from un_deploy.measure.equality.inputs import check_inputs, random_inputs, read_inputs
from un_deploy.measure.equality.outputs import (
    CannotRunError,
    OutputResult,
    float64_results,
    runtime_results,
    signature_problems,
)
from un_deploy.measure.equality.random_inputs import SIZES
from un_deploy.runtime.backends import available_runtime

_SHOWN = 5


@dataclass(frozen=True)
class VerifyReport(JsonForm):
    """The outcome of a comparison. It passed when there is no problem.

    Attributes:
        kind: "fold": the second graph is the first one's fold, and every operator was checked;
            "outputs": it is not, and only the outputs were compared.
        reason: why it is no fold; empty where it is one.
        problems: what is wrong, one line each.
        operators: how many operators were compared.
        worst: the operator with the largest error, in units of what rounding allows.
        failures: the first few that exceed `tolerance`.
        tolerance: largest ratio of error to rounding that an operator may have.
        blind: rows of folded constants that the inputs never reached.
        outputs: the errors of the whole model's outputs.
        notes: what could not be run, and so says nothing.
        runs: how many sets of inputs were run.
    """

    kind: Literal["fold", "outputs"]
    reason: str = ""
    problems: tuple[str, ...] = ()
    operators: int = 0
    worst: OperatorResult | None = None
    failures: tuple[OperatorResult, ...] = ()
    tolerance: float = TOLERANCE
    blind: tuple[Blind, ...] = ()
    outputs: tuple[OutputResult, ...] = ()
    notes: tuple[str, ...] = ()
    runs: int = 0
    version: int = 1

    @property
    def passed(self) -> bool:
        return not self.problems

    def require(self) -> None:
        """Raise if it did not pass.

        Raises:
            VerificationError: states the first problem.
        """
        if self.problems:
            rest = len(self.problems) - 1
            more = f" (and {rest} more)" if rest else ""
            raise VerificationError(f"the graphs are not equal: {self.problems[0]}{more}")

    def json_form(self, given: dict[str, Any]) -> dict[str, Any]:
        """Whether it passed comes first; None where a number is not finite."""
        return {"passed": self.passed, **_finite(given)}


def verify(
    a: Any, b: Any, *, inputs: str | Feeds | None = None, seed: int = 0, keep: Collection[str] = ()
) -> VerifyReport:
    """Compare two models; if the second is the first one's fold, prove it operator by operator.

    Args:
        a: the original: a path, an onnx.ModelProto, an onnx_ir.Model or an
            onnx_graphsurgeon.Graph.
        b: the other one, likewise.
        inputs: data.npz, loader.py:function (which runs as code), or arrays by input name;
            None: random ones in valid ranges.
        keep: the norms that the fold was told to leave alone.

    Raises:
        InputError: a model or the inputs cannot be read, or an operator cannot be run.
    """
    (original, _), (other, _) = to_ir(a), to_ir(b)
    for model in (original, other):
        check_weights(model)
    feeds = feeds_of(original, inputs, seed)
    folded = fold_graph(to_ir(original)[0], keep=keep)
    reason = _difference(folded.model, other)
    if reason is None:
        return verify_fold(original, replace(folded, model=other), feeds)
    problems = tuple(signature_problems(original, other, shapes=False))
    report = VerifyReport("outputs", reason, problems)
    return _with_outputs(report, original, other, feeds)


def verify_fold(original: ir.Model, folded: Folded, feeds: Sequence[Feeds]) -> VerifyReport:
    """Prove what `fold_graph` made of a copy, with the weights rounded as they will be saved.

    Raises:
        InputError: an operator cannot be run in float64.
    """
    model = folded.model
    checks = [check_operators(original, model, folded.values, feed) for feed in feeds]
    results = sorted((r for c in checks for r in c.results), key=_severity, reverse=True)
    failures = tuple(r for r in results if not r.ratio <= TOLERANCE)
    unmapped = dict.fromkeys(name for check in checks for name in check.unmapped)
    problems = signature_problems(original, model, shapes=True)
    problems += [
        f"operator {r.node!r} ({r.operator}) is off by {r.ratio:.3g} times what rounding allows "
        f"(up to {TOLERANCE:g} passes)"
        for r in failures
    ]
    problems += [f"operator {name!r} stands for nothing in the original" for name in unmapped]
    problems += _changed_unsaid(original, model, folded.report)
    report = VerifyReport(
        "fold",
        problems=tuple(problems),
        operators=len(checks[0].results),
        worst=results[0] if results else None,
        failures=failures[:_SHOWN],
        blind=tuple(_never_reached([check.blind for check in checks])),
    )
    return _with_outputs(report, original, model, feeds)


def feeds_of(model: ir.Model, inputs: str | Feeds | None, seed: int = 0) -> list[Feeds]:
    """Inputs for a graph, one mapping a run; see `verify`.

    Raises:
        InputError: they cannot be read or do not fit the graph.
    """
    if inputs is None:
        return [_runnable(model, seed)]
    if isinstance(inputs, Mapping):
        return [*check_inputs([inputs], model)]
    return [*read_inputs(inputs, model)]


def _runnable(model: ir.Model, seed: int) -> Feeds:
    """Random inputs, of the first sizes on which the model runs if it leaves them open.

    Where it runs on none, those of the usual size: whoever runs it will say what is wrong.
    """
    usual, larger = (random_inputs(model, seed=seed, size=size) for size in SIZES[:2])
    if all(usual[name].shape == larger[name].shape for name in usual):
        return usual
    for size in SIZES:
        feeds = random_inputs(model, seed=seed, size=size)
        with suppress(InputError), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            # The mean of an image that was shrunk to nothing is NaN.
            if all(np.all(np.isfinite(out)) for out in run(model, feeds, stored).values()):
                return feeds
    return usual


def _with_outputs(
    report: VerifyReport, original: ir.Model, other: ir.Model, feeds: Sequence[Feeds]
) -> VerifyReport:
    """Compare the outputs too, if the signatures let them be compared."""
    problems = list(report.problems)
    outputs: list[OutputResult] = []
    notes: list[str] = []
    if not signature_problems(original, other, shapes=False):
        outputs, expected = float64_results(original, other, feeds)
        runtime = available_runtime()
        try:
            if runtime is None:
                notes.append("no runtime is installed, so the outputs were computed in float64")
            else:
                outputs += runtime_results(runtime, original, other, feeds, expected)
        except CannotRunError as error:
            notes.append(f"the original itself does not run: {error}")
        except InputError as error:
            problems.append(str(error))
    problems += [
        f"output {r.output!r} differs by {r.error:.2g} of its largest entry in {r.runtime} "
        f"({r.allowed:.2g} is allowed)"
        if math.isfinite(r.error)
        else f"output {r.output!r} is not finite, or of another shape, in {r.runtime}"
        for r in outputs
        if not r.passed
    ]
    return replace(
        report,
        problems=tuple(problems),
        outputs=tuple(outputs),
        notes=tuple(notes),
        runs=len(feeds),
    )


def _difference(expected: ir.Model, found: ir.Model) -> str | None:
    """The first thing that tells a graph from the fold of the original; constants may differ."""
    for one, other in zip_longest(expected.graph, found.graph):
        if one is None or other is None or _form(one) != _form(other):
            node = other or one
            assert node is not None
            return f"operator {node_name(node)!r} is not as the fold has it"
    weights = [
        {name: (v.dtype, v.shape) for name, v in model.graph.initializers.items()}
        for model in (expected, found)
    ]
    for name in weights[0].keys() | weights[1].keys():
        if weights[0].get(name) != weights[1].get(name):
            return f"initializer {name!r} is not as the fold has it"
    return None


def _form(node: ir.Node) -> bytes:
    """What an operator is: its type, attributes, and the tensors by name."""
    proto = ir.to_proto(node)
    for field_ in ("name", "doc_string", "metadata_props"):
        proto.ClearField(field_)
    return bytes(proto.SerializeToString(deterministic=True))


def _changed_unsaid(original: ir.Model, model: ir.Model, report: FoldReport) -> Iterator[str]:
    """Constants that hold other bits than the original's and that the report does not name."""
    said = {change.new for change in report.changes}
    before = original.graph.initializers
    for name, value in model.graph.initializers.items():
        if name in said or name not in before:
            continue
        old, new = before[name].const_value, value.const_value
        if old is new or old is None or new is None:
            continue
        if old.tobytes() != new.tobytes():
            yield f"initializer {name!r} is no part of the fold and has changed"


def _never_reached(blind: list[tuple[Blind, ...]]) -> Iterator[Blind]:
    """What no run reached: at most what the best run left, by constant."""
    for candidate in blind[0]:
        others = [next((b for b in run if b.constant == candidate.constant), None) for run in blind]
        if None not in others:
            yield min((b for b in others if b is not None), key=lambda b: b.rows)


def _severity(result: OperatorResult) -> float:
    return math.inf if math.isnan(result.ratio) else result.ratio


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
