"""Says of two networks whether they compute the same: proven, seen to be equal, open, or not equal.

1. The same graph, bit for bit: proven, whatever it computes.
2. One is a fold of the other: the fold is done once more, and `un_deploy.graph.proof.prove` holds
   the saved one against it and against the original, for all inputs. Nothing is run.
3. It shares nearly all its names with the fold and is not it: the same proof is tried, what stands
   at the same name is compared, and where both leave it open the shared tensors are, in a runtime
   (`un_deploy.measure.equality.shared_tensors`).
4. Any other pair: whole outputs in a runtime, at several sizes
   (`un_deploy.measure.equality.second_look`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import onnx_ir as ir

from un_deploy.arguments.check import at_least, checked
from un_deploy.errors import InputError
from un_deploy.graph.fold.check_weights import check_weights
from un_deploy.graph.fold.fold import Folded
from un_deploy.graph.fold.quantised import named, quantised
from un_deploy.graph.model.input_specs import Arrays, Feeds
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.graph.proof.proof import Problem
from un_deploy.graph.proof.prove import prove
from un_deploy.measure.equality.fold_again import FoldedAgain, fold_again
from un_deploy.measure.equality.graph_differences import (
    differences,
    left_out,
    same_graph,
    share_of_names,
)
from un_deploy.measure.equality.inputs import check_inputs, read_inputs
from un_deploy.measure.equality.outputs import signature_problems
from un_deploy.measure.equality.record import OF_A_FOLD, Called, Recorder
from un_deploy.measure.equality.report import (
    OutputResult,
    ProofFigures,
    Verdict,
    VerifyReport,
    told,
)
from un_deploy.measure.equality.second_look import CannotLookError, Look, look
from un_deploy.measure.equality.shared_tensors import compare_shared

#: From here on two graphs are taken for versions of one: that share of the second one's names.
_SHARED = 0.9


@checked
def verify(
    a: Any, b: Any, *, inputs: str | Arrays | None = None, seed: int = 0, keep: Collection[str] = ()
) -> VerifyReport:
    """Say whether a network computes what another one does.

    Args:
        a: the original: a path, an onnx.ModelProto, an onnx_ir.Model or an
            onnx_graphsurgeon.Graph.
        b: the other one, likewise.
        inputs: for what is run: data.npz, loader.py:function (which runs as code), or arrays by
            input name; None: random ones in valid ranges, of several sizes.
        seed: of the random inputs.
        keep: norms that the fold was told to leave alone, where that is not to be seen from `b`.

    Raises:
        InputError: a model or the inputs cannot be read, or a file changes meanwhile.
    """
    at_least(0, seed=seed)
    recorder = Recorder(a, b)
    report = _verified(a, b, inputs, seed, keep, recorder.called)
    return replace(report, record=recorder.record())


def _verified(
    a: Any,
    b: Any,
    inputs: str | Arrays | None,
    seed: int,
    keep: Collection[str],
    called: Called,
) -> VerifyReport:
    """See `verify`; without the record of the files."""
    (original, _), (other, _) = to_ir(a), to_ir(b)
    feeds = None if inputs is None else feeds_of(original, inputs)
    if same_graph(original, other):
        return VerifyReport("proven", "the two are one and the same graph")
    for model in (original, other):
        check_weights(model)
    if problems := signature_problems(original, other, called):
        return VerifyReport("not equal", "inputs or outputs differ", tuple(problems))
    again = fold_again(original, other, keep)
    if again.difference and keep:  # what B shows counts for more than what was said of it
        again = fold_again(original, other)
    if not again.difference:
        report = _held(other, original, again.folded, called)
        return add_second_look(report, original, other, feeds, seed, called)
    if (turned := _folded_other_way(original, other)) is not None:
        report = _held(original, other, turned.folded, called.turned())
        reason = f"in the other order: {called.original} was held against {called.turned().fold}"
        report = replace(report, reason=reason)
        return add_second_look(report, original, other, feeds, seed, called)
    report = _not_a_fold(again, original, other, feeds, seed, called)
    return replace(report, notes=(*report.notes, *_quantised_alone(original, other)))


def _quantised_alone(original: ir.Model, other: ir.Model) -> Iterator[str]:
    """What a reader must know where one of the two is quantised: rounding is no equality."""
    found = [quantised(original), quantised(other)]
    for name, kinds, others in zip(("first", "second"), found, found[::-1], strict=True):
        if kinds and not others:
            yield (
                f"the {name} network is quantised ({named(kinds)}) and the other is not: they are "
                "not equal by design, and how good it is has to be judged on data"
            )


def feeds_of(model: ir.Model, inputs: str | Arrays) -> list[Feeds]:
    """The user's inputs for a graph, one mapping a run; see `verify`.

    Raises:
        InputError: they cannot be read or do not fit the graph.
    """
    if isinstance(inputs, Mapping):
        return [*check_inputs([inputs], model)]
    return [*read_inputs(inputs, model)]


def _held(other: ir.Model, original: ir.Model, folded: Folded, called: Called) -> VerifyReport:
    """See `verify_fold`; of two networks, whose names the problems have."""
    report = verify_fold(original, replace(folded, model=other))
    there = {node_name(node) for node in original.graph} - {node_name(n) for n in other.graph}
    owners = dict.fromkeys(there, called.original)  # what a fold has taken out
    problems = (called.placed(one, owners.get(one.place, called.other)) for one in report.problems)
    return replace(report, problems=tuple(problems))


def verify_fold(original: ir.Model, folded: Folded) -> VerifyReport:
    """Prove a fold by parts, for all inputs; nothing is run.

    Args:
        original: the network before the fold.
        folded: what `fold_graph` made of a copy of it, perhaps with a saved model in its place.
    """
    proof = prove(original, folded)
    # What follows from a constant comes before it in the graph: the constant is told first.
    constants = folded.model.graph.initializers
    problems = tuple(sorted(proof.problems, key=lambda one: one.place not in constants))
    verdict: Verdict = "proven"
    if problems:
        verdict = "not equal" if any(one.differs for one in problems) else "cannot tell"
    return VerifyReport(verdict, problems=problems, proof=ProofFigures.of(proof))


def add_second_look(
    report: VerifyReport,
    original: ir.Model,
    folded: ir.Model,
    feeds: Sequence[Feeds] | None,
    seed: int = 0,
    called: Called = OF_A_FOLD,
) -> VerifyReport:
    """Add to a proof what whole outputs in a runtime look like; the verdict stays."""
    if report.verdict != "proven":
        return report
    try:
        seen = look(original, folded, feeds, seed)
    except CannotLookError as error:
        return replace(report, notes=(*report.notes, f"outputs were not compared: {error}"))
    notes = [*report.notes, *_not_compared(seen)]
    if seen.failure:
        notes.append(_one_alone_runs(seen, called))
    if any(result.differs for result in seen.results):
        notes.append(
            f"{seen.runtime.name} computes other outputs for the two than rounding explains: it "
            "may have an operator wrong, which the proof does not rest on"
        )
    if any(result.allowed is None for result in seen.results):
        own = f"{called.original}'s own rounding error is too large"
        notes.append(f"the outputs say nothing: {own}")
    return replace(report, outputs=seen.results, notes=tuple(notes), runs=len(seen.feeds))


def _folded_other_way(original: ir.Model, other: ir.Model) -> FoldedAgain | None:
    """The fold of the other network, where the original has that form."""
    with suppress(InputError):
        again = fold_again(other, original)
        if not again.difference:
            return again
    return None


def _not_a_fold(
    again: FoldedAgain,
    original: ir.Model,
    other: ir.Model,
    feeds: Sequence[Feeds] | None,
    seed: int,
    called: Called,
) -> VerifyReport:
    """The report of a pair that is no fold of each other."""
    if not again.folded.is_changed:
        called = replace(called, fold=called.original)
    fold = again.folded.model
    shares = share_of_names(fold, other) >= _SHARED
    found = list(differences(fold, other)) if shares else []
    problems = [Problem(one.place, called.said(one.text)) for one in found if not one.may_be_equal]
    first = called.said(found[0].text if found else again.difference)
    reason = f"not a fold of {called.original}: {first}"
    untold: tuple[Problem, ...] = ()
    if shares:
        report = _held(other, original, again.folded, called)
        if report.verdict == "proven":
            return add_second_look(report, original, other, feeds, seed, called)
        untold = report.problems
        problems += [problem for problem in untold if problem.differs]
        if problems:
            return VerifyReport("not equal", reason, tuple(problems))
    try:
        seen = look(original, other, feeds, seed)
    except CannotLookError as error:
        return VerifyReport("cannot tell", f"{reason}; nothing could be run: {error}", untold)
    problems += _output_problems(seen, called)
    doubts = _doubts(seen, called)
    if shares and not seen.failure:
        try:
            problems += [
                replace(one, text=called.said(one.text))
                for one in compare_shared(fold, other, found, seen.runtime, seen.feeds)
            ]
        except InputError as error:
            doubts.append(f"the tensors inside could not be compared: {error}")
    report = VerifyReport(
        "equal on these inputs",
        reason,
        outputs=seen.results,
        unreached=seen.unreached,
        notes=(*seen.notes, *doubts),
        runs=len(seen.feeds),
    )
    if problems:
        return replace(report, verdict="not equal", problems=tuple(problems))
    if shares and (missing := left_out(fold, other)):
        named = ", ".join(missing[:3])
        doubts.append(
            f"{called.other} lacks the operators {named} and has none that could do their work"
        )
    if doubts:
        reason = f"{reason}; {doubts[0]}"
        return replace(report, verdict="cannot tell", reason=reason, problems=untold)
    return report


def _doubts(seen: Look, called: Called) -> list[str]:
    """Why outputs that were not seen to differ may still be different."""
    untold = [result.output for result in seen.results if result.allowed is None]
    return [
        *(f"{called.original}'s own rounding error is too large at {name!r}" for name in untold),
        *_not_compared(seen),
        *(f"the output {name!r} has no finite entry on these inputs" for name in seen.empty),
    ]


def _output_problems(seen: Look, called: Called) -> list[Problem]:
    found = [_output_problem(result, called) for result in seen.results if result.differs]
    if seen.failure:
        found.append(Problem(called.other, f"the runtime {_one_alone_runs(seen, called)}"))
    return found


def _one_alone_runs(seen: Look, called: Called) -> str:
    return f"{seen.runtime.name} runs {called.original} and not {called.other}: {seen.failure}"


def _output_problem(result: OutputResult, called: Called) -> Problem:
    text = (
        f"the output {result.output!r} of {called.other} is not that of {called.original} in "
        f"{result.runtime}: {told(result, called.original)}"
    )
    return Problem(result.output, text)


def _not_compared(seen: Look) -> list[str]:
    """One line for each output that depends on a random operator, or is no tensor."""
    return [
        *(
            f"the output {name!r} depends on the random operator {operator!r}: it is not compared"
            for name, operator in seen.random.items()
        ),
        *(f"the output {name!r} is no tensor: it is not compared" for name in seen.others),
    ]
