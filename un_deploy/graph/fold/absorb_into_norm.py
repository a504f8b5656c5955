"""A norm that cannot be removed absorbs the scale and shift of its neighbours.

T y' + d = A(S x' + c) is again an affine, which the norm's own constants can hold. So the last norm
between two fixed ends of a post-norm stream absorbs all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, Gauge
from un_deploy.graph.fold.edits import Edit, SetConstant
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Refuse
from un_deploy.graph.fold.site import Site

Array = np.ndarray


def check(site: Site, view: GraphView) -> None:
    """Refuse a site that cannot absorb what reaches it.

    Raises:
        Refuse: it was asked to be left alone, or has no constants to hold the result.
    """
    if site.kept:
        raise Refuse(f"{site.label} is kept, so its input and output must stay")
    factors, summand = _parts(site)
    products = all(node.op_type in ("Mul", "Div") for node in factors)
    both = bool(factors) and (summand is not None or bool(site.norm))  # an RMSNorm has no shift
    held = all(any(v in view.constants for v in node.inputs) for node in site.nodes)
    if not (products and both and held and site.is_chain):
        raise Refuse(f"{site.label} is not a product and a sum that could take in another norm")


def check_ends(site: Site, before: Gauge, after: Gauge) -> None:
    """Refuse a shift that a norm without one, as RMSNorm is, cannot take in.

    Raises:
        Refuse: there is one.
    """
    _, summand = _parts(site)
    if summand is None and np.any(_between(site, before, after).shift != 0):
        raise Refuse(f"{site.label} is a product without a sum that could take in a shift")


def edits(site: Site, before: Gauge, after: Gauge, view: GraphView) -> Iterator[Edit]:
    """The last factor and the summand of the norm, so that it computes the new affine."""
    (*_, factor), summand = _parts(site)
    ratio = before.scale / after.scale
    if factor.op_type == "Div":
        ratio = 1.0 / ratio
    yield _changed(factor, ratio.shape, lambda old: old * ratio, view)
    if summand is None:
        return
    shift = _between(site, before, after).shift
    yield _changed(summand, shift.shape, lambda old: np.broadcast_to(shift, old.shape), view)


def _parts(site: Site) -> tuple[tuple[ir.Node, ...], ir.Node | None]:
    """The factors, and the sum behind them if there is one."""
    *factors, last = site.nodes
    return (tuple(factors), last) if last.op_type == "Add" else (site.nodes, None)


def _between(site: Site, before: Gauge, after: Gauge) -> Affine:
    """What it computes between its ends in their new variables."""
    return after.inverse().after(site.affine).after(before)


def _changed(
    node: ir.Node, varies: tuple[int, ...], change: Callable[[Array], Array], view: GraphView
) -> SetConstant:
    """The node's constant, grown to the shape of what changes it, in its own rank if it can."""
    index = next(i for i, v in enumerate(node.inputs) if v in view.constants)
    value = node.inputs[index]
    assert value is not None
    old = view.constants.exact(value)
    full = np.broadcast_shapes(view.sizes(value), varies)
    shape = full
    while len(shape) > len(view.sizes(value)) and shape[0] == 1:
        shape = shape[1:]
    return SetConstant(
        node, index, lambda: change(np.broadcast_to(old(), full)).reshape(shape), shape
    )
