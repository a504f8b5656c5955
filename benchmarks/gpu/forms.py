"""Other ways to write a norm, made of an imported graph so that all else stays as it is."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx


def separate_layer_norm(module: fx.GraphModule) -> tuple[fx.GraphModule, int]:
    """Layer Normalization as one kernel for each step: nine in place of one.

    Returns:
        A module that shares the weights, and how many norms were replaced.
    """
    graph = copy.deepcopy(module.graph)
    found = [node for node in graph.nodes if node.target is F.layer_norm]
    for node in found:
        x, _, weight, bias, eps = _layer_norm_arguments(node)
        with graph.inserting_before(node):
            mean = graph.call_method("mean", (x, -1, True))
            centred = graph.call_function(torch.sub, (x, mean))
            square = graph.call_function(torch.mul, (centred, centred))
            variance = graph.call_method("mean", (square, -1, True))
            shifted = graph.call_function(torch.add, (variance, eps))
            root = graph.call_function(torch.sqrt, (shifted,))
            y = graph.call_function(torch.div, (centred, root))
            y = graph.call_function(torch.mul, (y, weight))
            y = graph.call_function(torch.add, (y, bias))
        node.replace_all_uses_with(y)
        graph.erase_node(node)
    return fx.GraphModule(module, graph), len(found)


def _layer_norm_arguments(node: fx.Node) -> list[Any]:
    names = inspect.signature(F.layer_norm).parameters
    given = dict(zip(names, node.args, strict=False)) | node.kwargs
    return [given[name] for name in names]


def as_addcmul(module: fx.GraphModule) -> tuple[fx.GraphModule, int]:
    """x * scale + shift, where both vary per channel, as one call of addcmul.

    Returns:
        A module that shares the weights, and how many norms were replaced.
    """
    graph = copy.deepcopy(module.graph)
    replaced = 0
    for node in list(graph.nodes):
        mul, shift = _product_and_shift(module, node)
        if mul is None or len(mul.users) != 1:
            continue
        x, scale = _input_and_vector(module, mul)
        if x is None:
            continue
        with graph.inserting_before(node):
            y = graph.call_function(torch.addcmul, (shift, x, scale))
        node.replace_all_uses_with(y)
        graph.erase_node(node)
        graph.erase_node(mul)
        replaced += 1
    return fx.GraphModule(module, graph), replaced


def _product_and_shift(
    module: fx.GraphModule, node: fx.Node
) -> tuple[fx.Node | None, fx.Node | None]:
    if _operator(node) != "add":
        return None, None
    mul, shift = _input_and_vector(module, node)
    return (mul, shift) if mul is not None and _operator(mul) == "mul" else (None, None)


def _input_and_vector(
    module: fx.GraphModule, node: fx.Node
) -> tuple[fx.Node | None, fx.Node | None]:
    """The operand that is computed, and the one that is a vector of constants."""
    nodes = [argument for argument in node.args if isinstance(argument, fx.Node)]
    for x, vector in (nodes, nodes[::-1]) if len(nodes) == 2 else ():
        if x.op != "get_attr" and vector.op == "get_attr":
            tensor = getattr(module, str(vector.target))
            if isinstance(tensor, Tensor) and tensor.numel() == tensor.shape[-1] > 1:
                return x, vector
    return None, None


def _operator(node: fx.Node) -> str:
    return getattr(node.target, "__name__", "") if node.op == "call_function" else ""
