"""Folds every norm it can out of a graph: round after round, until no solution lowers the cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.exact import Exact, store
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.cancel_layouts import Cancelled, cancel_layouts
from un_deploy.graph.fold.editor import Editor, names_of_all
from un_deploy.graph.fold.edits import (
    AddBias,
    Bypass,
    Change,
    Edit,
    LeaveShift,
    Mix,
    SetConstant,
)
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.original_tensors import Claims, OriginalTensors
from un_deploy.graph.fold.quantised import advice, quantised
from un_deploy.graph.fold.report import ConstantChange, FoldReport
from un_deploy.graph.fold.rewire import remove_unread
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.sites.bodies import alone, bodies_of, put_back, read_outside
from un_deploy.graph.fold.sites.no_norms import is_scale_of_logits
from un_deploy.graph.fold.sites.norm_operators import TakenApart, measuring, take_apart
from un_deploy.graph.fold.sites.shorten import shortened
from un_deploy.graph.fold.sites.told import Told
from un_deploy.graph.fold.solving.absorbers import absorbers
from un_deploy.graph.fold.solving.both_directions import best_solution, why_it_stays
from un_deploy.graph.fold.solving.propagate import certify
from un_deploy.graph.fold.solving.solve import solve
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.model.notes import notes_of


@dataclass(frozen=True)
class Folded:
    """A folded model and what proves it.

    Attributes:
        model: the folded model.
        report: what was done.
        claims: which original tensors each of its tensors stands for.
        exact: the unrounded float64 numbers of each initializer that changed, by name.
        shapes: of the original's tensors.
        sites: those of the original, in bodies too.
        bodies: the same of each body that was folded, as a model of its own, by the first output
            of its operator in the original and the name of its attribute.
    """

    model: ir.Model
    report: FoldReport
    claims: Claims
    exact: Mapping[str, Exact]
    shapes: Shapes
    sites: tuple[Site, ...] = ()
    bodies: Mapping[tuple[str, str], Folded] = field(default_factory=dict)

    @property
    def is_changed(self) -> bool:
        """Whether anything is not as it was."""
        return bool(self.report.changed or self.bodies)


def fold_graph(
    model: ir.Model, *, keep: Collection[str] = (), fold_norm_affine: bool = False
) -> Folded:
    """Merge every scale and shift that can be merged into the linear operators around it.

    Args:
        model: with weights that are numbers (`check_weights`); folded in place, but with
            `fold_norm_affine` in a copy.
        keep: norms to leave alone, each named by an operator of it, or by its module.
        fold_norm_affine: fold the scale and shift of LayerNormalizations and RMSNorms too, by
            which runtimes recognise those that are written out.

    Raises:
        InputError: a name in `keep` is no norm.
    """
    around = _Around(names_of_all(model.graph))
    if fold_norm_affine:
        return _fold_affines_too(model, keep, around)
    folded = _fold(model, keep, around)
    if not folded.report.quantised or not any(n.untried_affine for n in folded.report.measuring):
        return folded
    # Behind a quantisation few of them fold, which is found out here and not by the user.
    tried = _fold_affines_too(folded.model, keep, _Around(names_of_all(folded.model.graph)))
    return replace(folded, report=folded.report.with_tried(tried.report))


@dataclass(frozen=True)
class _Around:
    """What is around a graph: nothing around the main graph, and that around a body.

    Attributes:
        names: all names that are taken, there and here.
        shared: names of what a body reads from outside.
        is_body: whether there is something.
    """

    names: set[str | None]
    shared: frozenset[str] = frozenset()
    is_body: bool = False


def _fold_affines_too(model: ir.Model, keep: Collection[str], around: _Around) -> Folded:
    """Fold a copy; where a norm's affine goes nowhere, fold another one in which it stays."""
    taken = TakenApart()
    while True:
        folded = _fold(model.clone(), keep, around, taken)
        names = taken.ends.values()
        whole = {s.node: s.reason for s in folded.report.sites if s.reason and s.node in names}
        if not whole:
            return folded
        taken = TakenApart({**taken.whole, **whole})


def _fold(
    model: ir.Model, keep: Collection[str], around: _Around, taken: TakenApart | None = None
) -> Folded:
    """`taken` tells of the operators that are taken apart; None: no norm gives its affine."""
    graph = model.graph
    shapes = Shapes(model)
    constants = Constants(model, shapes, from_sizes=True)
    fold = _fold if taken is None else _fold_affines_too
    inside = dict(_fold_bodies(model, keep, constants, shapes, around.names, fold))
    editor = Editor(model, constants, shapes, around.shared, around.names)
    tracker = OriginalTensors(model)
    before = len(graph)
    changes: list[Change] = []
    if taken is not None:
        changes += take_apart(model, constants, shapes, editor, tracker, keep, taken)
    told = Told(graph)
    if taken is not None:
        told.whole(taken.whole, constants)
    cancelled: list[Cancelled] = []
    apart = None if taken is None else taken.nodes
    look = partial(GraphView, model, constants, shapes, keep, apart)
    view = look()
    parts_of = {node_name(n): norm.kind for norm in view.norms for n in norm.nodes}
    parts_of |= {} if taken is None else dict(taken.kinds())
    for miss in view.near_misses:
        if miss.channels is not None:
            told.unreadable(miss)
    sites = (*view.sites, *(site for part in inside.values() for site in part.sites))
    if not around.is_body:
        whole = {} if taken is None else taken.ends
        known = [(whole.get(site.name, site.label), site.names) for site in sites]
        known += [(norm.label, norm.names) for norm in view.norms]
        inner = (norm for part in inside.values() for norm in part.report.measuring)
        known += [(norm.label, frozenset({norm.label, norm.node})) for norm in inner]
        _check_kept(keep, known)
    while True:
        best, tried = best_solution(view)
        if not best.assignment.vanished:
            best = solve(view, "apart")
            tried["its scale forward and its shift backward"] = best
        refusals = {site: why_it_stays(site, tried) for site in view.sites}
        if not best.assignment.vanished:
            best, of_scales = best_solution(view, scale_alone=True)
            tried |= {f"its scale alone, {name}": one for name, one in of_scales.items()}
        gone = best.assignment.vanished | best.assignment.only_shift
        if gone:
            certify(view, best.assignment)
            edited = {edit.node for edit in best.edits if isinstance(edit, (SetConstant, AddBias))}
            into = {site: tuple(absorbers(view, best, site, edited)) for site in gone}
            loose = [value for edit in best.edits for value in _may_die(edit)]
            tracker.gauges(view, best.assignment)
            done, instead = editor.apply(best.edits)
            tracker.applied(done, best.edits, instead)
            changes += done
            remove_unread(graph, loose)
            ends = [edit for edit in best.edits if isinstance(edit, (Bypass, LeaveShift))]
            bypassed = []
            for edit, value in zip(ends, instead, strict=True):
                site, add = edit.site, value.producer()
                if isinstance(edit, LeaveShift) and add is not None:
                    told.shift_stays(site, add, into[site], refusals[site])
                else:
                    told.folded(site, into[site])
                    bypassed.append(value)
            cancelled += cancel_layouts(model, shapes, bypassed, tracker.joined)
        elif shorter := [one for site in view.sites if (one := shortened(site, view))]:
            for short in shorter:
                loose = [value for node in short.site.nodes for value in node.inputs]
                told.shorter(short, why_it_stays(short.site, tried))
                done, x, added = editor.shorten(short)
                tracker.shortened(short.site, x, added)
                changes += done
                remove_unread(graph, loose)
        elif more := cancel_layouts(model, shapes, _in_the_way(view), tracker.joined):
            cancelled += more
        else:
            break
        view = look()
    for site in view.sites:
        if not is_scale_of_logits(site, view):
            told.stays(site, why_it_stays(site, tried))
    for (end, name), part in inside.items():
        for report in part.report.sites:
            if report.kind in ("norm", "affine"):
                told.in_body(end, name, report)
    changes = [change for change in changes if change.value.is_initializer()]
    parts = [part.report for part in inside.values()]
    reports = told.reports() if taken is None else taken.named(told.reports())
    reports = tuple(replace(r, part_of=r.part_of or parts_of.get(r.node, "")) for r in reports)
    found = quantised(model)
    remedy = advice(found)
    outcome = FoldReport(
        sites=reports,
        near_misses=told.near_misses(view.near_misses),
        changes=(*_constant_changes(changes), *(c for p in parts for c in p.changes)),
        gained_biases=(
            *(c.output for c in changes if c.old is None),
            *(output for part in parts for output in part.gained_biases),
        ),
        cancelled=tuple(cancelled),
        operators_before=before,
        operators_after=len(graph),
        measuring=(
            *measuring(view, tried=taken is not None),
            *(norm for part in parts for norm in part.measuring),
        ),
        notes=(*notes_of(model), *filter(None, [remedy])),
        quantised=found,
        remedy=remedy,
    )
    changed = {key: part for key, part in inside.items() if part.is_changed}
    exact = {str(change.value.name): change.exact for change in changes}
    return Folded(model, outcome, tracker.claims(model), exact, shapes, sites, changed)


def _fold_bodies(
    model: ir.Model,
    keep: Collection[str],
    constants: Constants,
    shapes: Shapes,
    names: set[str | None],
    fold: Callable[[ir.Model, Collection[str], _Around], Folded],
) -> Iterator[tuple[tuple[str, str], Folded]]:
    """Fold each body as a model of its own; what it reads from outside stays as it is."""
    graph = model.graph
    for node, name, body in [(n, *one) for n in graph for one in bodies_of(n)]:
        outside = read_outside(body)
        part = alone(body, model, constants, shapes, outside, lambda value: value)
        shared = frozenset(str(value.name) for value in outside)
        folded = fold(part, keep, _Around(names, shared, is_body=True))
        yield (str(node.outputs[0].name), name), folded
        if folded.is_changed:
            put_back(node, name, folded.model, outside)
            remove_unread(graph, [value for value in outside if value.is_initializer()])


def _in_the_way(view: GraphView) -> list[ir.Value]:
    """Where a norm that stays stands beside a Reshape that a proof can compute in this opset.

    It may merge the channels with a batch of unknown size, and the next one split them again.
    """
    found = []
    for site in view.sites:
        before, behind = site.x.producer(), view.readers(site.y)
        beside = [*behind, *([] if before is None else [before])]
        reshapes = [node for node in beside if node.op_type == "Reshape"]
        if reshapes and not site.stays and view.knows(reshapes):
            found += [site.x, site.y]
    return found


def _may_die(edit: Edit) -> list[ir.Value | None]:
    if isinstance(edit, SetConstant):
        return [edit.node.inputs[edit.index]]
    if isinstance(edit, AddBias):
        return []
    if isinstance(edit, Mix):
        return [edit.mixing.linear.inputs[1], edit.mixing.bias[0].inputs[edit.mixing.bias[1]]]
    return [value for node in edit.site.nodes for value in node.inputs]


def _constant_changes(changes: list[Change]) -> Iterator[ConstantChange]:
    """One entry an initializer, from the first old value to the last new one, which it gets."""
    first = {change.value: change for change in reversed(changes)}
    last = {change.value: change.exact for change in changes}
    for value, exact in last.items():
        change = first[value]
        relative = store(value, exact, change.before)
        yield ConstantChange(change.node, change.old, str(value.name), relative)


def _check_kept(keep: Collection[str], norms: Collection[tuple[str, frozenset[str]]]) -> None:
    """`norms`: the label of each, and all of its names; those that measure their input too."""
    for name in keep:
        if not any(name in names for _, names in norms):
            labels = [*dict.fromkeys(label for label, _ in norms)]
            known = ", ".join(labels[:8]) or "there are none"
            more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
            raise InputError(
                f"{argument('keep')} {name!r} names no norm of this graph (norms: {known}{more})"
            )
