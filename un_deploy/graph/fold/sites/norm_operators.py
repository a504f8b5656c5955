"""Takes scale and shift out of LayerNormalization and its like, so that they can be folded.

Such an operator becomes itself with a scale of ones, a Mul and an Add: a site like any other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.evaluators import is_known
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.norms.norm import Kind
from un_deploy.graph.analysis.norms.operators import norm_operator, scale_and_shift
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.editor import Editor
from un_deploy.graph.fold.edits import Change, SetConstant
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.original_tensors import OriginalTensors
from un_deploy.graph.fold.report import MeasuringNorm, SiteReport
from un_deploy.graph.model.labels import label_of, names_of, node_name


@dataclass
class TakenApart:
    """Which operators were taken apart, by their names, and which must not be.

    Attributes:
        whole: those whose scale and shift fold nowhere, and why.
        ends: the name of the operator that now applies the last of them -> the norm's.
        operators: the norm's name -> what it is.
        nodes: those that now apply them -> the norm.
    """

    whole: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    operators: dict[str, str] = field(default_factory=dict)
    nodes: dict[ir.Node, ir.Node] = field(default_factory=dict)

    def kinds(self) -> Iterator[tuple[str, Kind]]:
        """The name of each norm that was taken apart, and what it is."""
        for end, node in self.nodes.items():
            operator, name = norm_operator(node), self.ends.get(node_name(end))
            if operator is not None and name is not None:
                yield name, operator.kind

    def named(self, reports: Sequence[SiteReport]) -> tuple[SiteReport, ...]:
        """Reports of the norms that a user knows, instead of what was made of them."""
        return tuple(self._named(report) for report in reports)

    def _named(self, report: SiteReport) -> SiteReport:
        name = self.ends.get(report.node)
        if name is None:
            return report
        label = name if report.label.startswith(f"{name}/") else report.label
        return replace(report, label=label, node=name, operators=(self.operators[name],))


def holds_affine(node: ir.Node, constants: Constants) -> bool:
    """Whether a scale that is not 1, or a shift that is not 0, can be taken out of a norm."""
    pairs = zip(scale_and_shift(node), (1, 0), strict=True)
    given = [(value, plain) for value, plain in pairs if value is not None]
    if any(value not in constants for value, _ in given):
        return False
    return any(bool(np.any(constants[value] != plain)) for value, plain in given)


def measuring(view: GraphView, *, tried: bool) -> Iterator[MeasuringNorm]:
    """The norms of a graph that measure their input; whether their affines were tried to fold."""
    for norm in view.norms:
        holds = any(node.op_type == "Mul" for node in norm.affine) or holds_affine(
            norm.nodes[0], view.constants
        )
        told = label_of(norm.nodes[0]), node_name(norm.nodes[-1])
        operators = tuple(node.op_type for node in norm.nodes)
        yield MeasuringNorm(norm.kind, *told, operators, holds and not tried)


def take_apart(
    model: ir.Model,
    constants: Constants,
    shapes: Shapes,
    editor: Editor,
    tracker: OriginalTensors,
    keep: Collection[str],
    taken: TakenApart,
) -> Iterator[Change]:
    """Let a Mul and an Add apply the scale and shift of each norm that is one operator.

    Args:
        model, constants, shapes: the model and what is known of it.
        editor, tracker: change it, and follow its tensors.
        keep: names of norms to leave alone.
        taken: says which are left whole, and is told which are not.
    """
    opset = model.opset_imports.get("", 0)
    for node in list(model.graph):
        named = {label_of(node), *names_of((node,))}
        shape = shapes.of(node.outputs[0]) if holds_affine(node, constants) else None
        if shape is None or not is_known(node, opset) or not named.isdisjoint(taken.whole):
            continue
        if not named.isdisjoint(keep):
            taken.whole[node_name(node)] = "kept, as asked"
            continue
        yield from _apart(node, len(shape), constants, editor, tracker, taken)


def _apart(
    node: ir.Node,
    rank: int,
    constants: Constants,
    editor: Editor,
    tracker: OriginalTensors,
    taken: TakenApart,
) -> Iterator[Change]:
    operator, behind, name = norm_operator(node), node, node_name(node)
    assert operator is not None
    places = (("Mul", "scale", 1.0, operator.scale), ("Add", "shift", 0.0, operator.shift))
    for (op_type, word, plain, index), given in zip(places, scale_and_shift(node), strict=True):
        if index is None or given is None or np.all(constants[given] == plain):
            continue
        array, inner = constants[given], behind.outputs[0]
        if operator.channels == 1:
            column = array.reshape(-1, *[1] * (rank - 2))
            behind_reads = editor.constant(f"{given.name}_column", column, constants.dtype(given))
            exact = Exact.held(column)
            yield Change(name, str(inner.name), behind_reads, exact, str(given.name))
        else:
            behind_reads = given
        behind = editor.put_behind(behind, op_type, behind_reads, word, f"un{word}d")
        behind.metadata_props.update(node.metadata_props)
        taken.nodes[behind] = node
        tracker.moved(inner, behind.outputs[0])
        fill = Exact.held(np.full(array.shape, plain))
        yield from editor.apply([SetConstant(node, index, fill, array.shape)])[0]
    taken.ends[node_name(behind)] = name
    taken.operators[name] = node.op_type
