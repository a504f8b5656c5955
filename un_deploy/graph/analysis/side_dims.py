"""Dimensions as onnx-shape-inference writes them, on the side model, and the algebra of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import onnx_ir as ir
import sympy

from un_deploy.graph.analysis.dims import symbol

SideDim = int | ir.SymbolicDim

_NAME = re.compile(r"[A-Za-z_]\w*")
_FUNCTIONS = {
    name: getattr(sympy, name) for name in ("Max", "Min", "Mod", "ceiling", "floor", "sqrt")
}


@lru_cache(maxsize=4096)
def _parse(text: str) -> sympy.Expr:
    # Every name in here is one that this package or the inference gave: no text of the user's.
    names = {name: symbol(name) for name in _NAME.findall(text) if name not in _FUNCTIONS}
    return sympy.parse_expr(text, local_dict=names | _FUNCTIONS)


def expression(dim: SideDim) -> sympy.Expr:
    """A dimension of the side model as an expression over positive integer symbols."""
    return sympy.Integer(dim) if isinstance(dim, int) else _parse(str(dim.value))


def side_dim(value: sympy.Expr) -> SideDim:
    """An expression as a dimension that the side model can carry."""
    return int(value) if value.is_Integer else ir.SymbolicDim(value)


def broadcast_sizes(sizes: Sequence[SideDim]) -> SideDim | None:
    """The size that these become together; None where one may be zero, and so win over 1.

    Raises:
        ValueError: they do not broadcast.
    """
    wider = {size for size in sizes if size != 1}
    fixed = {size for size in wider if isinstance(size, int)}
    if len(fixed) > 1:
        raise ValueError(f"sizes {sizes} do not broadcast")
    if fixed or len(wider) < 2:
        return next(iter(fixed or wider), 1)
    expressions = {expression(size) for size in wider}
    if not all(one.is_positive for one in expressions):
        return None
    return side_dim(sympy.Max(*expressions))


def quotient(numerator: Sequence[SideDim], denominator: Sequence[SideDim]) -> SideDim:
    return side_dim(
        sympy.cancel(
            sympy.Mul(*map(expression, numerator)) / sympy.Mul(*map(expression, denominator))
        )
    )


def aligned(*rows: Sequence[SideDim]) -> list[tuple[SideDim, ...]] | None:
    """Shape tensors element by element, a single number repeated; None where they do not match."""
    length = max(len(row) for row in rows)
    if any(len(row) not in (1, length) for row in rows):
        return None
    return list(zip(*(list(row) * (length // len(row)) for row in rows), strict=True))
