"""Operators that make tensors from nothing but sizes: constants, ranges, shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor

from un_deploy.errors import InputError
from un_deploy.runtime.torch_graph.operators.attributes import attribute
from un_deploy.runtime.torch_graph.record_calls import Value, ints, known
from un_deploy.runtime.torch_graph.tensors import to_tensor


def _constant(node: ir.Node) -> Tensor:
    for name, dtype in (("int", torch.int64), ("float", torch.float32)):
        for attribute_name in (f"value_{name}", f"value_{name}s"):
            if attribute_name in node.attributes:
                return torch.tensor(attribute(node, attribute_name), dtype=dtype)
    tensor = attribute(node, "value")
    if tensor is None:
        raise InputError("a sparse or text constant is not supported")
    return to_tensor(tensor)


def _constant_of_shape(node: ir.Node, shape: Value) -> Tensor:
    value = attribute(node, "value")
    fill = torch.zeros(1) if value is None else to_tensor(value)
    return fill.reshape(()).expand(ints(shape, "shape")).clone()


def _range(node: ir.Node, start: Value, limit: Value, delta: Value) -> Tensor:
    ends = [known(value, "range") for value in (start, limit, delta)]
    return torch.arange(*(end.item() for end in ends), dtype=ends[0].dtype)


def _shape(node: ir.Node, x: Value) -> Tensor:
    part = slice(attribute(node, "start", 0), attribute(node, "end"))
    return torch.tensor(list(x.shape)[part], dtype=torch.int64)


HANDLERS: dict[str, Callable[..., Any]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Shape": _shape,
    "Size": lambda node, x: torch.tensor(x.shape.numel(), dtype=torch.int64),
}
