"""Cast, between the types that are computed with."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    is_integer,
    needed,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_floating, is_real, keeps_all

_INTEGERS = {ir.DataType.INT8, ir.DataType.INT16, ir.DataType.INT32, ir.DataType.INT64}
_INTEGERS |= {ir.DataType.UINT8, ir.DataType.UINT16, ir.DataType.UINT32, ir.DataType.UINT64}


def _to(node: ir.Node) -> ir.DataType:
    target = ir.DataType(node.attributes.get_int("to"))
    require(is_floating(target) or target in _INTEGERS or target == ir.DataType.BOOL, str(target))
    return target


def _cast(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, target = needed(inputs), _to(node)
    require(is_real(x) or is_integer(x) or x.dtype.kind == "b", f"a tensor of {x.dtype}")
    if is_real(x) and target in _INTEGERS:  # beyond the type's bounds anything may come
        whole, bounds = np.trunc(x.astype(np.float64)), np.iinfo(target.numpy())
        inside = (whole >= float(bounds.min)) & (whole < float(bounds.max) + 1)
        require(np.all(inside), "a number that the type does not hold")
    return [x.astype(target.numpy())]


def _cast_exact(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, target = needed(inputs), _to(node)
    if not is_real(x):
        (cast,) = _cast(node, inputs, opset)
        if is_floating(target):
            require(np.all(cast.astype(x.dtype) == x), "it rounds")
        return [cast]
    source = None if node.inputs[0] is None else node.inputs[0].dtype
    widens = target == ir.DataType.DOUBLE or keeps_all(source, target)
    require(widens, "it rounds, or casts from a type that is not stated")
    return [x]


EVALUATORS = {
    "Cast": since(6, _cast, "to saturate round_mode", _cast_exact),
}
