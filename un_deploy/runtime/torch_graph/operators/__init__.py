"""The operators that torch runs: one table, a file per family.

A handler takes the ONNX node and its inputs (None where an optional one is absent) and makes
torch calls. On constants these compute, on traced values they are recorded: the same code does
both, so whatever depends on constants and shapes alone is gone from the graph.

- attributes: Attributes of a node, with their defaults.
- elementwise: Operators on each element alone, with ONNX's (that is numpy's) broadcasting.
- layout: Operators that only move elements: reshape, transpose, concatenate, split, pad, repeat.
- linear: Matrix products, convolutions, and attention as one operator.
- norm: Normalizations, and the Softmax.
- reduce: Reductions over axes.
- select: Operators that pick elements: slices, and indices whose negative values count from the
  end.
- source: Operators that make tensors from nothing but sizes: constants, ranges, shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from un_deploy.runtime.torch_graph.operators import (
    elementwise,
    layout,
    linear,
    norm,
    reduce,
    select,
    source,
)

Handler = Callable[..., Any]

HANDLERS: dict[str, Handler] = {
    **source.HANDLERS,
    **elementwise.HANDLERS,
    **layout.HANDLERS,
    **select.HANDLERS,
    **reduce.HANDLERS,
    **linear.HANDLERS,
    **norm.HANDLERS,
}
"""By operator of ONNX's default domain; opset 13 and later."""

OLDEST_OPSET = 13
