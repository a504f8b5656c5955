"""MatMul, Gemm and Einsum. Half types are added up in float32, as runtimes do, and rounded at the
end."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    accumulates,
    check_size,
    given,
    is_integer,
    needed,
    of_one_type,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_real


def _matmul(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    a, b = needed(inputs, 0), needed(inputs, 1)
    of_one_type(a, b)
    require(is_real(a) or (is_integer(a) and a.dtype.itemsize >= 4), f"numbers of {a.dtype}")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
    check_size((*batch, *rows, *columns), a.dtype)
    wide = accumulates(a.dtype)
    return [np.asarray(a.astype(wide, copy=False) @ b.astype(wide, copy=False)).astype(a.dtype)]


def _gemm(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    a, b, c = needed(inputs, 0), needed(inputs, 1), given(inputs, 2)
    of_one_type(a, b, *(() if c is None else (c,)))
    require(is_real(a), f"numbers of {a.dtype}")
    require(a.ndim == b.ndim == 2, "its inputs are no matrices")
    require(c is not None or opset >= 11, "it has no third input")
    dtype, wide = a.dtype, accumulates(a.dtype)
    a, b = (array.astype(wide, copy=False) for array in (a, b))
    a = a.T if node.attributes.get_int("transA", 0) else a
    b = b.T if node.attributes.get_int("transB", 0) else b
    check_size((len(a), b.shape[1]), wide)
    y = wide.type(node.attributes.get_float("alpha", 1.0)) * (a @ b)
    if c is not None:
        beta = wide.type(node.attributes.get_float("beta", 1.0))
        y = y + np.broadcast_to(beta * c.astype(wide, copy=False), y.shape)
    return [y.astype(dtype, copy=False)]


def _einsum(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    arrays = [needed(inputs, index) for index in range(len(inputs))]
    of_one_type(*arrays)
    require(is_real(arrays[0]), f"numbers of {arrays[0].dtype}")
    equation = node.attributes.get_string("equation").replace(" ", "")
    wide = accumulates(arrays[0].dtype)
    found = np.einsum(equation, *(a.astype(wide, copy=False) for a in arrays), optimize=True)
    return [np.asarray(found).astype(arrays[0].dtype)]


EVALUATORS = {
    "Einsum": since(12, _einsum, "equation"),
    "MatMul": since(1, _matmul),
    "Gemm": since(7, _gemm, "alpha beta transA transB"),
}
