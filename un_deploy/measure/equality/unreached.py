"""What a set of inputs does not reach: rows of tables, branches of If.

Both are steered by tensors of the main graph, which a runtime gives as further outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.held_constant import held_constant
from un_deploy.graph.model.labels import node_name

Runs = Sequence[Mapping[str, np.ndarray]]
"""Tensors by name, one mapping a run."""

BRANCHES = ("then_branch", "else_branch")


@dataclass(frozen=True)
class Unreached:
    """A part of a graph of which the inputs tell nothing.

    Attributes:
        place: the constant, or the operator.
        text: how much of it.
    """

    place: str
    text: str


def steering(model: ir.Model) -> list[str]:
    """Names of the computed tensors that say which rows are looked up and which branch is taken."""
    values = [index for _, index, _ in _lookups(model)]
    values += [node.inputs[0] for node in _ifs(model) if node.inputs[0] is not None]
    names = (value.name for value in values if held_constant(value) is None)
    return [str(name) for name in dict.fromkeys(names) if name]


def unreached(model: ir.Model, runs: Runs) -> tuple[Unreached, ...]:
    """What none of these runs reached; each holds the inputs and what `steering` names."""
    found = []
    for table, index, rows in _lookups(model):
        read = np.zeros(rows, dtype=bool)
        for indices in _values(index, runs):
            read[indices.astype(np.int64).ravel() % max(rows, 1)] = True
        if missing := int(np.sum(~read)):
            found.append(Unreached(str(table.name), f"{missing} of {rows} rows of {table.name}"))
    for node in _ifs(model):
        name = node_name(node)
        for branch in branches_not_taken(node, runs):
            found.append(Unreached(name, f"the {branch} of {name}"))
    return tuple(dict.fromkeys(found))


def branches_not_taken(node: ir.Node, runs: Runs) -> list[str]:
    """The bodies of an If that no run took."""
    taken = {bool(np.all(value)) for value in _values(node.inputs[0], runs)}
    return [name for name, when in zip(BRANCHES, (True, False), strict=True) if when not in taken]


def _values(value: ir.Value | None, runs: Runs) -> Iterable[np.ndarray]:
    if value is None:
        return
    if (tensor := held_constant(value)) is not None:
        yield tensor.numpy()
    else:
        yield from (run[str(value.name)] for run in runs if str(value.name) in run)


def _lookups(model: ir.Model) -> Iterable[tuple[ir.Value, ir.Value, int]]:
    """Every constant table that is looked up: the table, its indices, the number of its rows."""
    for node in model.graph:
        if node.op_type != "Gather" or node.domain:
            continue
        table, index = node.inputs
        tensor = held_constant(table)
        if table is None or index is None or tensor is None or not len(tensor.shape):
            continue
        axis = node.attributes.get_int("axis", 0)
        yield table, index, int(tensor.shape.numpy()[axis])


def _ifs(model: ir.Model) -> Iterable[ir.Node]:
    return (node for node in model.graph if node.op_type == "If" and not node.domain)
