"""The gauges given so far, and what of each site they leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Port, Refuse, Unit
from un_deploy.graph.fold.site import Site

Use = tuple[ir.Node, int]

#: Where a norm goes; apart: its scale forward, and its shift backward.
Direction = Literal["forward", "backward", "apart"]


@dataclass(frozen=True)
class Assignment:
    """The gauges given so far; a tensor or constant that is not named has the identity.

    Attributes:
        tensors: by tensor.
        constants: by use (node, input position), in the rank the rule spoke of.
        vanished: the sites that G(y) = A after G(x) makes superfluous.
        only_shift: those of which only a shift is left between G(x) and G(y).
    """

    tensors: Mapping[ir.Value, Gauge] = field(default_factory=dict)
    constants: Mapping[Use, Gauge] = field(default_factory=dict)
    vanished: frozenset[Site] = frozenset()
    only_shift: frozenset[Site] = frozenset()

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


def shift_left(site: Site, assignment: Assignment) -> np.ndarray:
    """What is added between the ends of a site of which nothing but a shift is left.

    Raises:
        Refuse: more than a shift is left.
    """
    before, after = assignment.ends(site)
    lost = np.flatnonzero(after.scale == 0)
    if lost.size:
        raise Refuse(f"no shift could be added to channel {lost[0]}, which is scaled by 0")
    with np.errstate(divide="ignore", invalid="ignore"):
        left = after.inverse().after(site.affine).after(before)
    if not left.same(Affine(np.ones_like(left.scale), left.shift)):
        raise Refuse(f"{site.label} would be left with more than a shift")
    return left.shift
