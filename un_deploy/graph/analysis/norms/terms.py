"""What the operators of a norm compute, in terms of x, its mean and its deviation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import onnx_ir as ir

from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.floating import is_floating
from un_deploy.graph.analysis.norms.norm import Kind


@dataclass(frozen=True)
class Term:
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


#: By what an operator makes.
Terms = dict[ir.Value, Term]


def term_of(node: ir.Node, terms: Terms, constants: Constants) -> Term | None:
    """The operator's output in those terms, None where it has no such form."""
    if node.domain or any(
        v is None or (v not in terms and v not in constants) for v in node.inputs
    ):
        return None
    operands: list[Term | ir.Value] = [terms.get(v, v) for v in node.inputs if v is not None]
    numbers = [constants[v] for v in operands if isinstance(v, ir.Value)]
    is_number = bool(numbers) and all(array.size == 1 for array in numbers)
    is_one = is_number and all(array.item() == 1 for array in numbers)
    match (node.op_type, operands):
        case ("Identity", [Term() as a]):
            return a
        case ("Cast", [Term() as a]) if is_floating(ir.DataType(node.attributes.get_int("to"))):
            return a
        case ("Neg", [Term() as a]):
            return _negated(a)
        case ("Reciprocal", [Term(is_scale=True, factors=()) as a]):
            return replace(a, power=-a.power)
        case ("Div", [_, Term(is_scale=True, factors=()) as a]) if is_one:
            return replace(a, power=-a.power)
        case ("Mul", [Term() as a, _] | [_, Term() as a]) if is_one:
            return a
        case ("Add" | "Max" | "Clip", [Term(is_scale=True) as a, *_]) if is_number:
            return a  # an epsilon behind the square root
        case ("Mul", [a, b]):
            return _product(a, b)
        case ("Div", [a, Term(is_scale=True, factors=()) as b]):
            return _product(a, replace(b, power=-b.power))
        case ("Add", [a, b]):
            return _sum(a, b)
        case ("Sub", [a, Term() as b]):
            return _sum(a, _negated(b))
        case ("Sub", [Term() as a, b]):
            return _sum(a, b)
    return None


def _negated(a: Term) -> Term | None:
    return None if a.is_scale else replace(a, alpha=-a.alpha, beta=-a.beta)


def _product(a: Term | ir.Value, b: Term | ir.Value) -> Term | None:
    if not isinstance(a, Term):
        a, b = b, a
    if not isinstance(a, Term):
        return None
    if not isinstance(b, Term):
        return replace(a, factors=(*a.factors, b))  # a constant scales a constant shift
    if not (a.is_scale or b.is_scale) or a.shifts or b.shifts:
        return None
    return Term(a.alpha + b.alpha, a.beta + b.beta, a.power + b.power, (*a.factors, *b.factors))


def _sum(a: Term | ir.Value | None, b: Term | ir.Value | None) -> Term | None:
    if not isinstance(a, Term):
        a, b = b, a
    if not isinstance(a, Term) or a.is_scale or b is None:
        return None
    if not isinstance(b, Term):
        return replace(a, shifts=(*a.shifts, b))
    if b.is_scale or a.power != b.power or a.factors != b.factors:
        return None
    return replace(a, alpha=a.alpha + b.alpha, beta=a.beta + b.beta, shifts=(*a.shifts, *b.shifts))
