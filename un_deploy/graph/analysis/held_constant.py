"""The tensor that a file holds for a value, as it is stored."""

from __future__ import annotations

import onnx_ir as ir

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
