"""Finds what a norm measures: a square root of a variance, or of a mean of squares."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.norm import Kind
from un_deploy.graph.analysis.norms.terms import Term, Terms
from un_deploy.graph.analysis.shapes import Shapes

#: These stand anywhere between the operators of a norm.
TRANSPARENT = ("Cast", "Identity")

#: A variance is measured in no more operators than these and a few Casts.
_MOST = 12


@dataclass(frozen=True)
class Region:
    """What is known of a norm from its deviation on.

    Attributes:
        kind: what it is.
        x: what it measures.
        axes, rank: what it averages over, of how many axes; 0: as the operators say it.
        nodes: its operators so far, in order.
        terms: what they make.
    """

    kind: Kind
    x: ir.Value
    axes: tuple[object, ...]
    rank: int
    nodes: list[ir.Node]
    terms: Terms


def measured(root: ir.Node, constants: Constants, shapes: Shapes) -> Region | None:
    """What a square root measures: a variance, as a mean of squares or less a square, or those."""
    power = _power(root, constants)
    statistics = _mean_square(root, constants) if power else None
    if statistics is None:
        return None
    mean_square, nodes, less = statistics
    square = _made_by(mean_square.inputs[0], "Mul", "Pow")
    if square is None or not _squares(square, constants):
        return None
    squared = _through_casts(square.inputs[0])
    centre = _made_by(squared[-1], "Sub")
    start: ir.Value | None
    if less is not None:  # mean(x x) - mean mean, as Flax has it
        of_mean = _squared_by(less, constants)
        spread = [square, *_casts(of_mean[0], of_mean[-1]), less] if of_mean else []
        start = squared[0]
    else:
        of_mean = _through_casts(centre.inputs[1]) if centre else []
        spread = [*_casts(of_mean[0], of_mean[-1])] if centre else []
        spread += [centre, *_casts(squared[0], squared[-1]), square] if centre else [square]
        start = centre.inputs[0] if centre else None
    mean = _made_by(of_mean[-1], "ReduceMean") if of_mean else None
    x = _common(start, mean.inputs[0]) if mean else None
    rank = len(shapes.of(x if x is not None else squared[0]) or ())
    axes = averaged_axes(mean_square, constants, rank)
    if axes == (mean_square,):
        return None
    if mean and x and averaged_axes(mean, constants, rank) == axes:
        between = [*_casts(start, x), *_casts(mean.inputs[0], x)]
        nodes = list(dict.fromkeys((*between, mean, *spread, *nodes, root)))
        terms = dict.fromkeys((x, *(node.outputs[0] for node in between)), Term(alpha=1))
        terms |= dict.fromkeys(of_mean, Term(beta=1))
        if less is None:
            terms |= dict.fromkeys(squared, Term(alpha=1, beta=-1))
        kind: Kind = "LayerNormalization"
    elif less is None:
        kind, nodes = "RMSNorm", [square, *nodes, root]
        x = squared[0]
        terms = dict.fromkeys(squared, Term(alpha=1))
    else:
        return None
    terms[root.outputs[0]] = Term(power=power)
    for node in nodes:
        terms.setdefault(node.outputs[0], Term(power=99))  # a variance is no part of the result
    return Region(kind, x, axes, rank, nodes, terms)


def _squared_by(node: ir.Node, constants: Constants) -> list[ir.Value]:
    """What an operator squares, and what Casts made that of; nothing if it does something else."""
    square = node.op_type in ("Mul", "Pow") and _squares(node, constants)
    return _through_casts(node.inputs[0]) if square else []


def _power(root: ir.Node, constants: Constants) -> int:
    """1 for a square root, -1 for one over it, 0 for anything else."""
    if root.op_type == "Sqrt":
        return 1
    exponent = root.inputs[1]
    if exponent not in constants or exponent is None or constants[exponent].size != 1:
        return 0
    return {0.5: 1, -0.5: -1}.get(float(constants[exponent].item()), 0)


def _mean_square(
    root: ir.Node, constants: Constants
) -> tuple[ir.Node, list[ir.Node], ir.Node | None] | None:
    """The mean up from a square root, behind Casts, an epsilon, a factor; it comes first.

    What is subtracted from it comes last.
    """
    nodes: list[ir.Node] = []
    less: ir.Node | None = None
    value, is_scaled = root.inputs[0], False
    for _ in range(_MOST):
        node = value.producer() if value is not None else None
        if node is None or node.domain:
            return None
        nodes.insert(0, node)
        if node.op_type == "ReduceMean" or (node.op_type == "ReduceSum" and is_scaled):
            return node, nodes, less
        if node.op_type == "Sub" and less is None:
            less = node.inputs[1].producer() if node.inputs[1] is not None else None
            value = node.inputs[0]
            if less is None or less.domain:
                return None
            continue
        if node.op_type not in (*TRANSPARENT, "Add", "Mul", "Div", "Max", "Clip"):
            return None
        computed = [v for v in node.inputs if v is not None and v not in constants]
        numbers = [constants[v] for v in node.inputs if v is not None and v in constants]
        if len(computed) != 1 or any(array.size != 1 for array in numbers):
            return None
        if node.op_type == "Div" and computed[0] is not node.inputs[0]:
            return None
        is_scaled = is_scaled or node.op_type in ("Mul", "Div")
        value = computed[0]
    return None


def _squares(node: ir.Node, constants: Constants) -> bool:
    base, exponent = node.inputs
    if node.op_type == "Mul":
        return base is exponent
    return exponent in constants and exponent is not None and bool((constants[exponent] == 2).all())


def _made_by(value: ir.Value | None, *types: str) -> ir.Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.domain == "" and node.op_type in types else None


def _through_casts(value: ir.Value | None) -> list[ir.Value]:
    """A value, and what Casts made it of."""
    found = [] if value is None else [value]
    while found and (cast := _made_by(found[-1], *TRANSPARENT)) and cast.inputs[0] is not None:
        found.append(cast.inputs[0])
    return found


def _casts(value: ir.Value | None, start: ir.Value) -> list[ir.Node]:
    """The Casts from `start` to a value, in order."""
    chain = _through_casts(value)
    made = (one.producer() for one in chain[: chain.index(start)])
    return [node for node in made if node is not None][::-1]


def _common(a: ir.Value | None, b: ir.Value | None) -> ir.Value | None:
    """The last value of which both are made by Casts alone."""
    other = _through_casts(b)
    return next((value for value in _through_casts(a) if value in other), None)


def averaged_axes(mean: ir.Node, constants: Constants, rank: int = 0) -> tuple[object, ...]:
    """What it averages over, from the front if the rank is given; else as written.

    Nothing equals a mean that drops the axes.
    """
    if mean.attributes.get_int("keepdims", 1) == 0:
        return (mean,)
    axes = mean.attributes.get_ints("axes", ())
    if len(mean.inputs) > 1 and (given := mean.inputs[1]) is not None:
        if given not in constants:
            return (mean,)
        axes = constants[given].ravel().tolist()
    return tuple(sorted(axis % rank for axis in axes)) if rank else tuple(axes)
