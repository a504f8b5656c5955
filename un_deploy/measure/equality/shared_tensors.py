"""Compares two networks that share the names of nearly all their tensors, tensor by tensor.

So nothing hides behind what comes later: the bias of a key changes no output of an attention, and
still the keys are seen to differ. What no input reached is told from what was seen to be equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from un_deploy.graph.analysis.held_constant import held_constant
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.graph.proof.proof import Problem
from un_deploy.measure.equality.graph_differences import Difference
from un_deploy.measure.equality.random_operators import behind_random
from un_deploy.measure.equality.report import OutputResult, told
from un_deploy.measure.equality.second_look import Judge
from un_deploy.measure.equality.unreached import branches_not_taken
from un_deploy.runtime.protocol import Runtime, Session

#: Tensors that are fetched in one go; more are more memory, fewer are more runs.
_AT_ONCE = 64


def compare_shared(
    fold: ir.Model,
    other: ir.Model,
    found: Sequence[Difference],
    runtime: Runtime,
    feeds: Sequence[Feeds],
) -> list[Problem]:
    """Run both with all shared tensors as outputs.

    Args:
        fold: of the original.
        other: the network that is compared.
        found: the differences of the two, as graphs.
        runtime: runs both.
        feeds: the inputs of each run.

    Returns:
        what differs beyond the fold's own rounding, and what no input reached.

    Raises:
        InputError: the runtime does not run one of them with these outputs.
    """
    names = _shared(fold, other)
    judge = Judge(fold, other, runtime)
    sessions = [runtime.load(_with_outputs(model, names)) for model in (fold, other)]
    results: dict[str, OutputResult] = {}
    empty: set[str] = set()
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        old, new = ([session.run(one, part) for one in feeds] for session in sessions)
        results.update((r.output, r) for r in judge.results(feeds, old, new, part))
        empty.update(name for name in part if not any(run[name].size for run in new))
    problems = [
        Problem(
            name,
            f"the tensor {name!r} of the other network is not what the fold has there: "
            f"{told(result, 'the fold')}",
        )
        for name, result in results.items()
        if result.differs
    ]
    problems += _unreached(found, sessions[1], feeds, empty)
    return problems


def _unreached(
    found: Sequence[Difference], session: Session, feeds: Sequence[Feeds], empty: set[str]
) -> Iterator[Problem]:
    """Differences of which the inputs showed nothing."""
    for one in found:
        if not one.may_be_equal or one.node is None:
            continue
        if one.branches:
            for branch in sorted(_not_taken(one.node, session, feeds) & set(one.branches)):
                yield Problem(one.place, f"{one.text}, and no input takes the {branch}")
        elif any(str(value.name) in empty for value in one.node.outputs):
            yield Problem(one.place, f"{one.text}, and no input gives it anything to compute")


def _not_taken(node: ir.Node, session: Session, feeds: Sequence[Feeds]) -> set[str]:
    condition = node.inputs[0]
    if condition is None or held_constant(condition) is not None:
        return set(branches_not_taken(node, feeds))
    name = str(condition.name)
    runs = [one if name in one else session.run(one, [name]) for one in feeds]
    return set(branches_not_taken(node, runs))


def _shared(fold: ir.Model, other: ir.Model) -> list[str]:
    """Computed tensors inside both graphs, in the second one's order."""
    outputs = {value.name for value in other.graph.outputs}
    random = {**behind_random(fold), **behind_random(other)}
    names = {value.name for node in fold.graph for value in node.outputs} - outputs
    return [
        str(value.name)
        for node in other.graph
        for value in node.outputs
        if value.name in names and value.name not in random and _is_tensor(value)
    ]


def _is_tensor(value: ir.Value) -> bool:
    """Sequences and optional values are no arrays."""
    node = value.producer()
    other = node is not None and node.op_type.startswith(("Sequence", "Optional", "SplitTo"))
    return isinstance(value.type, ir.TensorType) or (value.type is None and not other)


def _with_outputs(model: ir.Model, names: Sequence[str]) -> ir.Model:
    """A copy that gives these tensors too, so that a session is loaded once for all of them."""
    copy = model.clone()
    values = {str(value.name): value for node in copy.graph for value in node.outputs}
    there = set(copy.graph.outputs)
    copy.graph.outputs.extend(values[name] for name in names if values[name] not in there)
    return copy
