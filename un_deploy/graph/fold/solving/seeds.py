"""Where a norm starts to go: before it, behind it, or its shift before and its scale behind."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.fold.rules.protocol import Refuse
from un_deploy.graph.fold.site import Site
from un_deploy.graph.fold.solving.assignment import Direction


def seeds_of(site: Site, direction: Direction, scale_alone: bool) -> dict[ir.Value, Gauge]:
    """The first gauges of a trial: of what stands before a site, and of what stands behind it.

    Raises:
        Refuse: apart, a channel is scaled by 0 and shifted.
    """
    here, affine = Affine.identity(site.affine.rank), site.affine
    if scale_alone:
        affine = Affine(affine.scale, here.shift)
    if direction == "forward":
        return {site.x: here, site.y: affine}
    if direction == "apart":
        return {site.x: _shift_before(affine), site.y: Affine(affine.scale, here.shift)}
    with np.errstate(divide="ignore", invalid="ignore"):
        return {site.y: here, site.x: affine.inverse()}


def _shift_before(affine: Affine) -> Gauge:
    """The shift of an affine, taken out of what it reads: s x + t = s (x + t / s)."""
    scale, shift = np.broadcast_arrays(affine.scale, affine.shift)
    with np.errstate(divide="ignore", over="ignore"):
        before = np.divide(-shift, scale, out=np.zeros_like(shift), where=shift != 0)
    lost = np.flatnonzero(~np.isfinite(before))
    if lost.size:
        raise Refuse(f"channel {lost[0]} is scaled by 0: nothing before it makes its shift")
    return Affine(np.ones((1,) * affine.rank), before)


def is_more_than_shift(site: Site) -> bool:
    """Whether its scale could go alone and leave fewer operators."""
    affine = site.affine
    return site.cost > 1 and bool(np.any(affine.scale != 1) and np.any(affine.shift != 0))
