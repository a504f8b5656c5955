"""A norm that cannot be removed absorbs the scale and shift of its neighbours.

T y' + d = A(S x' + c) is again an affine, which the norm's own constants can hold. So the last norm
between two fixed ends of a post-norm stream absorbs all the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Gauge
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
    ops = [node.op_type for node in site.nodes]
    factors = len(ops) > 1 and ops[-1] == "Add" and all(op in ("Mul", "Div") for op in ops[:-1])
    held = all(any(v in view.constants for v in node.inputs) for node in site.nodes)
    if not (factors and held and site.is_chain):
        raise Refuse(f"{site.label} is not a product and a sum that could take in another norm")


def edits(site: Site, before: Gauge, after: Gauge, view: GraphView) -> Iterator[Edit]:
    """The last factor and the summand of the norm, so that it computes the new affine."""
    affine = after.inverse().after(site.affine).after(before)
    factor, summand = site.nodes[-2:]
    ratio = before.scale / after.scale
    if factor.op_type == "Div":
        ratio = 1.0 / ratio
    yield _changed(factor, ratio.shape, lambda old: old * ratio, view)
    shift = affine.shift
    yield _changed(summand, shift.shape, lambda old: np.broadcast_to(shift, old.shape), view)


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
