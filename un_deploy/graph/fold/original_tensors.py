"""Which original tensors each tensor of the folded graph stands for, and through what gauge.

A norm that is gone leaves one tensor where two were: the one before it and the one behind it. So
a tensor may stand for several. Each is a *claim*, old = gauge(new), which the fold writes down and
nothing believes: `un_deploy.graph.proof` proves every one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
from un_deploy.graph.fold.edits import Bypass, Change, Edit, LeaveShift
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.solving.assignment import Assignment


@dataclass(frozen=True)
class Claim:
    """A tensor of the folded graph stands for this one of the original.

    Attributes:
        original: the original tensor's name.
        gauge: original = gauge(new); None where the two are equal.
        shape_only: no more is claimed than that the shapes are equal.
    """

    original: str
    gauge: Gauge | None = None
    shape_only: bool = False

    @property
    def is_equality(self) -> bool:
        """Whether the two tensors hold the same numbers."""
        return not self.shape_only and (self.gauge is None or self.gauge.is_identity)

    def of_shape(self) -> Claim:
        """The claim that the shapes are equal, and no more."""
        return replace(self, gauge=None, shape_only=True)

    def after(self, gauge: Gauge) -> Claim:
        """The claim on a tensor of which the one before is the image under `gauge`."""
        if self.shape_only:
            return self
        return replace(self, gauge=gauge if self.gauge is None else self.gauge.after(gauge))


#: By the name of the tensor in the folded graph; one that is not named keeps its own numbers, and
#: one without a claim is the inside of an operator and its bias, or of a norm that stays.
Claims = Mapping[str, tuple[Claim, ...]]


#: In float64 what is left of a number beside a shift of more is no longer its own.
_DROWNS = 2.0**16


def _is_lost(gauge: Gauge) -> bool:
    """Whether the original's numbers cannot be told from the new ones: a channel is dead."""
    return not gauge.is_finite or bool(
        np.any((np.abs(gauge.scale) > _DROWNS) & (np.abs(gauge.shift) > _DROWNS))
    )


class OriginalTensors:
    """Follows tensors through the rounds of a fold, whatever they come to be called."""

    def __init__(self, model: ir.Model) -> None:
        values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
        self._claims: dict[ir.Value, tuple[Claim, ...]]
        self._claims = {value: (Claim(str(value.name)),) for value in values}

    def gauges(self, view: GraphView, assignment: Assignment) -> None:
        """A solution is about to be applied: compose its gauges with those of earlier rounds."""
        for value, gauge in assignment.tensors.items():
            if gauge.is_identity or value not in self._claims:
                continue
            if _is_lost(gauge):
                self._claims[value] = tuple(claim.of_shape() for claim in self._claims[value])
            else:
                self._claims[value] = tuple(claim.after(gauge) for claim in self._claims[value])
        for unit in view.units:
            if unit.bias is not None and assignment.known(unit, view):
                self._claims[unit.node.outputs[0]] = ()
            between = [node.outputs[0] for node in (unit.node, *unit.run)][:-1]
            if unit.mixing is not None:
                between = [*unit.mixing.between]
            known = assignment.known(unit, view).values() if between else ()
            if all(gauge.is_identity for gauge in known):
                continue
            if unit.mixing is not None:
                self._claims[unit.node.outputs[0]] = ()
            for value in between:
                self._claims[value] = tuple(c.of_shape() for c in self._claims[value])
        for site in view.sites:
            gone = site in assignment.vanished or site in assignment.only_shift
            if not gone and not assignment.untouched(site):
                self._claims.update((node.outputs[0], ()) for node in site.nodes[:-1])

    def applied(
        self, changes: Iterable[Change], edits: Sequence[Edit], instead: Iterable[ir.Value]
    ) -> None:
        """The solution was applied; `instead` is what is read now in place of each site.

        A MatMul may have gained an Add: the Add's output stands for what was the MatMul's.
        """
        for change in changes:
            if change.added is not None:
                inner, outer = change.added.inputs[0], change.added.outputs[0]
                assert inner is not None
                self.moved(inner, outer)
        gone = [edit for edit in edits if isinstance(edit, (Bypass, LeaveShift))]
        pairs = list(zip(gone, instead, strict=True))
        for edit, value in pairs:  # the Adds that stay first: others may be behind them
            if isinstance(edit, LeaveShift):
                self._claims[value] = self._claims[edit.site.y]
        for edit, value in pairs:
            if isinstance(edit, Bypass):
                self._bypassed(edit.site, value)
            elif (add := value.producer()) is not None and (x := add.inputs[0]) is not None:
                self._claims[x] = (*self._claims[x], *self._shapes_inside(edit.site))

    def moved(self, inner: ir.Value, outer: ir.Value) -> None:
        """An operator was put behind a tensor; what it makes stands for what that stood for."""
        self._claims[outer], self._claims[inner] = self._claims[inner], ()

    def shortened(self, site: Site, x: ir.Value, added: Iterable[ir.Node]) -> None:
        """Fewer operators compute a site from x, these among them; its own are gone."""
        self._claims[x] = (*self._claims[x], *self._shapes_inside(site))
        self._claims.update((node.outputs[0], ()) for node in added)

    def joined(self, kept: ir.Value, removed: ir.Value) -> None:
        """What read `removed` reads `kept` now: it stands for both."""
        self._claims[kept] = (*self._claims[kept], *self._claims[removed])

    def claims(self, model: ir.Model) -> Claims:
        """The claims, by the names that the folded graph has now."""
        values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
        found = {str(value.name): self._claims[value] for value in values}
        return {name: claims for name, claims in found.items() if claims != (Claim(name),)}

    def _bypassed(self, site: Site, value: ir.Value) -> None:
        shapes = self._shapes_inside(site)
        self._claims[value] = (*self._claims[value], *self._claims[site.y], *shapes)

    def _shapes_inside(self, site: Site) -> list[Claim]:
        inner = (claim for node in site.nodes[:-1] for claim in self._claims[node.outputs[0]])
        return [claim.of_shape() for claim in inner]
