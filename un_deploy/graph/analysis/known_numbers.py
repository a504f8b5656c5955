"""Small tensors whose numbers are all known, where onnx-shape-inference follows only rows of sizes.

TorchScript computes the widths of a Pad through tables, remainders and quotients rounded up.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.bounded_context import MOST_NUMBERS, BoundedContext
from un_deploy.graph.analysis.evaluators import Unknown, evaluate

_WHOLE = frozenset((ir.DataType.INT32, ir.DataType.INT64))
_FOLLOWED = _WHOLE | {ir.DataType.FLOAT, ir.DataType.DOUBLE}
_MOST_BYTES = 8 * MOST_NUMBERS


class KnownNumbers:
    """What operators compute from known numbers, while the shapes of one graph are inferred."""

    def __init__(self, context: BoundedContext) -> None:
        self._context = context
        self._arrays: dict[ir.Value, np.ndarray] = {}

    def computed(self, node: ir.Node) -> list[int] | None:
        """Compute the numbers of an operator's result, if nobody has; those that may be sizes."""
        (result, *others), arrays = node.outputs, [self._array(value) for value in node.inputs]
        lost = result.dtype in _FOLLOWED and not others and not self._is_known(result)
        pairs = zip(arrays, node.inputs, strict=True)
        if not lost or any(array is None and value is not None for array, value in pairs):
            return None
        try:
            (array,) = evaluate(node, arrays, self._context.get_opset_version(""), _MOST_BYTES)
        except Unknown:
            return None
        result.shape = ir.Shape(array.shape)
        self._arrays[result] = array
        whole = array.ndim <= 1 and result.dtype in _WHOLE
        return [int(number) for number in array.ravel()] if whole else None

    def _is_known(self, value: ir.Value) -> bool:
        numbers = self._context.get_symbolic_value(value)
        return numbers is not None and all(isinstance(number, int) for number in numbers)

    def _array(self, value: ir.Value | None) -> np.ndarray | None:
        """The numbers of a small tensor, where all are known."""
        if value is None or value in self._arrays:
            return None if value is None else self._arrays[value]
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is not None:
            small = tensor.size <= MOST_NUMBERS and tensor.dtype in _FOLLOWED
            return tensor.numpy() if small else None
        if value.dtype not in _WHOLE or not self._is_known(value):
            return None
        if value.shape is None or not value.shape.is_static():
            return None
        numbers = self._context.get_symbolic_value(value)
        return np.array(numbers, value.dtype.numpy()).reshape(value.shape.numpy())
