"""Constant, ConstantOfShape, Shape and Size: they make tensors of no numbers but sizes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    Unknown,
    check_size,
    listed,
    needed,
    require,
    since,
)

_TYPES = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
    "value_string": np.object_,
    "value_strings": np.object_,
}


def _constant(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    (attribute,) = node.attributes.values()
    if attribute.name == "value":
        return [attribute.as_tensor().numpy()]
    if opset < 12:
        raise Unknown(f"{attribute.name} at opset {opset}")
    return [np.array(attribute.value, dtype=_TYPES[attribute.name])]


def _constant_of_shape(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    shape, value = listed(needed(inputs)), np.zeros(1, np.float32)
    if "value" in node.attributes:
        value = node.attributes["value"].as_tensor().numpy()
    require(value.size == 1, "a value of several numbers")
    require(min(shape, default=0) >= 0, f"the shape {shape}")
    check_size(shape, value.dtype)
    return [np.broadcast_to(value.reshape(()), shape)]


def _shape(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    require(not node.attributes or opset >= 15, "attributes of opset 15")
    rank = needed(inputs).ndim
    start = node.attributes.get_int("start", 0)
    end = node.attributes.get_int("end", rank)
    return [np.array(needed(inputs).shape[start:end], np.int64)]


def _size(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    return [np.array(needed(inputs).size, np.int64)]


EVALUATORS = {
    "Constant": since(1, _constant, " ".join(("value", *_TYPES))),
    "ConstantOfShape": since(9, _constant_of_shape, "value"),
    "Shape": since(1, _shape, "start end"),
    "Size": since(1, _size),
}
