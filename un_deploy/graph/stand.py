"""A norm that stays takes in what reaches it: T y' + d = A(S x' + c) is again an affine.

This is how the last norm between two fixed ends of a post-norm stream gathers the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from un_deploy.graph.affine import align
from un_deploy.graph.edits import SetConstant
from un_deploy.graph.rules.protocol import Refuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from un_deploy.graph.affine import Affine, Gauge
    from un_deploy.graph.edits import Edit
    from un_deploy.graph.recognize import Site
    from un_deploy.graph.view import View


def check(site: Site, before: Gauge, after: Gauge) -> None:
    """Whether the site can take the gauges in.

    Raises:
        Refuse: it was asked to be left alone, or has no constants to hold the result.
    """
    if site.kept:
        raise Refuse(f"{site.label} is kept, so its input and output must stay")
    ops = [node.op_type for node in site.nodes]
    if len(ops) < 2 or ops[-1] != "Add" or any(op not in ("Mul", "Div") for op in ops[:-1]):
        raise Refuse(f"{site.label} is not a product and a sum that could take in another norm")


def edits(site: Site, before: Gauge, after: Gauge, view: View) -> Iterator[Edit]:
    """The last factor and the summand of the norm, so that it computes the new affine."""
    affine: Affine = after.inverse().after(site.affine).after(before)
    factor, summand = site.nodes[-2:]
    ratio = after.inverse().scale * before.scale
    if factor.op_type == "Div":
        ratio = 1.0 / ratio
    yield _set(factor, view, lambda old: old * ratio, ratio.shape)
    yield _set(
        summand, view, lambda old: np.broadcast_to(affine.shift, old.shape), affine.shift.shape
    )


def _set(node, view, change, shape):  # type: ignore[no-untyped-def]
    index = next(i for i, v in enumerate(node.inputs) if v in view.constants)
    value = node.inputs[index]
    old, sizes = view.constants.exact(value), view.sizes(value)
    full = np.broadcast_shapes(sizes, shape)
    rank = len(full)
    while len(full) > len(sizes) and full[0] == 1:
        full = full[1:]
    return SetConstant(
        node,
        index,
        lambda: change(
            np.broadcast_to(align(old(), rank), np.broadcast_shapes(sizes, shape))
        ).reshape(full),
        full,
    )
