"""Affines in a row that cannot leave become one: a BatchNormalization, or a Mul and an Add."""

from __future__ import annotations

from itertools import takewhile

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import align
from un_deploy.graph.analysis.constants import rounded
from un_deploy.graph.analysis.evaluators.normalization import EPSILON
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.fold.edits import Affines, Shorten
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.site import Site

Array = np.ndarray


def shortened(site: Site, facts: GraphFacts) -> Shorten | None:
    """Fewer operators that compute a site; None where there are none, or they compute it worse."""
    if site.stays or site.affine.is_identity or not facts.knows(site.nodes):
        return None
    norm = site.nodes[0]
    affines = _batch_normalization(site, facts) if norm.op_type == "BatchNormalization" else None
    affines = affines or _product_and_sum(site)
    dtype = facts.dtype(site.x)
    if len(affines) >= len(site.nodes) or dtype is None or not is_floating(dtype):
        return None
    if dtype.itemsize == 2 and _centres(site):
        return None  # what is subtracted first could be more than the type holds once scaled
    new = [given for *_, constants in affines for given in constants if isinstance(given, Exact)]
    return Shorten(site, affines, dtype) if all(_holds(dtype, one()) for one in new) else None


def _batch_normalization(site: Site, facts: GraphFacts) -> Affines | None:
    """Its scale and bias take in what follows; its mean stays, so that it rounds as before."""
    node, rank = site.nodes[0], site.affine.rank
    mean, var = node.inputs[3:5]
    if not site.affine.varies <= {1} or mean is None or var is None:
        return None
    epsilon = float(np.float32(node.attributes.get_float("epsilon", EPSILON)))
    deviation = np.sqrt(facts.constants[var] + epsilon)
    scale, shift = (
        np.broadcast_to(a, (1, deviation.size) + (1,) * (rank - 2)).reshape(-1)
        for a in (site.affine.scale, site.affine.shift)
    )
    bias = shift + facts.constants[mean] * scale
    given = (_exact(scale * deviation), _exact(bias), mean, var)
    return (("BatchNormalization", node, given),)


def _product_and_sum(site: Site) -> Affines:
    affines: Affines = ()
    if np.any(site.affine.scale != 1):
        affines += (("Mul", None, (_exact(_short(site.affine.scale)),)),)
    if np.any(site.affine.shift):
        affines += (("Add", None, (_exact(_short(site.affine.shift)),)),)
    return affines


def _centres(site: Site) -> bool:
    """Whether it adds or subtracts before it scales."""
    before = takewhile(lambda node: node.op_type not in ("Mul", "Div"), site.nodes)
    return any(node.op_type in ("Add", "Sub", "BatchNormalization") for node in before)


def _short(array: Array) -> Array:
    """Without its leading axes of size 1."""
    sizes = array.shape
    leading = next((axis for axis, size in enumerate(sizes) if size != 1), len(sizes))
    return align(array, len(sizes) - leading)


def _exact(array: Array) -> Exact:
    return Exact.whole(lambda: array, array.shape)


def _holds(dtype: ir.DataType, array: Array) -> bool:
    """Whether the type holds all entries, and none that is not zero as zero."""
    stored = rounded(array, dtype)
    return bool(np.all(np.isfinite(stored)) and np.all((stored != 0) | (array == 0)))
