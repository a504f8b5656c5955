"""Operators that pick elements: slices, and indices whose negative values count from the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor

from un_deploy.runtime.torch_graph.operators.attributes import attribute, only
from un_deploy.runtime.torch_graph.record_calls import Value, ints, lift


def _slice(
    node: ir.Node,
    x: Value,
    starts: Value,
    ends: Value,
    axes: Value | None = None,
    steps: Value | None = None,
) -> Value:
    first, last = ints(starts, "starts"), ints(ends, "ends")
    chosen = list(range(len(first))) if axes is None else ints(axes, "axes")
    stride = [1] * len(first) if steps is None else ints(steps, "steps")
    parts = [slice(None)] * x.ndim
    for axis, part in zip(chosen, map(slice, first, last, stride), strict=True):
        taken = range(x.shape[axis])[part]
        if taken.step > 0:
            parts[axis] = slice(taken.start, taken.stop, taken.step)
        else:  # torch has no negative steps
            x = torch.index_select(x, axis, torch.tensor(list(taken), dtype=torch.int64))
    return x[tuple(parts)] if any(part != slice(None) for part in parts) else x


def _gather(node: ir.Node, x: Value, indices: Value) -> Value:
    axis = attribute(node, "axis", 0) % x.ndim
    if isinstance(indices, Tensor) and indices.ndim == 0:
        return torch.select(x, axis, int(indices))  # a view
    if indices.dtype != torch.int64:
        indices = indices.to(torch.int64)
    return lift(x, indices)[(slice(None),) * axis + (indices,)]


def _gather_elements(node: ir.Node, x: Value, indices: Value) -> Value:
    axis = attribute(node, "axis", 0)
    indices = indices.to(torch.int64)
    return torch.gather(x, axis, torch.where(indices < 0, indices + x.shape[axis], indices))


def _gather_nd(node: ir.Node, x: Value, indices: Value) -> Value:
    only(node, "batch_dims", 0)
    columns = range(indices.shape[-1])
    return lift(x, indices)[tuple(indices[..., column].to(torch.int64) for column in columns)]


HANDLERS: dict[str, Callable[..., Any]] = {
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
}
