"""Recognises LayerNormalization and RMSNorm in the operators that exporters write.

(x - mean) / sqrt(variance + eps) has many spellings: Pow or Mul for the square, Div or a
Reciprocal, a Cast to float32 on the way in and back on the way out, gamma multiplied into the
reciprocal before it meets x (Keras). So the operators are not matched one by one. What measures x,
the deviation, is recognised; from there each operator's output is written as

    (alpha x + beta mean) deviation^power, times constants, plus constants

until a single tensor leaves the region. It is the norm exactly when alpha = -beta and power = -1;
for RMSNorm, which subtracts no mean, when beta = 0.
Ba et al., "Layer Normalization", arXiv 1607.06450, equation 4; Zhang and Sennrich, "Root Mean
Square Layer Normalization", arXiv 1910.07467, equation 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import same_shape
from un_deploy.graph.analysis.norms.deviation import TRANSPARENT, Region, averaged_axes, measured
from un_deploy.graph.analysis.norms.norm import Norm
from un_deploy.graph.analysis.norms.terms import Term, Terms, term_of
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.model.labels import label_of, node_name


def written_out(
    root: ir.Node, order: dict[ir.Node, int], constants: Constants, shapes: Shapes
) -> Norm | None:
    """The norm whose deviation this Sqrt or Pow computes, if there is one."""
    region = measured(root, constants, shapes)
    if region is None:
        return None
    kind, nodes, terms = region.kind, region.nodes, region.terms
    while len(leaving := _leaving(nodes)) > 1 or (leaving and terms[leaving[0]].is_scale):
        readers = {node for value in leaving for node, _ in value.uses()} - set(nodes)
        for node in sorted(readers & order.keys(), key=order.__getitem__):
            found = _resolved(node, terms, region, constants)
            if found is not None:
                nodes += found
                terms |= {made.outputs[0]: term for made, term in found.items()}
                break
        else:
            return None  # what is left is read by something else
    if not leaving:
        return None
    (y,) = leaving
    term = terms[y]
    if not term.is_norm(kind):
        return None
    inner = bool(term.factors or term.shifts)
    if inner and not same_shape(shapes.of(region.x), shapes.of(y)):
        return None
    behind = {"Mul": not inner, "Add": not term.shifts and kind == "LayerNormalization"}
    types = [op_type for op_type, may_be in behind.items() if may_be]
    affine = affine_behind(nodes, y, types, constants, shapes)
    nodes += [node for node in _casts_between(y, affine) if node not in nodes]
    nodes += affine
    y = affine[-1].outputs[0] if affine else y
    return Norm(kind, tuple(sorted(nodes, key=order.__getitem__)), y, affine, inner)


def affine_behind(
    core: Sequence[ir.Node],
    y: ir.Value,
    types: Sequence[str],
    constants: Constants,
    shapes: Shapes,
) -> tuple[ir.Node, ...]:
    """A norm's own scale and shift: per channel, of its module, the only readers of what it makes.

    Args:
        core: the norm's other operators, the last of which makes y.
        y: what these make; Casts may stand behind it.
        types: Mul for a scale, Add for a shift, in this order.
    """
    affine: list[ir.Node] = []
    last = core[-1]
    for op_type in types:
        node = _only_reader(y)
        while node is not None and not affine and node.op_type in TRANSPARENT:
            y = node.outputs[0]
            node = _only_reader(y)
        if node is None or node.op_type != op_type or node.graph is not last.graph:
            continue
        given = [v for v in node.inputs if v in constants]
        vector = len(given) == 1 and given[0] is not None and constants[given[0]].size > 1
        if not vector or not _one_module(last, node):
            continue
        if same_shape(shapes.of(y), shapes.of(node.outputs[0])):
            affine.append(node)
            y = node.outputs[0]
    return tuple(affine)


def _only_reader(value: ir.Value) -> ir.Node | None:
    readers = value.uses()
    if value.is_graph_output() or len(readers) != 1:
        return None
    ((node, _),) = readers
    return None if node.domain else node


def _casts_between(y: ir.Value, affine: Sequence[ir.Node]) -> list[ir.Node]:
    """The Casts between a norm's core and the scale behind it."""
    found: list[ir.Node] = []
    while affine and (node := _only_reader(y)) is not None and node is not affine[0]:
        found.append(node)
        y = node.outputs[0]
    return found


def _leaving(nodes: list[ir.Node]) -> list[ir.Value]:
    """The tensors made inside that somebody outside reads."""
    inside = set(nodes)
    return [
        value
        for node in nodes
        for value in node.outputs
        if value.is_graph_output() or any(reader not in inside for reader, _ in value.uses())
    ]


def _resolved(
    node: ir.Node, terms: Terms, region: Region, constants: Constants, depth: int = 3
) -> dict[ir.Node, Term] | None:
    """An operator in those terms, behind those that make what it reads of x alone, in order."""
    found: dict[ir.Node, Term] = {}
    known = dict(terms)
    for value in node.inputs:
        producer = value.producer() if value is not None else None
        if value in known or value in constants or producer is None or depth == 0:
            continue
        before = _resolved(producer, known, region, constants, depth - 1)
        if before is None:
            return None
        found |= before
        known |= {made.outputs[0]: term for made, term in before.items()}
    x, axes = node.inputs[0] if node.inputs else None, region.axes
    if node.op_type == "ReduceMean" and x is not None and known.get(x) == Term(alpha=1):
        alike = averaged_axes(node, constants, region.rank) == axes  # its mean, measured twice
        return {**found, node: Term(beta=1)} if alike else None
    term = term_of(node, known, constants)
    return None if term is None else {**found, node: term}


def _one_module(a: ir.Node, b: ir.Node) -> bool:
    """Whether both come from one module, as far as the file tells."""
    first, second = label_of(a), label_of(b)
    told = first != node_name(a) and second != node_name(b)
    return first == second or not told
