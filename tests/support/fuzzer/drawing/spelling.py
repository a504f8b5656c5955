"""Operators as an opset writes them: axes, sizes and factors as attributes or as inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
import onnx.helper
from onnx import NodeProto

#: The attribute that became input 1, and in which opset.
_BECAME_INPUT = {
    "Squeeze": ("axes", 13),
    "Unsqueeze": ("axes", 13),
    "ReduceMean": ("axes", 18),
    "ReduceMax": ("axes", 18),
    "ReduceMin": ("axes", 18),
    "ReduceSum": ("axes", 13),
    "Split": ("split", 13),
    "Upsample": ("scales", 9),
}


#: What gives the same of integers as a Min with 0, and as a Max of that, before these take any.
_OF_INTEGERS = {"Min": "Mul", "Max": "Add"}


def respelled(
    node: NodeProto, constants: Mapping[str, np.ndarray], opset: int
) -> tuple[NodeProto, np.ndarray | None]:
    """An operator as this opset writes it, and what is to become its input 1, if anything."""
    node = NodeProto.FromString(node.SerializeToString())
    if node.op_type in _OF_INTEGERS and opset < 12:
        node.op_type = _OF_INTEGERS[node.op_type]
    name, since = _BECAME_INPUT.get(node.op_type, ("", 0))
    held = [attribute for attribute in node.attribute if name and attribute.name == name]
    if name and opset < since and len(node.input) > 1 and node.input[1] in constants:
        node.attribute.append(onnx.helper.make_attribute(name, constants[node.input[1]].tolist()))
        del node.input[1]
    elif held and opset >= since:
        (attribute,) = held
        node.attribute.remove(attribute)
        numbers = onnx.helper.get_attribute_value(attribute)
        return node, np.array(numbers, np.float32 if attribute.floats else np.int64)
    return node, None


def is_known(node: NodeProto, opset: int) -> bool:
    """Whether ONNX has this operator at this opset, with these inputs, outputs and attributes."""
    try:
        schema = onnx.defs.get_schema(node.op_type, 1 if node.domain else opset, node.domain)
    except onnx.defs.SchemaError:
        return False
    may_lack = [
        one.option == onnx.defs.OpSchema.FormalParameterOption.Optional for one in schema.inputs
    ]
    return (
        not schema.deprecated
        and schema.min_input <= len(node.input) <= schema.max_input
        and schema.min_output <= len(node.output) <= schema.max_output
        and all(name or lacks for name, lacks in zip(node.input, may_lack, strict=False))
        and {attribute.name for attribute in node.attribute} <= set(schema.attributes)
    )


def factors(nodes: Iterable[NodeProto]) -> set[str]:
    """What images are scaled by: float32 in a graph of any type, and no weight."""
    scaling = [node for node in nodes if node.op_type in ("Resize", "Upsample")]
    return {node.input[min(len(node.input) - 1, 2)] for node in scaling if len(node.input) > 1}
