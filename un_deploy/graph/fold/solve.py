"""The gauge solver: which norms can vanish, and what must change so that they may.

Every tensor v has a gauge G(v) with old value = G(v)(new value), the identity where nothing
moved. A site y = A(x) vanishes when G(y) = A after G(x). Folding forward starts from G(x) = 1,
folding backward from G(y) = 1; in a post-norm network the same propagation re-scales the
residual stream, and every site it reaches vanishes on the way.

Each tensor is given a gauge at most once. A second, different demand refuses the whole trial,
which then leaves no trace; so nothing is ever undone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

import ml_dtypes
import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.fold import absorb_into_norm
from un_deploy.graph.fold.edits import AddBias, Bypass, Edit, SetConstant
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Port, Refuse, Unit
from un_deploy.graph.fold.site import Site

Direction = Literal["forward", "backward"]
Use = tuple[ir.Node, int]


@dataclass(frozen=True)
class Assignment:
    """The gauges given so far; a tensor or constant that is not named has the identity.

    Attributes:
        tensors: by tensor.
        constants: by use (node, input position), in the rank the rule spoke of.
        vanished: the sites that G(y) = A after G(x) makes superfluous.
    """

    tensors: Mapping[ir.Value, Gauge] = field(default_factory=dict)
    constants: Mapping[Use, Gauge] = field(default_factory=dict)
    vanished: frozenset[Site] = frozenset()

    def known(self, unit: Unit, view: GraphView) -> dict[Port, Gauge]:
        """The gauges of a unit's ports that have one."""
        found: dict[Port, Gauge] = {}
        for port, value in unit.ports():
            if value in view.constants:
                gauge = self.constants.get((unit.node, port.position))
            else:
                gauge = self.tensors.get(value)
            if gauge is not None:
                found[port] = gauge
        return found

    def complete(self, unit: Unit, view: GraphView) -> dict[Port, Gauge]:
        """The gauges of all ports, the identity where none was given."""
        known = self.known(unit, view)
        for port, value in unit.ports():
            if port not in known:
                known[port] = Affine.identity(len(view.shape(value) or ()))
        return known

    def ends(self, site: Site) -> tuple[Gauge, Gauge]:
        """The gauges before and after a site."""
        identity = Affine.identity(site.affine.rank)
        return self.tensors.get(site.x, identity), self.tensors.get(site.y, identity)

    def untouched(self, site: Site) -> bool:
        """Whether nothing has reached the site."""
        return all(gauge.is_identity for gauge in self.ends(site))


def propagate(
    view: GraphView,
    seeds: Mapping[ir.Value, Gauge],
    vanish: Callable[[Site], bool],
    base: Assignment | None = None,
) -> Assignment:
    """Carry the seeds as far as they demand, on top of what is assigned already.

    Args:
        view: the graph.
        seeds: the first gauges, a site's two ends.
        vanish: whether a site that is reached shall vanish; others absorb the gauge and stay.
        base: an assignment to extend; it is not changed.

    Raises:
        Refuse: an operator does not commute, or two demands on one tensor differ.
    """
    base = base or Assignment()
    tensors, constants = dict(base.tensors), dict(base.constants)
    grown = Assignment(tensors, constants, base.vanished)
    vanished: set[Site] = set()
    queue: deque[ir.Value] = deque()
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
        _check_range(value, gauge, view)
        tensors[value] = gauge
        queue.append(value)

    for value, gauge in seeds.items():
        assign(value, gauge)
    while queue:
        for part in view.touching(queue.popleft()):
            if isinstance(part, Site):
                if grown.untouched(part):
                    continue
                if vanish(part):
                    vanished.add(part)
                    for value, gauge in _through(part, grown):
                        assign(value, gauge)
                else:
                    absorb_into_norm.check(part)
                continue
            if part in settled:
                continue
            known, ports = grown.known(part, view), dict(part.ports())
            if all(gauge.is_identity for gauge in known.values()):
                continue
            if len(known) == len(ports):
                settled.add(part)
            for port, gauge in _demands(part, known, view):
                value = ports[port]
                if value in view.constants:
                    constants[part.node, port.position] = gauge
                else:
                    assign(value, gauge)
    return Assignment(tensors, constants, base.vanished | vanished)


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
        if site in assignment.vanished:
            if not after.same(site.affine.after(before)):
                raise Refuse(f"{site.label} would vanish, but its ends do not differ by it")
        elif not (before.is_identity and after.is_identity):
            absorb_into_norm.check(site)
    for unit in view.units:
        if all(gauge.is_identity for gauge in assignment.known(unit, view).values()):
            continue
        complete = assignment.complete(unit, view)
        for port, demand in _demands(unit, complete, view):
            held = complete[port]
            rank = max(held.rank, demand.rank)
            if not held.aligned(rank).same(demand.aligned(rank)):
                raise Refuse(f"{unit.name} does not agree with the gauge of its {port.side}put")


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


def solve(view: GraphView, direction: Direction) -> Solution:
    """Let as many sites vanish as one direction can, each trial standing on those before.

    Forward takes the sites from the inputs on, backward from the outputs. A trial first lets
    every site it reaches vanish too; if that is refused, it lets them stay and absorb what
    reaches them.
    """
    assignment, cost = Assignment(), 0.0
    edits: dict[Unit | Site, list[Edit]] = {}
    refusals: dict[Site, str] = {}
    hopeless: set[Site] = set()
    for site in view.sites if direction == "forward" else reversed(view.sites):
        if site in assignment.vanished:
            continue
        if site.kept:
            refusals[site] = "kept, as asked"
            continue
        if not assignment.untouched(site):
            refusals[site] = "it takes in the scale and shift of another norm"
            continue
        if site.affine.is_identity and site.x in view.pinned and site.y in view.pinned:
            refusals[site] = "it does nothing, but both its ends are the graph's"
            continue
        for alone in (False, True):
            if not alone and site in hopeless:
                continue
            reached: set[Site] = set()

            def vanish(other: Site, site: Site = site, alone: bool = alone) -> bool:
                reached.add(other)  # noqa: B023  # used within this turn of the loop
                return not other.kept and (other is site or not alone)

            try:
                seeds = _seeds(site, direction)
                trial = propagate(view, seeds, vanish, assignment)
                if direction == "backward":
                    _check_digits(view, assignment, trial)
                # Nothing reaches a site that does nothing.
                trial = replace(trial, vanished=trial.vanished | {site})
                changed = _changed(view, assignment, trial)
                gain = _gain(view, edits, changed, trial.vanished - assignment.vanished)
            except Refuse as refusal:
                # What it reached on the way would meet the same refusal.
                hopeless |= reached
                refusals.setdefault(site, str(refusal))
                if len(reached) == 1:
                    break
                continue
            assignment, cost = trial, cost + gain
            edits |= changed
            break
    for site in assignment.vanished:
        refusals.pop(site, None)
    in_order = (edit for part in _parts(view) for edit in edits.get(part, ()))
    return Solution(assignment, tuple(in_order), cost, refusals)


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
        elif not assignment.untouched(part):
            yield from absorb_into_norm.edits(part, *assignment.ends(part), view)
    elif not all(gauge.is_identity for gauge in assignment.known(part, view).values()):
        yield from _unit_edits(view, assignment, part)


def _unit_edits(view: GraphView, assignment: Assignment, unit: Unit) -> Iterator[Edit]:
    if unit.rule is not None:
        yield from unit.rule.edits(unit, assignment.complete(unit, view), view)
    for index, value in enumerate(unit.node.inputs):
        gauge = assignment.constants.get((unit.node, index))
        if gauge is not None and value is not None and not gauge.is_identity:
            yield _absorbed(unit.node, index, value, gauge, view)


def _absorbed(
    node: ir.Node, index: int, value: ir.Value, gauge: Gauge, view: GraphView
) -> SetConstant:
    """A constant in its new variable: (old - shift) / scale, in its own rank where it fits."""
    old, sizes = view.exact(value), view.sizes(value)
    shape = np.broadcast_shapes(sizes, gauge.scale.shape, gauge.shift.shape)
    while len(shape) > len(sizes) and shape[0] == 1:
        shape = shape[1:]
    if shape == sizes:
        return SetConstant(node, index, old.through(gauge.aligned(len(shape))), shape)
    return SetConstant(
        node, index, lambda: ((old() - gauge.shift) / gauge.scale).reshape(shape), shape
    )


def _changed(view: GraphView, base: Assignment, trial: Assignment) -> dict[Unit | Site, list[Edit]]:
    """The edits of the parts that a trial reaches, or lets vanish."""
    new = islice(trial.tensors, len(base.tensors), None)  # a trial only adds to what there is
    parts: list[Unit | Site] = [part for value in new for part in view.touching(value)]
    gone = sorted(trial.vanished - base.vanished, key=view.order.__getitem__)
    parts.extend(gone)
    return {part: list(_edits(view, trial, part)) for part in dict.fromkeys(parts)}


def _gain(
    view: GraphView,
    before: Mapping[Unit | Site, Sequence[Edit]],
    after: Mapping[Unit | Site, Sequence[Edit]],
    vanished: Iterable[Site],
) -> float:
    """What these edits, in place of those before, and these sites change the cost by.

    Raises:
        Refuse: they do not lower it, or a new constant leaves the range of its type.
    """
    gained = sum(_biases(edits) - _biases(before.get(part, ())) for part, edits in after.items())
    removed = sum(site.cost for site in vanished)
    if GAINED_BIAS * gained >= removed:
        raise Refuse(f"{gained} linear operators would gain a bias, which costs more than the norm")
    for edits in after.values():
        for edit in edits:
            _check_fits(edit, view)
    return GAINED_BIAS * gained - removed


def _biases(edits: Iterable[Edit]) -> int:
    return sum(isinstance(edit, AddBias) for edit in edits)


def _check_fits(edit: Edit, view: GraphView) -> None:
    if not isinstance(edit, (SetConstant, AddBias)):
        return
    index = edit.index if isinstance(edit, SetConstant) else 1
    value = edit.node.inputs[index]
    assert value is not None
    dtype = view.constants.dtype(value)
    if not is_floating(dtype):
        raise Refuse(f"the type of {value.name!r} is not known to be floating")
    if isinstance(edit, SetConstant) and view.constants.is_quantised(value):
        raise Refuse(f"{value.name!r} is computed from integers, and would be stored as floats")
    if not edit.exact.fits(dtype):
        raise Refuse(f"{value.name!r} would leave the range of {dtype.name.lower()}")


def _check_range(value: ir.Value, gauge: Gauge, view: GraphView) -> None:
    """Outside [1/r, r], r = sqrt(max), a scale would overflow the tensor or drown it."""
    dtype = (view.dtype(value) or ir.DataType.FLOAT).numpy()
    bound = 256.0 if dtype == np.float16 else 2.0**63
    size = np.abs(gauge.scale)
    if not np.all((size >= 1 / bound) & (size <= bound)):
        worst = int(np.argmax(np.abs(np.log(np.maximum(size, 1e-300)))))
        raise Refuse(
            f"{value.name!r} would be scaled by {gauge.scale.reshape(-1)[worst]:.3g} in channel "
            f"{worst}, too far from 1 for {dtype}"
        )


def _check_digits(view: GraphView, base: Assignment, trial: Assignment) -> None:
    """Backward, whoever else reads what stood in front of a norm subtracts its shift again.

    If that is much larger than the numbers, their digits are gone: the sum rounds them to its own.
    How large they are is not known; taken for about 1, they lose a third of their type's at most.
    """
    for value in islice(trial.tensors, len(base.tensors), None):
        bits = ml_dtypes.finfo((view.dtype(value) or ir.DataType.FLOAT).numpy()).nmant + 1
        shift = float(np.max(np.abs(trial.tensors[value].shift), initial=0))
        if shift <= 2 ** (bits / 3):
            continue
        for part in view.touching(value):
            if isinstance(part, Site) or part.node is value.producer():
                continue
            if part.operator.absorbs:
                raise Refuse(
                    f"{part.name} would read {value.name!r} with {shift:.3g} added to it, and "
                    f"subtract that again: digits would be lost"
                )


def _demands(unit: Unit, known: Mapping[Port, Gauge], view: GraphView) -> list[tuple[Port, Gauge]]:
    op = unit.node.op_type
    if unit.rule is None:
        raise Refuse(f"{unit.name} ({op}) does not commute with a scale and shift")
    try:
        return list(unit.rule.transport(unit, known, view))
    except Refuse as refusal:
        raise Refuse(f"{unit.name} ({op}): {refusal}") from None


def _seeds(site: Site, direction: Direction) -> dict[ir.Value, Gauge]:
    here = Affine.identity(site.affine.rank)
    if direction == "forward":
        return {site.x: here, site.y: site.affine}
    with np.errstate(divide="ignore", invalid="ignore"):
        return {site.y: here, site.x: site.affine.inverse()}


def _through(site: Site, assignment: Assignment) -> Iterator[tuple[ir.Value, Gauge]]:
    before = assignment.tensors.get(site.x)
    if before is not None:
        yield site.y, site.affine.after(before)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            yield site.x, site.affine.inverse().after(assignment.tensors[site.y])
