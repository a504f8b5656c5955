"""A float32 graph in half precision, for running it in torch.

Every float32 becomes the half type: initializers, constants, inputs, outputs and what is cast to
float32 on the way. (A graph that is to be saved for others needs more care, and named exceptions:
this is a copy that is only run.)
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError

Half = Literal["float16", "bfloat16"]

_TYPES: dict[Half, ir.DataType] = {
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
}

MASKING = float(np.finfo(np.float32).min) / 2
"""Below this a number forbids keys, and only has to stay far below all others and finite."""


def in_half(model: ir.Model, half: Half) -> ir.Model:
    """A copy of a model in which every float32 is of a half type.

    Args:
        model: stays as it is; its weights are converted, not shared.
        half: the type.

    Raises:
        InputError: a weight or a constant is beyond the type's range; names it.
    """
    model = model.clone()
    dtype = _TYPES[half]
    for value in model.graph.initializers.values():
        if value.const_value is not None and value.dtype == ir.DataType.FLOAT:
            value.const_value = _converted(value.const_value, dtype, str(value.name))
            value.dtype = dtype
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.dtype == ir.DataType.FLOAT:
            value.dtype = dtype
    for node in model.graph:
        _convert_attributes(node, dtype)
    return model


def _convert_attributes(node: ir.Node, dtype: ir.DataType) -> None:
    for name, attribute in list(node.attributes.items()):
        where = f"{node.op_type} {node.name or node.outputs[0].name}"
        if node.op_type == "Cast" and name == "to" and attribute.value == ir.DataType.FLOAT:
            node.attributes[name] = ir.AttrInt64(name, int(dtype))
        elif attribute.type == ir.AttributeType.TENSOR:
            if attribute.value.dtype == ir.DataType.FLOAT:
                node.attributes[name] = ir.AttrTensor(
                    name, _converted(attribute.value, dtype, where)
                )
        elif node.op_type == "Constant" and name in ("value_float", "value_floats"):
            tensor = ir.Tensor(np.asarray(attribute.value, np.float32))
            del node.attributes[name]
            node.attributes["value"] = ir.AttrTensor("value", _converted(tensor, dtype, where))


def _converted(tensor: ir.TensorProtocol, dtype: ir.DataType, name: str) -> ir.Tensor:
    """The tensor in the type; -3.4e38 in a mask becomes the type's own lowest number."""
    array = tensor.numpy()
    with np.errstate(over="ignore"):
        half = array.astype(dtype.numpy())
    lost = np.isinf(half) & np.isfinite(array)
    if lost.any():
        if not np.all(array[lost] <= MASKING):
            raise InputError(
                f"{name} holds {array[lost][0]:g}, beyond the range of {dtype.name.lower()}"
            )
        half[lost] = np.array(dtype.min).astype(half.dtype)
    return ir.Tensor(half, dtype, name=tensor.name)
