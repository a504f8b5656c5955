"""Finds the sites, the scales and shifts that a fold may remove, in every spelling that counts.

UN, BatchNormalization at inference and LayerScale are all sites. A scalar affine (an attention
scale, the 0.5 of GELU) is none, and neither is a shift alone (a bias, a position table).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.affine_map import Affine, align
from un_deploy.graph.analysis.dims import same_dim, same_shape
from un_deploy.graph.analysis.evaluators.normalization import EPSILON
from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.fold.graph_facts import GraphFacts
from un_deploy.graph.fold.site import NearMiss, Site
from un_deploy.graph.model.labels import label_of, node_name


@dataclass(frozen=True, eq=False)
class _Step:
    node: ir.Node
    x: ir.Value
    y: ir.Value
    affine: Affine


def find_sites(facts: GraphFacts, keep: Collection[str] = ()) -> tuple[list[Site], list[NearMiss]]:
    """All sites of the main graph in topological order, and what was nearly one.

    A site that holds an operator named in `keep` is marked as kept.
    """
    steps: dict[ir.Node, _Step] = {}
    misses: list[NearMiss] = []
    biases = {add for add, _ in facts.biases.values()}
    for node in facts.model.graph:
        found = None if node in biases else _step(node, facts)
        if isinstance(found, _Step):
            steps[node] = found
        elif found is not None:
            misses.append(NearMiss(node_name(node), found))
    sites: list[Site] = []
    claimed: set[ir.Node] = set()
    for node, step in steps.items():
        if node in claimed or step.affine.scale.size == 1:
            continue
        run = _run(step, steps, claimed, facts)
        claimed.update(s.node for s in run)
        sites.append(_site(run, keep))
    return sites, misses


def _site(run: list[_Step], keep: Collection[str]) -> Site:
    affine = run[0].affine
    for step in run[1:]:
        affine = step.affine.after(affine)
    nodes = tuple(step.node for step in run)
    label = label_of(nodes[0])
    site = Site(nodes, run[0].x, run[-1].y, affine, label)
    return replace(site, kept=bool(site.names & set(keep)))


def _run(
    core: _Step, steps: dict[ir.Node, _Step], claimed: set[ir.Node], facts: GraphFacts
) -> list[_Step]:
    """The core and its affine neighbours up and down, over the same axes."""
    axes = core.affine.varies
    run = [core]

    def joins(step: _Step | None) -> bool:
        return step is not None and step.node not in claimed and step.affine.varies <= axes

    while True:
        producer = run[0].x.producer()
        before = steps.get(producer) if producer is not None else None
        if before is None or not joins(before) or len(facts.readers(before.y)) != 1:
            break
        if before.y.is_graph_output():
            break
        run.insert(0, before)
    while not run[-1].y.is_graph_output():
        readers = facts.readers(run[-1].y)
        after = steps.get(readers[0]) if len(readers) == 1 else None
        if after is None or not joins(after):
            break
        run.append(after)
    # A scalar at an end belongs to the neighbour (GELU's 0.5, an attention scale).
    while not run[0].affine.varies:
        run.pop(0)
    while not run[-1].affine.varies:
        run.pop()
    return run


def _step(node: ir.Node, facts: GraphFacts) -> _Step | str | None:
    """The node as an affine of its one computed input; a reason if it nearly is; else None."""
    if node.domain or len(node.outputs) == 0:
        return None
    if node.op_type == "BatchNormalization":
        return _batch_normalization(node, facts)
    if node.op_type not in ("Mul", "Div", "Add", "Sub", "Neg"):
        return None
    y = node.outputs[0]
    computed = [i for i, v in enumerate(node.inputs) if v not in facts.constants]
    if node.op_type == "Neg":
        operand, x = None, node.inputs[0]
    elif len(computed) != 1 or (node.op_type == "Div" and computed == [1]):
        return _overridable(node, facts) if len(computed) == 2 else None
    else:
        operand, x = node.inputs[1 - computed[0]], node.inputs[computed[0]]
    if x is None or x in facts.constants:
        return None
    shape_x, shape_y = facts.shape(x), facts.shape(y)
    constant = None
    if operand is not None:
        if not is_floating(facts.constants.dtype(operand)):
            return None
        constant = facts.constants[operand]
    if shape_x is None or shape_y is None or not same_shape(shape_x, shape_y):
        if constant is None or constant.size == 1 or node.op_type not in ("Mul", "Div"):
            return None
        return (
            f"the shape of {x.name!r} is not known to be that of {y.name!r}, so the constant "
            f"of shape {constant.shape} might widen it"
        )
    affine = _elementwise(node.op_type, constant, computed == [1], len(shape_x))
    if not (np.all(np.isfinite(affine.scale)) and np.all(np.isfinite(affine.shift))):
        return f"its constant {operand.name if operand is not None else ''!r} is not finite"
    return _Step(node, x, y, affine)


def _elementwise(op: str, constant: np.ndarray | None, reversed_: bool, rank: int) -> Affine:
    one, zero = np.ones((1,) * rank), np.zeros((1,) * rank)
    if constant is None:
        return Affine(-one, zero)
    k = align(constant, rank)
    if op == "Mul":
        return Affine(k, zero)
    if op == "Div":
        with np.errstate(divide="ignore"):
            return Affine(1.0 / k, zero)
    if op == "Add":
        return Affine(one, k)
    return Affine(-one, k) if reversed_ else Affine(one, -k)


def _batch_normalization(node: ir.Node, facts: GraphFacts) -> _Step | str | None:
    """Scale gamma / sqrt(var + eps), shift beta - mean * scale, on axis 1 (ONNX, inference)."""
    x, y = node.inputs[0], node.outputs[0]
    # Up to opset 13 nothing but its further outputs tells that it is in training.
    if node.attributes.get_int("training_mode", 0) != 0 or len(node.outputs) > 1:
        return "it is in training mode"
    if x in facts.constants:
        return None
    if x is None or any(v not in facts.constants for v in node.inputs[1:5]):
        if (overridable := _overridable(node, facts)) is not None:
            return overridable
        return "its parameters are not constant"
    shape = facts.shape(x)
    if shape is None or len(shape) < 2:
        return f"the channels of {x.name!r} are unknown"
    gamma, beta, mean, var = (facts.constants[v] for v in node.inputs[1:5] if v is not None)
    if any(array.shape != (gamma.size,) for array in (gamma, beta, mean, var)):
        return "its parameters are not one number for each channel"
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = gamma / np.sqrt(var + node.attributes.get_float("epsilon", EPSILON))
    channel = (1, -1) + (1,) * (len(shape) - 2)
    affine = Affine(scale.reshape(channel), (beta - mean * scale).reshape(channel))
    if not (np.all(np.isfinite(affine.scale)) and np.all(np.isfinite(affine.shift))):
        return "its parameters are not finite"
    if not same_dim(shape[1], scale.size):
        return f"{x.name!r} is not known to have {scale.size} channels"
    return _Step(node, x, y, affine)


def _overridable(node: ir.Node, facts: GraphFacts) -> str | None:
    for value in node.inputs:
        if value is not None and value.is_graph_input() and value.is_initializer():
            return f"its constant {value.name!r} is a graph input, which the caller may override"
    return None
