"""Operators that the TorchScript exporter lacks (diff) or writes wrongly (cumsum of booleans).

Decoders of transformers find packed sequences with them where no attention mask is given.
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
