"""Carries gauges as far as they demand, and asks every unit whether it agrees."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.fold import absorb_into_norm
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Port, Refuse, Unit
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.solving.assignment import Assignment, Direction, shift_left
from un_deploy.graph.fold.solving.ranges import check_divides, check_range, far_from_one


def propagate(
    view: GraphView,
    seeds: Mapping[ir.Value, Gauge],
    vanish: Callable[[Site], bool],
    base: Assignment | None = None,
    direction: Direction = "forward",
) -> Assignment:
    """Carry the seeds as far as they demand, on top of what is assigned already.

    Args:
        view: the graph.
        seeds: the first gauges, a site's two ends.
        vanish: whether a site that is reached shall vanish; others absorb the gauge and stay.
        base: an assignment to extend; it is not changed.
        direction: where the norms go; apart, the nearest sum ends a shift.

    Raises:
        Refuse: an operator does not commute, or two demands on one tensor differ.
    """
    base = base or Assignment()
    tensors, constants = dict(base.tensors), dict(base.constants)
    grown = Assignment(tensors, constants, base.vanished, base.only_shift)
    vanished: set[Site] = set()
    met: set[Site] = set()
    queue: deque[ir.Value] = deque()
    waiting: deque[Unit] = deque()  # asked when nothing else is left to carry
    settled: set[Unit] = set()  # all their ports are known, and agree

    def assign(value: ir.Value, gauge: Gauge) -> None:
        present = tensors.get(value)
        if present is not None:
            if not present.same(gauge):
                raise Refuse(f"{value.name!r} would need two different scales or shifts")
            return
        if value in view.pinned and not gauge.is_identity:
            raise Refuse(f"{view.pinned[value]}, so its value must stay")
        if value in view.unscaled and not gauge.keeps_scale:
            raise Refuse(f"{view.unscaled[value]}, so its value must stay")
        check_range(value, gauge, view)
        tensors[value] = gauge
        queue.append(value)

    for value, gauge in seeds.items():
        assign(value, gauge)
    while queue or waiting:
        last = not queue
        for part in (waiting.popleft(),) if last else view.touching(queue.popleft()):
            if isinstance(part, Site):
                met.add(part)
                if grown.untouched(part) or part in base.only_shift:
                    continue
                if vanish(part):
                    vanished.add(part)
                    for value, gauge in _through(part, grown):
                        assign(value, gauge)
                else:
                    absorb_into_norm.check(part, view)
                continue
            if part in settled:
                continue
            known, ports = grown.known(part, view), dict(part.ports())
            if all(gauge.is_identity for gauge in known.values()):
                continue
            if len(known) == len(ports):
                settled.add(part)
            elif part.operator.joins and not last:
                waiting.append(part)
                continue
            if direction == "apart":
                known |= _ended(part, known, view)
            for port, gauge in _demands(part, known, view):
                value = ports[port]
                if value in view.constants:
                    check_divides(value, gauge, view, part)
                    constants[part.node, port.position] = gauge
                else:
                    assign(value, gauge)
    whole = Assignment(tensors, constants, base.vanished | vanished, base.only_shift)
    for site in sorted(met, key=view.order.__getitem__):
        _check_site(site, whole, view)
    return whole


def certify(view: GraphView, assignment: Assignment) -> None:
    """Ask every unit again, all ports known, in no order: do its demands agree with what is?

    This proves the gauges consistent. It says nothing of the edits: `un_deploy.graph.proof` does.

    Raises:
        Refuse: they do not.
    """
    for value in view.pinned:
        gauge = assignment.tensors.get(value)
        if gauge is not None and not gauge.is_identity:
            raise Refuse(f"{view.pinned[value]}, and was given a scale or shift")
    for site in view.sites:
        before, after = assignment.ends(site)
        if site in assignment.vanished and not after.same(site.affine.after(before)):
            raise Refuse(f"{site.label} would vanish, but its ends do not differ by it")
        _check_site(site, assignment, view)
    for unit in view.units:
        if all(gauge.is_identity for gauge in assignment.known(unit, view).values()):
            continue
        complete = assignment.complete(unit, view)
        for port, demand in _demands(unit, complete, view):
            held = complete[port]
            rank = max(held.rank, demand.rank)
            if not held.aligned(rank).same(demand.aligned(rank)):
                raise Refuse(f"{unit.name} does not agree with the gauge of its {port.side}put")


def _check_site(site: Site, assignment: Assignment, view: GraphView) -> None:
    """Refuse ends between which neither nothing is left of a norm nor what it could be."""
    before, after = assignment.ends(site)
    if site in assignment.vanished:
        found = site.affine.after(before)
        if not found.is_finite or (np.any(site.affine.scale == 0) and not after.same(found)):
            raise Refuse(f"{site.label} loses a channel on the way of another norm")
    elif site in assignment.only_shift:
        shift_left(site, assignment)
    elif not (before.is_identity and after.is_identity):
        absorb_into_norm.check(site, view)
        absorb_into_norm.check_ends(site, before, after)
        for value, gauge in ((site.x, before), (site.y, after)):
            if far := far_from_one(value, gauge, view):
                raise Refuse(f"{far}, which {site.label} cannot take in")


def _demands(unit: Unit, known: Mapping[Port, Gauge], view: GraphView) -> list[tuple[Port, Gauge]]:
    op = unit.node.op_type
    if unit.rule is None:
        raise Refuse(f"{unit.name} ({op}) does not commute with a scale and shift")
    try:
        return list(unit.rule.transport(unit, known, view))
    except Refuse as refusal:
        raise Refuse(f"{unit.name} ({op}): {refusal}") from None


def _ended(unit: Unit, known: Mapping[Port, Gauge], view: GraphView) -> dict[Port, Gauge]:
    """No shift for all other ports of a sum but one, which a linear operator near it makes up for.

    So a residual stream has the shift at one place, and neither before nor behind it.
    """
    shifted = any(np.any(gauge.shift != 0) for gauge in known.values())
    if not (unit.operator.adds and shifted and all(g.keeps_scale for g in known.values())):
        return {}
    free = {port: value for port, value in unit.ports() if port not in known}
    near = (p for p, value in free.items() if p.side == "in" and view.takes_shift(value, near=True))
    taker = next(near, None)
    if taker is None:
        return {}
    ranks = {port: len(view.shape(value) or ()) for port, value in free.items() if port != taker}
    return {port: Affine.identity(rank) for port, rank in ranks.items()}


def _through(site: Site, assignment: Assignment) -> Iterator[tuple[ir.Value, Gauge]]:
    before = assignment.tensors.get(site.x)
    if before is not None:
        yield site.y, site.affine.after(before)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            yield site.x, site.affine.inverse().after(assignment.tensors[site.y])
