"""A copy of a float32 graph in half precision, only to be run and timed in torch.

(`un_deploy.graph.precision.convert` converts a graph that is saved for engines: with exceptions by
name, and without a mask's numbers changed.) Every float32 becomes the half type: initializers,
constants, inputs, outputs and what is cast to float32 on the way.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.model.labels import node_name

Half = Literal["float16", "bfloat16"]

_TYPES: dict[Half, ir.DataType] = {
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
}

MASKING = float(np.finfo(np.float32).min) / 2
"""Numbers from here down forbid keys: they only have to stay far below all others, and finite."""


def in_half(model: ir.Model, half: Half) -> ir.Model:
    """A copy of a model, weights included, in which every float32 is of a half type.

    Raises:
        InputError: a weight or a constant is beyond the type's range; names it.
    """
    model = model.clone()
    dtype = _TYPES[half]
    for name, value in model.graph.initializers.items():
        if value.const_value is not None and value.const_value.dtype == ir.DataType.FLOAT:
            value.const_value = _converted(value.const_value, half, f"initializer {name}")
            value.type = ir.TensorType(dtype)  # a new one: a clone shares it with its original
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.dtype == ir.DataType.FLOAT:
            value.type = ir.TensorType(dtype)
    for node in model.graph:
        _convert_attributes(node, half)
    return model


def array_in_half(array: np.ndarray, half: Half, where: str) -> np.ndarray:
    """A float32 array in the type; numbers up to `MASKING` become half the type's lowest.

    Half of it, since a score is still to be added: the sum must not overflow to -inf.

    Raises:
        InputError: another finite number is beyond the type's range.
    """
    with np.errstate(over="ignore"):
        converted = array.astype(_TYPES[half].numpy())
    lost = np.isinf(converted) & np.isfinite(array)
    wrong = array[lost & (array > MASKING)]
    if wrong.size:
        raise InputError(f"{where} holds {wrong[0]:g}, beyond the range of {half}")
    converted[lost] = np.array(_TYPES[half].min / 2).astype(converted.dtype)
    return converted


def _convert_attributes(node: ir.Node, half: Half) -> None:
    where = f"the {node.op_type} {node_name(node)}"
    if node.op_type == "ConstantOfShape" and "value" not in node.attributes:
        zero = ir.Tensor(np.zeros(1, np.float32))  # ONNX's default
        node.attributes["value"] = ir.AttrTensor("value", zero)
    for name, attribute in list(node.attributes.items()):
        if node.op_type == "Cast" and name == "to" and attribute.value == ir.DataType.FLOAT:
            node.attributes[name] = ir.AttrInt64(name, int(_TYPES[half]))
        elif attribute.type == ir.AttributeType.TENSOR:
            if attribute.value.dtype == ir.DataType.FLOAT:
                converted = _converted(attribute.value, half, where)
                node.attributes[name] = ir.AttrTensor(name, converted)
        elif node.op_type == "Constant" and name in ("value_float", "value_floats"):
            tensor = ir.Tensor(np.asarray(attribute.value, np.float32))
            del node.attributes[name]
            node.attributes["value"] = ir.AttrTensor("value", _converted(tensor, half, where))


def _converted(tensor: ir.TensorProtocol, half: Half, where: str) -> ir.Tensor:
    return ir.Tensor(array_in_half(tensor.numpy(), half, where), _TYPES[half], name=tensor.name)
