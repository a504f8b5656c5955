"""The gauge solver: which norms can vanish, and what must change so that they may.

Every tensor v has a gauge G(v) with old value = G(v)(new value), the identity where nothing
moved. A site y = A(x) vanishes when G(y) = A after G(x). Folding forward starts from G(x) = 1,
folding backward from G(y) = 1; in a post-norm network the same propagation re-scales the
residual stream, and every site it reaches vanishes on the way. Folding apart starts from a shift
before the site and a scale behind it, where only a scale can pass: the next sum ends the shift.

Each tensor is given a gauge at most once. A second, different demand refuses the whole trial,
which then leaves no trace; so nothing is ever undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.analysis.constants import rounded
from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.fold import absorb_into_norm
from un_deploy.graph.fold.edits import AddBias, Bypass, Edit, LeaveShift, Mix, SetConstant
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.fold.rules.protocol import Refuse, Unit
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.solving.assignment import Assignment, Direction, shift_left
from un_deploy.graph.fold.solving.propagate import propagate
from un_deploy.graph.fold.solving.ranges import check_digits
from un_deploy.graph.fold.solving.seeds import is_more_than_shift, seeds_of
from un_deploy.graph.fold.solving.small_numbers import check_small

Use = tuple[ir.Node, int]


@dataclass(frozen=True)
class Solution:
    """A consistent assignment that lowers the cost, and what it asks to be changed.

    Attributes:
        assignment: the gauges.
        edits: in the order in which they are to be applied.
        cost: what the graph's cost changes by; negative.
        refusals: for each site that stays, why; only what this direction says.
    """

    assignment: Assignment
    edits: tuple[Edit, ...]
    cost: float
    refusals: Mapping[Site, str]


#: A bias that a linear operator gains: engines put it into the epilogue, but it is not free.
GAINED_BIAS = 0.5


def solve(view: GraphView, direction: Direction, *, scale_alone: bool = False) -> Solution:
    """Let as many sites vanish as one direction can, each trial standing on those before.

    Backward takes the sites from the outputs on, else from the inputs. A trial first lets
    every site it reaches vanish too; if that is refused, it lets them stay and absorb what
    reaches them.

    Args:
        view: the graph.
        direction: where the norms go.
        scale_alone: fold the scales, and let an Add of the shift stay of each site.
    """
    assignment, cost = Assignment(), 0.0
    edits: dict[Unit | Site, list[Edit]] = {}
    refusals: dict[Site, str] = {}
    hopeless: set[Site] = set()
    for site in reversed(view.sites) if direction == "backward" else view.sites:
        if site in assignment.vanished:
            continue
        if site.stays:
            refusals[site] = site.stays
            continue
        if not view.knows(site.nodes):
            refusals[site] = f"what it computes in opset {view.opset} is not known"
            continue
        if not assignment.untouched(site):
            refusals[site] = "it takes in the scale and shift of another norm"
            continue
        if scale_alone and not is_more_than_shift(site):
            continue  # it is no more than a shift already
        if direction == "apart" and not np.any(site.affine.shift):
            continue  # its scale went nowhere
        for alone in (False, True):
            if not alone and site in hopeless:
                continue
            reached: set[Site] = set()

            def vanish(other: Site, site: Site = site, alone: bool = alone) -> bool:
                reached.add(other)  # noqa: B023  # used within this turn of the loop
                return not other.stays and (other is site or not alone)

            try:
                seeds = seeds_of(site, direction, scale_alone)
                if scale_alone:
                    base = replace(assignment, only_shift=assignment.only_shift | {site})
                    trial = propagate(view, seeds, vanish, base, direction)
                    shift_left(site, trial)
                else:
                    trial = propagate(view, seeds, vanish, assignment, direction)
                    # Nothing reaches a site that does nothing.
                    trial = replace(trial, vanished=trial.vanished | {site})
                _check_ends(view, trial, trial.vanished - assignment.vanished)
                check_digits(trial, assignment, direction, view)
                changed = _changed(view, assignment, trial)
                removed = sum(s.cost for s in trial.vanished - assignment.vanished)
                removed += sum(s.cost - 1 for s in trial.only_shift - assignment.only_shift)
                gain = _gain(view, edits, changed, removed)
            except Refuse as refusal:
                # What it reached on the way would meet the same refusal.
                if not scale_alone:
                    hopeless |= reached
                refusals.setdefault(site, str(refusal))
                if reached <= {site}:
                    break
                continue
            assignment, cost = trial, cost + gain
            edits |= changed
            break
    for site in assignment.vanished:
        refusals.pop(site, None)
    in_order = [edit for part in _parts(view) for edit in edits.get(part, ())]
    in_order.sort(key=lambda edit: isinstance(edit, Mix))  # these read what the others have made
    return Solution(assignment, tuple(in_order), cost, refusals)


def _check_ends(view: GraphView, trial: Assignment, ended: Iterable[Site]) -> None:
    """Nothing would be left between two tensors that both have to stay, such as input and output.

    Between them sites may stand in a row, of which each alone could go.
    """
    behind = {site.y: site for site in trial.vanished}
    for site in ended:
        first = site.x
        while first in behind and first not in view.pinned:
            first = behind[first].x
        if first not in view.pinned:
            continue
        pending = [site.y]
        while pending:
            last = pending.pop()
            if last in view.pinned:
                raise Refuse("it does nothing, but both its ends are the graph's")
            readers = (part for part in view.touching(last) if isinstance(part, Site))
            pending += [part.y for part in readers if part.x is last and part in trial.vanished]


def _parts(view: GraphView) -> tuple[Unit | Site, ...]:
    return (*view.units, *view.sites)


def all_edits(view: GraphView, assignment: Assignment) -> Iterator[Edit]:
    """What must change so that the graph computes the same in the new variables."""
    for part in _parts(view):
        yield from _edits(view, assignment, part)


def _edits(view: GraphView, assignment: Assignment, part: Unit | Site) -> Iterator[Edit]:
    if isinstance(part, Site):
        if part in assignment.vanished:
            yield Bypass(part)
        elif part in assignment.only_shift:
            yield LeaveShift(part, shift_left(part, assignment))
        elif not assignment.untouched(part):
            yield from absorb_into_norm.edits(part, *assignment.ends(part), view)
    elif not all(gauge.is_identity for gauge in assignment.known(part, view).values()):
        yield from _unit_edits(view, assignment, part)


def _unit_edits(view: GraphView, assignment: Assignment, unit: Unit) -> Iterator[Edit]:
    if unit.rule is not None:
        yield from unit.rule.edits(unit, assignment.complete(unit, view), view)
    for index, value in enumerate(unit.inputs):
        gauge = assignment.constants.get((unit.node, index))
        if gauge is not None and value is not None and not gauge.is_identity:
            yield _absorbed(unit, index, value, gauge, view)


def _absorbed(
    unit: Unit, index: int, value: ir.Value, gauge: Gauge, view: GraphView
) -> SetConstant:
    """A constant in its new variable: (old - shift) / scale, in its own rank where it fits."""
    old, sizes = view.exact(value), view.sizes(value)
    shape = np.broadcast_shapes(sizes, gauge.scale.shape, gauge.shift.shape)
    while len(shape) > len(sizes) and shape[0] == 1:
        shape = shape[1:]
    new = old.through(gauge.aligned(len(shape))) if shape == sizes else None
    return SetConstant(
        unit.node,
        index,
        new or (lambda: gauge.new_of(old()).reshape(shape)),
        shape,
        unit.stored.get(index),
    )


def _changed(view: GraphView, base: Assignment, trial: Assignment) -> dict[Unit | Site, list[Edit]]:
    """The edits of the parts that a trial reaches, or lets vanish."""
    new = islice(trial.tensors, len(base.tensors), None)  # a trial only adds to what there is
    parts: list[Unit | Site] = [part for value in new for part in view.touching(value)]
    ended = (trial.vanished - base.vanished) | (trial.only_shift - base.only_shift)
    in_order = sorted(ended, key=view.order.__getitem__)
    parts.extend(in_order)
    return {part: list(_edits(view, trial, part)) for part in dict.fromkeys(parts)}


def _gain(
    view: GraphView,
    before: Mapping[Unit | Site, Sequence[Edit]],
    after: Mapping[Unit | Site, Sequence[Edit]],
    removed: float,
) -> float:
    """What these edits, in place of those before, change the cost by; sites lower it by `removed`.

    Raises:
        Refuse: they do not lower it, or a new constant leaves the range of its type.
    """
    gained = sum(_biases(edits) - _biases(before.get(part, ())) for part, edits in after.items())
    costs = sum(
        _cost(edits, view) - _cost(before.get(part, ()), view) for part, edits in after.items()
    )
    if costs >= removed:
        raise Refuse(f"{gained} linear operators would gain a bias, which costs more than the norm")
    for edits in after.values():
        for edit in edits:
            _check_fits(edit, view)
    return costs - removed


def _biases(edits: Iterable[Edit]) -> int:
    return sum(isinstance(edit, AddBias) for edit in edits)


def _cost(edits: Iterable[Edit], view: GraphView) -> float:
    """Of the biases; an Add that no engine takes for one is an operator like that of a norm."""
    return sum(_bias_cost(edit, view) for edit in edits if isinstance(edit, AddBias))


def _bias_cost(edit: AddBias, view: GraphView) -> float:
    if operator_named(edit.node.op_type).bias != "behind":
        return GAINED_BIAS
    return GAINED_BIAS if view.is_bias(edit.node, edit.weight, edit.shape) else 1.0


def _check_fits(edit: Edit, view: GraphView) -> None:
    if isinstance(edit, LeaveShift):
        dtype = view.dtype(edit.site.y)
        if dtype is None or not is_floating(dtype) or not edit.exact.fits(dtype):
            raise Refuse(f"the shift that stays would leave the range of {dtype}")
        return
    if isinstance(edit, Bypass):
        return
    if isinstance(edit, Mix):
        if not (np.all(np.isfinite(edit.ratio)) and np.all(np.isfinite(edit.constant))):
            raise Refuse("a modulation would take in a shift without bounds")
        return
    value = edit.old if isinstance(edit, SetConstant) else edit.node.inputs[edit.weight]
    assert value is not None
    dtype = view.constants.dtype(value)
    if not is_floating(dtype):
        raise Refuse(f"the type of {value.name!r} is not known to be floating")
    if isinstance(edit, SetConstant) and view.constants.is_quantised(value):
        raise Refuse(f"{value.name!r} is computed from integers, and would be stored as floats")
    if isinstance(edit, SetConstant):
        check_small(edit, value, view)
    if not edit.exact.fits(dtype) and not _marks_places(edit, value, view):
        raise Refuse(f"{value.name!r} would leave the range of {dtype.name.lower()}")


def _marks_places(edit: SetConstant | AddBias, old: ir.Value, view: GraphView) -> bool:
    """Whether a Where fills with it, and it is infinite, or no number, only where it was before."""
    if not (isinstance(edit, SetConstant) and operator_named(edit.node.op_type).fills):
        return False
    new = rounded(edit.exact(), view.constants.dtype(old))
    return bool(np.all(np.isfinite(new) | ~np.isfinite(view.exact(old)())))
