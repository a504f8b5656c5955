"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch

from un_deploy.errors import InputError
from un_deploy.runtime.torch_graph.operators.attributes import attribute
from un_deploy.runtime.torch_graph.operators.layout import axes_of
from un_deploy.runtime.torch_graph.record_calls import Value


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def handler(node: ir.Node, x: Value, axes: Value | None = None) -> Value:
        chosen = axes_of(node, axes, x.ndim)
        if not chosen and attribute(node, "noop_with_empty_axes", 0):
            return x
        every = list(range(x.ndim))
        if x.shape.numel() == 0:
            raise InputError("a reduction of an empty tensor is not supported")
        return function(x, chosen or every, keepdim=bool(attribute(node, "keepdims", 1)))

    return handler


HANDLERS: dict[str, Callable[..., Any]] = {
    "ReduceMean": _reduction(torch.mean),
    "ReduceSum": _reduction(torch.sum),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMin": _reduction(torch.amin),
    "GlobalAveragePool": lambda node, x: torch.mean(x, list(range(2, x.ndim)), keepdim=True),
}
