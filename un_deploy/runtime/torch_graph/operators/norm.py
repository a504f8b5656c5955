"""Normalizations, and the Softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
import torch.nn.functional as F

from un_deploy.runtime.torch_graph.operators.attributes import attribute, only
from un_deploy.runtime.torch_graph.record_calls import Value


def _layer_norm(node: ir.Node, x: Value, weight: Value, bias: Value | None = None) -> Value:
    shape = x.shape[attribute(node, "axis", -1) :]
    weight = weight if weight.shape == shape else weight.expand(shape)
    bias = bias if bias is None or bias.shape == shape else bias.expand(shape)
    return F.layer_norm(x, list(shape), weight, bias, attribute(node, "epsilon", 1e-5))


def _batch_norm(
    node: ir.Node, x: Value, weight: Value, bias: Value, mean: Value, variance: Value
) -> Value:
    only(node, "training_mode", 0)
    eps = attribute(node, "epsilon", 1e-5)
    return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)


HANDLERS: dict[str, Callable[..., Any]] = {
    "LayerNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "Softmax": lambda node, x: torch.softmax(x, attribute(node, "axis", -1)),
}
