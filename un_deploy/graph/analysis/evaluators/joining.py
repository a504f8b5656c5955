"""Concat and Split."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    Unknown,
    axis_of,
    check_size,
    given,
    listed,
    needed,
    of_one_type,
    require,
    since,
)


def _concat(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    parts = [needed(inputs, index) for index in range(len(inputs))]
    of_one_type(*parts)
    check_size((sum(part.size for part in parts),), parts[0].dtype)
    axis = axis_of(node.attributes.get_int("axis"), parts[0].ndim)
    return [np.concatenate(parts, axis)]


def _split(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    axis = axis_of(node.attributes.get_int("axis", 0), x.ndim)
    sizes = _sizes(node, inputs, opset, x.shape[axis])
    require(min(sizes) >= 0 and sum(sizes) == x.shape[axis], f"parts of {sizes}")
    require(len(sizes) == len(node.outputs), f"{len(sizes)} parts")
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def _sizes(node: ir.Node, inputs: Inputs, opset: int, whole: int) -> list[int]:
    count = len(node.outputs)
    if opset < 13 and "split" in node.attributes:
        return list(node.attributes.get_ints("split"))
    require("split" not in node.attributes, "its parts' sizes are an attribute")
    stated = given(inputs, 1) if opset >= 13 else None
    if "num_outputs" in node.attributes:
        require(opset >= 18 and stated is None, "it states a number of parts")
        require(node.attributes.get_int("num_outputs") == count, "it has another number of parts")
        size = -(-whole // count)
        return [size] * (count - 1) + [whole - size * (count - 1)]
    if stated is not None:
        return listed(stated)
    if opset >= 18:
        raise Unknown("it states neither sizes nor a number")
    require(whole % count == 0, f"{count} equal parts of {whole}")
    return [whole // count] * count


EVALUATORS = {
    "Concat": since(4, _concat, "axis"),
    "Split": since(2, _split, "axis split num_outputs"),
}
