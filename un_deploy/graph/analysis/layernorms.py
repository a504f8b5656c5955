"""Finds Layer Normalization: as one operator, or as the chains in which exporters write it out.

(x - mean) / sqrt(variance + eps) has many spellings: Pow or Mul for the square, Div or a
Reciprocal, gamma multiplied into the reciprocal before it meets x (Keras). So the operators are
not matched one by one. The variance is recognised; from there each operator's output is written as

    (alpha x + beta mean) sqrt(variance + eps)^power, times constants, plus constants

until a single tensor leaves the region. It is the norm exactly when alpha = -beta and power = -1.
Ba et al., "Layer Normalization", arXiv 1607.06450, equation 4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import same_shape
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.model.labels import label_of


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """One norm from x, the first input of ``nodes[0]``, to y.

    Attributes:
        nodes: its operators in the graph's order.
        y: the tensor that leaves it.
        obstacle: why it cannot be taken for a map from x to y alone; empty where it can.
    """

    nodes: tuple[ir.Node, ...]
    y: ir.Value
    obstacle: str = ""


def find_layernorms(graph: ir.Graph, constants: Constants, shapes: Shapes) -> list[LayerNorm]:
    """Every Layer Normalization of the main graph, over whatever axes, in topological order."""
    order = {node: index for index, node in enumerate(graph)}
    found = []
    for node in graph:
        if node.domain == "" and node.op_type == "LayerNormalization":
            used = any(v.uses() or v.is_graph_output() for v in node.outputs[1:])
            obstacle = "its mean or deviation is read too" if used else ""
            found.append(LayerNorm((node,), node.outputs[0], obstacle))
        elif node.domain == "" and node.op_type == "Sqrt":
            chain = _written_out(node, order, constants, shapes)
            if chain is not None:
                found.append(chain)
    return found


@dataclass(frozen=True)
class _Term:
    """(alpha x + beta mean) deviation^power * factors + shifts; alpha = beta = 0: without x."""

    alpha: int = 0
    beta: int = 0
    power: int = 0
    factors: tuple[ir.Value, ...] = ()
    shifts: tuple[ir.Value, ...] = ()

    @property
    def is_scale(self) -> bool:
        """A power of the deviation, alone or times constants."""
        return self.alpha == self.beta == 0

    @property
    def is_norm(self) -> bool:
        return self.alpha != 0 and self.alpha == -self.beta and self.power == -1


def _written_out(
    sqrt: ir.Node, order: dict[ir.Node, int], constants: Constants, shapes: Shapes
) -> LayerNorm | None:
    variance = _variance(sqrt, constants)
    if variance is None:
        return None
    mean, centre = variance[0], variance[1]
    x = mean.inputs[0]
    assert x is not None
    terms = {
        x: _Term(alpha=1),
        mean.outputs[0]: _Term(beta=1),
        centre.outputs[0]: _Term(alpha=1, beta=-1),
        sqrt.outputs[0]: _Term(power=1),
    }
    nodes = [*variance, sqrt]
    while len(leaving := _leaving(nodes)) > 1:
        readers = {node for value in leaving for node, _ in value.uses()} - set(nodes)
        for node in sorted(readers & order.keys(), key=order.__getitem__):
            term = _term(node, terms, constants)
            if term is not None:
                nodes.append(node)
                terms[node.outputs[0]] = term
                break
        else:
            return None  # what is left is read by something else
    (y,) = leaving
    term = terms.get(y)
    if term is None or not term.is_norm:
        return None
    if not (term.factors or term.shifts):
        y = _with_affine(nodes, y, constants, shapes)
    elif not same_shape(shapes.of(x), shapes.of(y)):
        return None
    return LayerNorm(tuple(sorted(nodes, key=order.__getitem__)), y)


def _variance(sqrt: ir.Node, constants: Constants) -> list[ir.Node] | None:
    """Mean, centring, square, mean and the addition of epsilon, up from the square root."""
    add = _made_by(sqrt.inputs[0], "Add")
    computed = [v for v in add.inputs if v not in constants] if add else []
    mean_square = _made_by(computed[0], "ReduceMean") if len(computed) == 1 else None
    square = _made_by(mean_square.inputs[0], "Mul", "Pow") if mean_square else None
    centre = _made_by(square.inputs[0], "Sub") if square else None
    mean = _made_by(centre.inputs[1], "ReduceMean") if centre else None
    if not (add and mean_square and square and centre and mean):
        return None
    if any(constants[v].size != 1 for v in add.inputs if v is not None and v in constants):
        return None  # epsilon is one number
    exponent = square.inputs[1]
    assert exponent is not None
    if square.op_type == "Mul":
        squared = exponent is square.inputs[0]
    else:
        squared = exponent in constants and bool((constants[exponent] == 2).all())
    alike = averaged_axes(mean, constants) == averaged_axes(mean_square, constants)
    if mean.inputs[0] is not centre.inputs[0] or not squared or not alike:
        return None
    return [mean, centre, square, mean_square, add]


def _made_by(value: ir.Value | None, *types: str) -> ir.Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.domain == "" and node.op_type in types else None


def averaged_axes(mean: ir.Node, constants: Constants) -> tuple[object, ...]:
    """What it averages over, as written; nothing equals a mean that drops the axes."""
    if mean.attributes.get_int("keepdims", 1) == 0:
        return (mean,)
    if len(mean.inputs) > 1 and (given := mean.inputs[1]) is not None:
        return tuple(constants[given].ravel().tolist()) if given in constants else (mean,)
    return tuple(mean.attributes.get_ints("axes", ()))


def _leaving(nodes: list[ir.Node]) -> list[ir.Value]:
    """The tensors made inside that somebody outside reads."""
    inside = set(nodes)
    return [
        value
        for node in nodes
        for value in node.outputs
        if value.is_graph_output() or any(reader not in inside for reader, _ in value.uses())
    ]


def _term(node: ir.Node, terms: dict[ir.Value, _Term], constants: Constants) -> _Term | None:
    """The operator's output in those terms, None where it has no such form."""
    if node.domain or any(
        v is None or (v not in terms and v not in constants) for v in node.inputs
    ):
        return None
    operands: list[_Term | ir.Value] = [terms.get(v, v) for v in node.inputs if v is not None]
    match (node.op_type, operands):
        case ("Neg", [_Term() as a]):
            return _negated(a)
        case ("Reciprocal", [_Term(is_scale=True, factors=()) as a]):
            return replace(a, power=-a.power)
        case ("Mul", [a, b]):
            return _product(a, b)
        case ("Div", [a, _Term(is_scale=True, factors=()) as b]):
            return _product(a, replace(b, power=-b.power))
        case ("Add", [a, b]):
            return _sum(a, b)
        case ("Sub", [a, _Term() as b]):
            return _sum(a, _negated(b))
        case ("Sub", [_Term() as a, b]):
            return _sum(a, b)
    return None


def _negated(a: _Term) -> _Term | None:
    return None if a.is_scale else replace(a, alpha=-a.alpha, beta=-a.beta)


def _product(a: _Term | ir.Value, b: _Term | ir.Value) -> _Term | None:
    if not isinstance(a, _Term):
        a, b = b, a
    if not isinstance(a, _Term):
        return None
    if not isinstance(b, _Term):
        return replace(a, factors=(*a.factors, b))  # a constant scales a constant shift
    if not (a.is_scale or b.is_scale) or a.shifts or b.shifts:
        return None
    return _Term(a.alpha + b.alpha, a.beta + b.beta, a.power + b.power, (*a.factors, *b.factors))


def _sum(a: _Term | ir.Value | None, b: _Term | ir.Value | None) -> _Term | None:
    if not isinstance(a, _Term):
        a, b = b, a
    if not isinstance(a, _Term) or a.is_scale or b is None:
        return None
    if not isinstance(b, _Term):
        return replace(a, shifts=(*a.shifts, b))
    if b.is_scale or a.power != b.power or a.factors != b.factors:
        return None
    return replace(a, alpha=a.alpha + b.alpha, beta=a.beta + b.beta, shifts=(*a.shifts, *b.shifts))


def _with_affine(
    nodes: list[ir.Node], y: ir.Value, constants: Constants, shapes: Shapes
) -> ir.Value:
    """Take along the norm's own scale and shift: per channel, of its module, its only readers."""
    core = nodes[-1]
    for op_type in ("Mul", "Add"):
        readers = y.uses()
        if y.is_graph_output() or len(readers) != 1:
            break
        ((node, _),) = readers
        given = [v for v in node.inputs if v in constants]
        vector = len(given) == 1 and given[0] is not None and constants[given[0]].size > 1
        if node.domain or node.op_type != op_type or not vector or not _one_module(core, node):
            continue
        if node.graph is core.graph and same_shape(shapes.of(y), shapes.of(node.outputs[0])):
            nodes.append(node)
            y = node.outputs[0]
    return y


def _one_module(a: ir.Node, b: ir.Node) -> bool:
    """Whether both come from one module, as far as the file tells."""
    first, second = label_of(a), label_of(b)
    told = first != a.name and second != b.name
    return first == second or not told
