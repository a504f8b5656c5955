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
from dataclasses import dataclass, replace

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.dims import same_shape
from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.analysis.norms.norm import Kind, Norm
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.model.labels import label_of, node_name

#: A variance is measured in no more operators than these and a few Casts.
_MOST = 12


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

    def is_norm(self, kind: Kind) -> bool:
        """Whether x, centred for LayerNormalization alone, is divided by the deviation."""
        wanted = 0 if kind == "RMSNorm" else -self.alpha
        return self.alpha != 0 and self.beta == wanted and self.power == -1


Terms = dict[ir.Value, _Term]


def written_out(
    root: ir.Node, order: dict[ir.Node, int], constants: Constants, shapes: Shapes
) -> Norm | None:
    """The norm whose deviation this Sqrt or Pow computes, if there is one."""
    found = _measured(root, constants)
    if found is None:
        return None
    kind, x, nodes, terms = found
    while len(leaving := _leaving(nodes)) > 1 or (leaving and terms[leaving[0]].is_scale):
        readers = {node for value in leaving for node, _ in value.uses()} - set(nodes)
        for node in sorted(readers & order.keys(), key=order.__getitem__):
            term = _term(node, terms, constants)
            if term is not None:
                nodes.append(node)
                terms[node.outputs[0]] = term
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
    affine: tuple[ir.Node, ...] = ()
    if not inner:
        types = ("Mul",) if kind == "RMSNorm" else ("Mul", "Add")
        affine = affine_behind(nodes, y, types, constants, shapes)
    elif not same_shape(shapes.of(x), shapes.of(y)):
        return None
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
        while node is not None and not affine and node.op_type == "Cast":
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


def averaged_axes(mean: ir.Node, constants: Constants) -> tuple[object, ...]:
    """What it averages over, as written; nothing equals a mean that drops the axes."""
    if mean.attributes.get_int("keepdims", 1) == 0:
        return (mean,)
    if len(mean.inputs) > 1 and (given := mean.inputs[1]) is not None:
        return tuple(constants[given].ravel().tolist()) if given in constants else (mean,)
    return tuple(mean.attributes.get_ints("axes", ()))


def _measured(
    root: ir.Node, constants: Constants
) -> tuple[Kind, ir.Value, list[ir.Node], Terms] | None:
    """What a square root measures: the kind of norm, x, the operators in order, their terms."""
    power = _power(root, constants)
    statistics = _mean_square(root, constants) if power else None
    if statistics is None:
        return None
    mean_square, nodes = statistics
    square = _made_by(mean_square.inputs[0], "Mul", "Pow")
    if square is None or not _squares(square, constants):
        return None
    squared = _through_casts(square.inputs[0])
    nodes = [square, *nodes]
    terms: Terms = {}
    centre = _made_by(squared[-1], "Sub")
    mean = _made_by(_through_casts(centre.inputs[1])[-1], "ReduceMean") if centre else None
    x = _common(centre.inputs[0], mean.inputs[0]) if centre and mean else None
    if centre and mean and x and _alike(mean, mean_square, constants):
        between = [*_casts(centre.inputs[0], x), *_casts(mean.inputs[0], x)]
        of_mean = _through_casts(centre.inputs[1])
        upwards = [*_casts(centre.inputs[1], of_mean[-1]), *_casts(squared[0], squared[-1])]
        nodes = list(dict.fromkeys((*between, mean, centre, *upwards, *nodes, root)))
        terms |= dict.fromkeys((x, *(node.outputs[0] for node in between)), _Term(alpha=1))
        terms |= dict.fromkeys(of_mean, _Term(beta=1))
        terms |= dict.fromkeys(squared, _Term(alpha=1, beta=-1))
        kind: Kind = "LayerNormalization"
    elif averaged_axes(mean_square, constants) == (mean_square,):
        return None
    else:
        x, kind = squared[0], "RMSNorm"
        nodes.append(root)
        terms |= dict.fromkeys(squared, _Term(alpha=1))
    terms[root.outputs[0]] = _Term(power=power)
    for node in nodes:
        terms.setdefault(node.outputs[0], _Term(power=99))  # a variance is no part of the result
    return kind, x, nodes, terms


def _power(root: ir.Node, constants: Constants) -> int:
    """1 for a square root, -1 for one over it, 0 for anything else."""
    if root.op_type == "Sqrt":
        return 1
    exponent = root.inputs[1]
    if exponent not in constants or exponent is None or constants[exponent].size != 1:
        return 0
    return {0.5: 1, -0.5: -1}.get(float(constants[exponent].item()), 0)


def _mean_square(root: ir.Node, constants: Constants) -> tuple[ir.Node, list[ir.Node]] | None:
    """The mean up from a square root, behind Casts, an epsilon, a factor; it comes first."""
    nodes: list[ir.Node] = []
    value, is_scaled = root.inputs[0], False
    for _ in range(_MOST):
        node = value.producer() if value is not None else None
        if node is None or node.domain:
            return None
        nodes.insert(0, node)
        if node.op_type == "ReduceMean" or (node.op_type == "ReduceSum" and is_scaled):
            return node, nodes
        if node.op_type not in ("Cast", "Add", "Mul", "Div", "Max", "Clip"):
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


def _alike(mean: ir.Node, mean_square: ir.Node, constants: Constants) -> bool:
    return averaged_axes(mean, constants) == averaged_axes(mean_square, constants)


def _made_by(value: ir.Value | None, *types: str) -> ir.Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.domain == "" and node.op_type in types else None


def _through_casts(value: ir.Value | None) -> list[ir.Value]:
    """A value, and what Casts made it of."""
    found = [] if value is None else [value]
    while found and (cast := _made_by(found[-1], "Cast")) and cast.inputs[0] is not None:
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


def _term(node: ir.Node, terms: Terms, constants: Constants) -> _Term | None:
    """The operator's output in those terms, None where it has no such form."""
    if node.domain or any(
        v is None or (v not in terms and v not in constants) for v in node.inputs
    ):
        return None
    operands: list[_Term | ir.Value] = [terms.get(v, v) for v in node.inputs if v is not None]
    numbers = [constants[v] for v in operands if isinstance(v, ir.Value)]
    is_number = bool(numbers) and all(array.size == 1 for array in numbers)
    is_one = is_number and all(array.item() == 1 for array in numbers)
    match (node.op_type, operands):
        case ("Cast", [_Term() as a]) if is_floating(ir.DataType(node.attributes.get_int("to"))):
            return a
        case ("Neg", [_Term() as a]):
            return _negated(a)
        case ("Reciprocal", [_Term(is_scale=True, factors=()) as a]):
            return replace(a, power=-a.power)
        case ("Div", [_, _Term(is_scale=True, factors=()) as a]) if is_one:
            return replace(a, power=-a.power)
        case ("Mul", [_Term() as a, _] | [_, _Term() as a]) if is_one:
            return a
        case ("Add" | "Max" | "Clip", [_Term(is_scale=True) as a, *_]) if is_number:
            return a  # an epsilon behind the square root
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


def _one_module(a: ir.Node, b: ir.Node) -> bool:
    """Whether both come from one module, as far as the file tells."""
    first, second = label_of(a), label_of(b)
    told = first != node_name(a) and second != node_name(b)
    return first == second or not told
