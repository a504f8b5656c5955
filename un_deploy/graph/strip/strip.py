"""Takes norms out without folding them, which changes answers.

For measuring what norms cost, and what a network gains at most by losing them. Layer
Normalization is known by its structure. A constant scale and shift is not: UN looks like
LayerScale, or like a Batch Normalization that belongs to its convolution. There the file must
tell, by the class that the dynamo exporter notes with each operator, or the user, by name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, overload

import onnx_ir as ir

from un_deploy.arguments.check import checked
from un_deploy.errors import InputError
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.find_norms import find_norms, is_layernorm
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.cancel_layouts import Cancelled, cancel_layouts
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.quantised import hides_norms, named, quantised
from un_deploy.graph.fold.report import near_misses_told
from un_deploy.graph.fold.rewire import remove_unread, replace_value
from un_deploy.graph.fold.site import NearMiss
from un_deploy.graph.fold.sites.affine_steps import read_by
from un_deploy.graph.model.labels import class_of, label_of, names_of, node_name
from un_deploy.graph.model.model_kinds import InMemory, Path, to_ir
from un_deploy.json_form import JsonForm
from un_deploy.printed import Part, Printed, Table, Words

_STRUCTURE = "Layer Normalization by its structure"
_UNTOLD = "nothing in the file tells that it is a norm: name it to take it out"
_OTHER = "which strip leaves: it takes out LayerNormalizations, and scales and shifts"
_BATCH = "a Batch Normalization mostly belongs to a convolution: name it to take it out"
_UNNAMED = "it is not among the named ones"

#: Classes that normalise the stream of a transformer; the others below belong to convolutions.
_NORM_CLASS = re.compile(r"norm|^un(\d+d)?$", re.IGNORECASE)
_OTHER_CLASS = re.compile(r"batch|group|instance", re.IGNORECASE)


@dataclass(frozen=True)
class Stripped:
    """A norm that is gone.

    Attributes:
        label: the module it was exported from, as far as the file tells.
        node: its last operator.
        operators: its operators in order.
        by: what told that it was a norm: its structure, its class, or the user.
    """

    label: str
    node: str
    operators: tuple[str, ...]
    by: str


@dataclass(frozen=True)
class Left:
    """What might be a norm and is still there, and why. The first fields are as in `Stripped`."""

    label: str
    node: str
    operators: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class StripReport(JsonForm, Printed):
    """What was taken out.

    Attributes:
        stripped: the norms taken out, in the graph's order.
        left: other norms, and scales and shifts that vary over an axis.
        near_misses: what was nearly recognised, and why not.
        cancelled: the layout operators that became superfluous.
        operators_before, operators_after: the number of operators in the main graph.
        version: of this form.
        notes: what else a reader must know: that the network is quantised, and what that means.
    """

    stripped: tuple[Stripped, ...]
    left: tuple[Left, ...]
    near_misses: tuple[NearMiss, ...]
    cancelled: tuple[Cancelled, ...]
    operators_before: int
    operators_after: int
    version: int = 1
    notes: tuple[str, ...] = ()

    def told(self) -> Iterator[Part]:
        """What was taken out, and what was not."""
        yield from (f"{note[:1].upper()}{note[1:]}." for note in self.notes)
        rows = [(norm.label, Words(f"taken out: {norm.by}")) for norm in self.stripped]
        rows += [(norm.label, Words(f"stays: {norm.reason}", "muted")) for norm in self.left]
        if rows:
            yield Table(("norm, or scale and shift", "what became of it"), rows)
        yield from near_misses_told(self.near_misses)
        counts = f"{self.operators_before} operators before, {self.operators_after} after"
        yield f"{len(self.stripped)} norms taken out; {counts}."


@overload
def strip(
    model: InMemory, *, nodes: Collection[str] | None = None
) -> tuple[InMemory, StripReport]: ...


@overload
def strip(model: Path, *, nodes: Collection[str] | None = None) -> tuple[ir.Model, StripReport]: ...


@checked
def strip(model: Any, *, nodes: Collection[str] | None = None) -> tuple[Any, StripReport]:
    """Replace norms by the identity. The result computes something else.

    Args:
        model: a path, an onnx.ModelProto, an onnx_ir.Model or an onnx_graphsurgeon.Graph. It is
            not changed.
        nodes: the norms to take out, each named by an operator of it, its output, or its module;
            None: all that are known to be norms.

    Returns:
        The model without them, of the same kind (an onnx_ir.Model for a path), and the report.

    Raises:
        InputError: the model cannot be read, or a name in `nodes` is no norm.
    """
    private, restore = to_ir(model)
    report = strip_graph(private, nodes=nodes)
    return restore(private), report


def strip_graph(model: ir.Model, *, nodes: Collection[str] | None = None) -> StripReport:
    """Strip an onnx_ir.Model in place. See `strip`."""
    graph = model.graph
    shapes = Shapes(model)
    constants = Constants(model, shapes, from_sizes=True)
    before = len(graph)
    found = quantised(model)
    norms, near_misses = _find(model, constants, shapes)
    norms = _by_class(norms) if nodes is None else _by_name(norms, nodes)
    stripped, left, seeds = [], [], []
    for norm in norms:
        told = norm.label, norm.name, norm.operators
        if norm.reason:
            left.append(Left(*told, norm.reason))
            continue
        stripped.append(Stripped(*told, norm.by))
        for part in norm.parts:
            seeds.append(_bypass(graph, part, constants))
    cancelled = cancel_layouts(model, shapes, seeds)
    return StripReport(
        tuple(stripped),
        tuple(left),
        near_misses,
        tuple(cancelled),
        before,
        len(graph),
        notes=tuple(_notes(found, stripped)),
    )


def _notes(found: Mapping[str, int], stripped: Collection[Stripped]) -> Iterator[str]:
    if hides_norms(found):
        what = "norms may hide in its operators, and are not taken out"
        if stripped:
            what += (
                ". The roundings behind a norm were calibrated on what it normalised, so that "
                "what comes there now is clipped: strip the float network, and quantise that"
            )
        yield f"the network is quantised ({named(found)}): {what}"


@dataclass(frozen=True, eq=False)
class _Part:
    """Operators that together map one tensor, which the first of them reads, to ``y``."""

    nodes: tuple[ir.Node, ...]
    y: ir.Value


@dataclass(frozen=True, eq=False)
class _Norm:
    """A norm, or what may be one; ``by`` says what tells that it is, ``reason`` why it stays."""

    parts: tuple[_Part, ...]
    by: str = ""
    reason: str = ""

    @property
    def nodes(self) -> tuple[ir.Node, ...]:
        return tuple(node for part in self.parts for node in part.nodes)

    @property
    def operators(self) -> tuple[str, ...]:
        return tuple(node.op_type for node in self.nodes)

    @property
    def label(self) -> str:
        return label_of(self.nodes[0])

    @property
    def name(self) -> str:
        return node_name(self.nodes[-1])

    @property
    def names(self) -> set[str]:
        """All that a user may call it."""
        return names_of(self.nodes) | {label_of(node) for node in self.nodes}


def _find(
    model: ir.Model, constants: Constants, shapes: Shapes
) -> tuple[list[_Norm], tuple[NearMiss, ...]]:
    """All norms and affines in the graph's order; what tells each apart is not yet asked."""
    norms = [
        _Norm((_Part(found.nodes, found.y),), by=_STRUCTURE, reason=found.obstacle)
        if is_layernorm(found)
        else _Norm((_Part(found.nodes, found.y),), reason=f"of kind {found.kind}, {_OTHER}")
        for found in find_norms(model.graph, constants, shapes)
    ]
    taken = {node for norm in norms for node in norm.nodes}
    view = GraphView(model, constants, shapes)
    for site in view.sites:
        # Each operator of a site keeps the shape, so each can go alone: a site may begin in a
        # norm and end in the LayerScale behind it.
        by_class: dict[str, list[_Part]] = {}
        if not site.is_chain and taken.isdisjoint(site.nodes):
            whole = _Part(site.nodes, site.y)
            by_class[class_of(site.nodes[-1]) or ""] = [whole]
        for node in site.nodes if site.is_chain else ():
            if node not in taken:
                kind = class_of(node) or ""
                by_class.setdefault(kind, []).append(_Part((node,), node.outputs[0]))
        for kind, parts in by_class.items():
            norms.append(_Norm(tuple(parts), by=f"class {kind}" if _is_norm(kind) else ""))
    order = {node: index for index, node in enumerate(model.graph)}
    norms.sort(key=lambda norm: order[norm.nodes[0]])
    misses = (miss for miss in view.near_misses if miss.node not in {n.name for n in taken})
    return norms, tuple(misses)


def _is_norm(qualified: str) -> bool:
    name = qualified.rsplit(".", 1)[-1]
    return bool(_NORM_CLASS.search(name)) and not _OTHER_CLASS.search(name)


def _by_class(norms: Collection[_Norm]) -> list[_Norm]:
    told = (_BATCH if "BatchNormalization" in norm.operators else _UNTOLD for norm in norms)
    return [
        norm if norm.by or norm.reason else replace(norm, reason=reason)
        for norm, reason in zip(norms, told, strict=True)
    ]


def _by_name(norms: list[_Norm], names: Collection[str]) -> list[_Norm]:
    wanted = set(names)
    known = {name for norm in norms for name in norm.names}
    if unknown := sorted(wanted - known):
        labels = ", ".join(norm.label for norm in norms)
        what = f"it has: {labels}" if labels else "nothing in it is a norm, or a scale and shift"
        raise InputError(f"{unknown[0]!r} is no norm of this model; {what}")
    chosen = []
    for norm in norms:
        named = bool(wanted & norm.names)
        if named and norm.reason:
            raise InputError(f"the norm {norm.name!r} cannot be taken out: {norm.reason}")
        chosen.append(replace(norm, by="name") if named else replace(norm, reason=_UNNAMED))
    return chosen


def _bypass(graph: ir.Graph, part: _Part, constants: Constants) -> ir.Value:
    """Let the readers of y read what the part reads; returns that."""
    x = read_by(part.nodes[0], constants)
    output = x
    if part.y.is_graph_output() and (x.is_graph_input() or x.is_graph_output()):
        last = part.nodes[-1]  # x has a name of its own to keep
        node = ir.node("Identity", [x], name=last.name)
        graph.insert_after(last, node)
        output = node.outputs[0]
    replace_value(graph, part.y, x, output=output)
    unread = [v for node in part.nodes for v in node.inputs]
    for node in reversed(part.nodes):
        graph.remove(node, safe=True)
    remove_unread(graph, (v for v in unread if v is not x))
    return x
