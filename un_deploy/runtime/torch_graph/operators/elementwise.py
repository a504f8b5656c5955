"""Operators on each element alone, with ONNX's (that is numpy's) broadcasting."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
import torch.nn.functional as F
from torch import Tensor

from un_deploy.runtime.torch_graph.operators.attributes import attribute, only
from un_deploy.runtime.torch_graph.record_calls import Traced, Value, lift
from un_deploy.runtime.torch_graph.tensors import torch_dtype


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """A handler that is one torch call on the inputs as they are."""
    return lambda node, *inputs: function(*inputs)


def _binary(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, a, b: function(_operand(a, b), _operand(b, a))


def _operand(value: Value, other: Value) -> Any:
    """A Python number instead of a constant with one element: it costs the kernel no reading."""
    if isinstance(value, Tensor) and isinstance(other, Traced):
        if value.numel() == 1 and value.ndim <= other.ndim:
            return value.item()
        return lift(value, other)
    return value


def _divide(node: ir.Node, a: Value, b: Value) -> Value:
    if a.dtype.is_floating_point:
        return _operand(a, b) / _operand(b, a)
    return torch.div(a, b, rounding_mode="trunc")


def _power(node: ir.Node, x: Value, exponent: Value) -> Value:
    power = _operand(x, exponent) ** _operand(exponent, x)
    return power if power.dtype == x.dtype else power.to(x.dtype)


def _modulo(node: ir.Node, a: Value, b: Value) -> Value:
    return torch.fmod(a, b) if attribute(node, "fmod", 0) else torch.remainder(a, b)


def _fold(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, *inputs: functools.reduce(function, inputs)


def _cast(node: ir.Node, x: Value) -> Value:
    dtype = torch_dtype(ir.DataType(attribute(node, "to")))
    return x if x.dtype == dtype else x.to(dtype)


def _clip(node: ir.Node, x: Value, low: Value | None = None, high: Value | None = None) -> Value:
    if low is not None:
        x = torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def _gelu(node: ir.Node, x: Value) -> Value:
    """Without recognition too, since its parts are no operators of the graph."""
    return F.gelu(x, approximate=only(node, "approximate", "none", "tanh"))


HANDLERS: dict[str, Callable[..., Any]] = {
    "Add": _binary(operator.add),
    "Sub": _binary(operator.sub),
    "Mul": _binary(operator.mul),
    "Div": _divide,
    "Pow": _power,
    "Mod": _modulo,
    "Equal": _binary(operator.eq),
    "Greater": _binary(operator.gt),
    "GreaterOrEqual": _binary(operator.ge),
    "Less": _binary(operator.lt),
    "LessOrEqual": _binary(operator.le),
    "And": _binary(torch.logical_and),
    "Or": _binary(torch.logical_or),
    "Not": plain(torch.logical_not),
    "Where": plain(torch.where),
    "Max": _fold(torch.maximum),
    "Min": _fold(torch.minimum),
    "Abs": plain(torch.abs),
    "Neg": plain(torch.neg),
    "Sqrt": plain(torch.sqrt),
    "Reciprocal": plain(torch.reciprocal),
    "Exp": plain(torch.exp),
    "Log": plain(torch.log),
    "Erf": plain(torch.erf),
    "Tanh": plain(torch.tanh),
    "Sigmoid": plain(torch.sigmoid),
    "Relu": plain(torch.relu),
    "IsNaN": plain(torch.isnan),
    "Identity": plain(lambda x: x),
    "Cast": _cast,
    "Clip": _clip,
    "Gelu": _gelu,
}
