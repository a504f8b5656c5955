"""The values of constant sub-expressions, in float64, evaluated when asked for.

A weight that an edit has replaced is held exactly, not as the rounded initializer, so that a
second fold of the same weight starts from the unrounded value.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.reference import Float64, is_floating, widen

Array = np.ndarray

#: Values up to this many bytes are kept once computed; larger weights are read again.
_KEEP = 1 << 20

#: Operators whose result is not a function of their inputs, or may be changed by the user.
_NOT_CONSTANT = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"}
_NOT_CONSTANT |= {"Multinomial", "Bernoulli", "Dropout", "If", "Loop", "Scan"}

#: Types that weights are stored in to be small.
_QUANTISED = {ir.DataType.INT8, ir.DataType.UINT8, ir.DataType.INT4, ir.DataType.UINT4}

#: The input that a result has its type from, where that is not the first.
_TYPED_BY = {"Where": 1, "DequantizeLinear": 1, "CastLike": 1}


class Constants:
    """Which values of a model's main graph are constant, and what they are.

    A graph input with a default (an overridable initializer) is not constant.
    """

    def __init__(self, model: ir.Model) -> None:
        self._float64 = Float64(model.opset_imports, model.ir_version or 10)
        self._computed: set[ir.Value] = set()
        self._values: dict[ir.Value, Array] = {}
        self._exact: dict[ir.Value, Callable[[], Array]] = {}
        for node in model.graph:  # in topological order, so no recursion however deep the graph
            if self._is_constant(node):
                self._computed.update(node.outputs)

    def __contains__(self, value: ir.Value | None) -> bool:
        if value is None or value.is_graph_input():
            return False
        if value.producer() is None:
            return value.const_value is not None
        return value in self._computed

    def __getitem__(self, value: ir.Value) -> Array:
        """The value: float64 where floating, else as stored.

        Raises:
            KeyError: the value is not constant.
        """
        if value not in self:
            raise KeyError(value.name)
        array = self._values.get(value)
        if array is None:
            array = self._compute(value)
            if array.nbytes <= _KEEP:
                self._values[value] = array
        return array

    def replaced(self, value: ir.Value, exact: Callable[[], Array]) -> None:
        """Remember the unrounded float64 value of an initializer that an edit has made."""
        self._values.pop(value, None)
        self._exact[value] = exact

    def exact(self, value: ir.Value) -> Callable[[], Array]:
        """A function that computes the unrounded float64 value, whatever becomes of the graph."""
        if value in self._exact:
            return self._exact[value]
        tensor = value.const_value
        if value.producer() is None and tensor is not None:
            return lambda: widen(tensor.numpy())
        array = self[value]
        return lambda: array

    def dtype(self, value: ir.Value) -> ir.DataType:
        """The type a constant is stored in; for a computed one, that of what it is computed of."""
        while value.dtype is None:
            tensor = ir.convenience.get_const_tensor(value)
            if tensor is not None:
                return tensor.dtype
            node = value.producer()
            if node is not None and node.op_type == "Cast":
                return ir.DataType(node.attributes["to"].as_int())
            inputs = node.inputs[_TYPED_BY.get(node.op_type, 0) :] if node is not None else ()
            if not inputs or inputs[0] is None:
                return ir.DataType.UNDEFINED
            value = inputs[0]
        return value.dtype

    def is_quantised(self, value: ir.Value) -> bool:
        """Whether a constant is computed from a tensor of at most 8-bit integers."""
        pending: list[ir.Value | None] = [value]
        while pending:
            current = pending.pop()
            if current is None:
                continue
            node = current.producer()
            if node is None:
                tensor = current.const_value
                if tensor is not None and tensor.size > 1 and tensor.dtype in _QUANTISED:
                    return True
            else:
                pending.extend(node.inputs)
        return False

    def _is_constant(self, node: ir.Node) -> bool:
        if node.domain or node.op_type in _NOT_CONSTANT:
            return False
        if node.op_type == "Gather" and self._looks_up(node):
            return False
        return all(v is None or v in self for v in node.inputs)

    @staticmethod
    def _looks_up(node: ir.Node) -> bool:
        """Whether this picks rows of a stored table, as an embedding of fixed positions does.

        It counts as computed, so that the table takes a gauge and the lookup stays one.
        """
        table, rows = (None if v is None else v.const_value for v in node.inputs[:2])
        if table is None or rows is None:
            return False
        return is_floating(table.dtype) and len(table.shape) > 1 and len(rows.shape) > 0

    def _compute(self, value: ir.Value) -> Array:
        if value in self._exact:
            return self._exact[value]()
        node = value.producer()
        if node is None:
            assert value.const_value is not None
            return widen(value.const_value.numpy())
        inputs = [None if v is None else self[v] for v in node.inputs]
        return self._float64.node(node, inputs)[value.index() or 0]


def rounded(array: Array, dtype: ir.DataType) -> Array:
    """The array in the type it will be stored in (round to nearest, overflow to infinity)."""
    with np.errstate(over="ignore"):
        return array.astype(dtype.numpy())


#: The types behind Constant's attributes that hold no tensor.
_PLAIN = {
    "value_float": ir.DataType.FLOAT,
    "value_floats": ir.DataType.FLOAT,
    "value_int": ir.DataType.INT64,
    "value_ints": ir.DataType.INT64,
    "value_string": ir.DataType.STRING,
    "value_strings": ir.DataType.STRING,
}


def held_constant(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer or a Constant node, also behind Identity; else None.

    A graph input with a default value is no constant: the caller may override it.
    """
    while value is not None and (node := value.producer()) is not None:
        if node.domain:
            return None
        if node.op_type == "Constant":
            (attribute,) = node.attributes.values()
            if attribute.type == ir.AttributeType.TENSOR:
                return attribute.as_tensor()
            return ir.tensor(attribute.value, dtype=_PLAIN.get(attribute.name))
        if node.op_type != "Identity":
            return None
        value = node.inputs[0]
    return None if value is None or value.is_graph_input() else value.const_value
