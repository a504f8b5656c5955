"""Matrix products, convolutions, and attention as one operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
import torch.nn.functional as F

from un_deploy.errors import InputError
from un_deploy.runtime.torch_graph.operators.attributes import attribute, only
from un_deploy.runtime.torch_graph.operators.elementwise import plain
from un_deploy.runtime.torch_graph.record_calls import Value


def _gemm(node: ir.Node, a: Value, b: Value, c: Value | None = None) -> Value:
    a = a.t() if attribute(node, "transA", 0) else a
    b = b.t() if attribute(node, "transB", 0) else b
    alpha, beta = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
    if c is None:
        return torch.matmul(a, b) * alpha
    return torch.addmm(c, a, b, alpha=alpha, beta=beta)


def _pads(node: ir.Node, axes: int) -> tuple[list[int], list[int]]:
    """At the beginning and at the end of each axis of the image."""
    pads = attribute(node, "pads", [0] * 2 * axes)
    return pads[:axes], pads[axes:]


def _conv(node: ir.Node, x: Value, weight: Value, bias: Value | None = None) -> Value:
    only(node, "auto_pad", "NOTSET", "VALID")
    axes = x.ndim - 2
    before, after = _pads(node, axes)
    if before != after:
        last_first = zip(reversed(before), reversed(after), strict=True)
        widths = [width for pair in last_first for width in pair]
        x, before = F.pad(x, widths), [0] * axes
    return (F.conv1d, F.conv2d, F.conv3d)[axes - 1](
        x,
        weight,
        bias,
        stride=attribute(node, "strides", [1] * axes),
        padding=before,
        dilation=attribute(node, "dilations", [1] * axes),
        groups=attribute(node, "group", 1),
    )


def _conv_transpose(node: ir.Node, x: Value, weight: Value, bias: Value | None = None) -> Value:
    only(node, "auto_pad", "NOTSET", "VALID")
    only(node, "output_shape", None)
    axes = x.ndim - 2
    before, after = _pads(node, axes)
    alike = before == after
    y = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[axes - 1](
        x,
        weight,
        bias,
        stride=attribute(node, "strides", [1] * axes),
        padding=before if alike else 0,
        output_padding=attribute(node, "output_padding", [0] * axes),
        groups=attribute(node, "group", 1),
        dilation=attribute(node, "dilations", [1] * axes),
    )
    if alike:
        return y
    ends = zip(before, after, y.shape[2:], strict=True)
    kept = [slice(None)] * 2 + [slice(first, size - last) for first, last, size in ends]
    return y[tuple(kept)]


_ATTENTION_ATTRIBUTES = {"scale", "is_causal", "softcap", "qk_matmul_output_mode"}


def _attention(
    node: ir.Node, query: Value, key: Value, value: Value, mask: Value | None = None, *cache: Any
) -> Value:
    """Heads on an axis of their own, no cache of past keys, no soft cap.

    A row whose mask forbids every key is 0 here and not NaN.
    """
    unknown = set(node.attributes) - _ATTENTION_ATTRIBUTES
    if unknown:
        raise InputError(f"the attribute {min(unknown)} is not supported")
    only(node, "softcap", 0.0)
    only(node, "qk_matmul_output_mode", 0)
    if query.ndim != 4 or any(past is not None for past in cache):
        raise InputError("only heads on an axis of their own, without past keys, are supported")
    causal = bool(attribute(node, "is_causal", 0))
    if causal and mask is not None:
        raise InputError("a mask beside is_causal is not supported")
    if mask is not None and mask.shape[-1] != key.shape[-2]:
        raise InputError("a mask shorter than the keys is not supported")
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        is_causal=causal,
        scale=attribute(node, "scale"),
        enable_gqa=query.shape[1] != key.shape[1],
    )


HANDLERS: dict[str, Callable[..., Any]] = {
    "MatMul": plain(torch.matmul),
    "Gemm": _gemm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Einsum": lambda node, *inputs: torch.einsum(attribute(node, "equation"), *inputs),
    "Attention": _attention,
}
