"""Operators that the TorchScript exporter lacks (diff, rms_norm) or writes wrongly (cumsum).

Decoders of transformers find packed sequences with two of them where no attention mask is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def more_operators() -> Iterator[None]:
    """The exporter has them for the while."""
    import torch

    added: dict[str, tuple[Callable[..., Any], int]] = {
        "aten::diff": (_diff, 9),
        "aten::cumsum": (_cumsum, 11),
        "aten::rms_norm": (_rms_norm, 9),
    }
    for name, (symbolic, since) in added.items():
        torch.onnx.register_custom_op_symbolic(name, symbolic, since)
    try:
        yield
    finally:
        for name, (_, since) in added.items():
            torch.onnx.unregister_custom_op_symbolic(name, since)


def _diff(g: Any, x: Any, n: Any, dim: Any, prepend: Any, append: Any) -> Any:
    """x[1:] - x[:-1] along an axis, n times; prepend and append are joined to x first."""
    from torch.onnx import symbolic_helper as helper

    times, axis = helper._get_const(n, "i", "n"), helper._get_const(dim, "i", "dim")
    parts = [one for one in (prepend, x, append) if not helper._is_none(one)]
    x = g.op("Concat", *parts, axis_i=axis) if len(parts) > 1 else x
    for _ in range(times):
        later = helper._slice_helper(g, x, axes=[axis], starts=[1], ends=[2**63 - 1])
        x = g.op("Sub", later, helper._slice_helper(g, x, axes=[axis], starts=[0], ends=[-1]))
    return x


def _cumsum(g: Any, x: Any, dim: Any, dtype: Any) -> Any:
    """Along an axis, in the type that is asked for; booleans are counted in int64."""
    from torch.onnx import symbolic_helper as helper
    from torch.onnx._internal.torchscript_exporter._type_utils import JitScalarType

    kind = JitScalarType.from_value(x, JitScalarType.UNDEFINED)
    asked = (
        None if helper._is_none(dtype) else JitScalarType(helper._get_const(dtype, "i", "dtype"))
    )
    to = asked or (JitScalarType.INT64 if kind == JitScalarType.BOOL else kind)
    return g.op("CumSum", x if to == kind else g.op("Cast", x, to_i=to.onnx_type()), dim)


def _rms_norm(g: Any, x: Any, shape: Any, weight: Any, eps: Any) -> Any:
    """x / sqrt(mean(x * x) + eps) * weight over the last axes; without eps that of x's type."""
    import torch
    from torch.onnx import symbolic_helper as helper
    from torch.onnx._internal.torchscript_exporter._type_utils import JitScalarType

    axes = list(range(-len(helper._get_const(shape, "is", "normalized_shape")), 0))
    dtype = JitScalarType.from_value(x).dtype()
    least = torch.finfo(dtype).eps if helper._is_none(eps) else helper._get_const(eps, "f", "eps")
    two, added = (g.op("Constant", value_t=torch.tensor(v, dtype=dtype)) for v in (2.0, least))
    square = g.op("Pow", x, two)
    if g.opset < 18:
        mean = g.op("ReduceMean", square, axes_i=axes, keepdims_i=1)
    else:
        over = g.op("Constant", value_t=torch.tensor(axes))
        mean = g.op("ReduceMean", square, over, keepdims_i=1)
    y = g.op("Div", x, g.op("Sqrt", g.op("Add", mean, added)))
    return y if helper._is_none(weight) else g.op("Mul", y, weight)
