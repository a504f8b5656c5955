"""Conv and ConvTranspose of any rank: each offset in the kernel adds one product of matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Inputs,
    Unknown,
    accumulates,
    check_size,
    given,
    needed,
    of_one_type,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_real


class Window:
    """How a kernel slides: its attributes, one number an axis, and pads (begin, end) an axis."""

    def __init__(self, node: ir.Node, x: Array, kernel: Sequence[int]) -> None:
        rank = x.ndim - 2
        require(rank >= 1 and len(kernel) == rank, f"a tensor of rank {x.ndim}")
        self.kernel = tuple(kernel)
        self.strides = _ints(node, "strides", [1] * rank)
        self.dilations = _ints(node, "dilations", [1] * rank)
        self.groups = node.attributes.get_int("group", 1)
        self.auto_pad = node.attributes.get_string("auto_pad", "NOTSET")
        require(_ints(node, "kernel_shape", self.kernel) == self.kernel, "another kernel")
        require(min(*self.strides, *self.dilations, *self.kernel, self.groups) > 0, "a size of 0")
        require(self.auto_pad in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"), self.auto_pad)
        pads = _ints(node, "pads", [0] * 2 * rank)
        require(min(pads) >= 0, "negative pads")
        require(self.auto_pad == "NOTSET" or not any(pads), "pads beside auto_pad")
        self.pads = list(zip(pads[:rank], pads[rank:], strict=True))
        #: The pixels between the first and the last that the kernel touches, both counted.
        self.spans = [d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True)]

    def halved(self, total: int, upper: bool) -> tuple[int, int]:
        """A number of pads before and behind; `upper` puts the odd one behind."""
        require(total >= 0, "a kernel that leaves pixels out")
        return (total // 2, total - total // 2) if upper else (total - total // 2, total // 2)

    def find_pads(self, sizes: Sequence[int]) -> None:
        """Where SAME is wanted, the pads that give a result of ceil(size / stride)."""
        if self.auto_pad.startswith("SAME"):
            self.pads = [
                self.halved(max((-(-n // s) - 1) * s + span - n, 0), self.auto_pad == "SAME_UPPER")
                for n, s, span in zip(sizes, self.strides, self.spans, strict=True)
            ]

    def reached(self, offset: Sequence[int], counts: Sequence[int]) -> tuple[slice, ...]:
        """The pixels that this entry of the kernel meets, at so many steps along each axis."""
        steps = zip(self.dilations, offset, counts, self.strides, strict=True)
        spatial = (slice(d * o, d * o + s * (n - 1) + 1, s) for d, o, n, s in steps)
        return (slice(None), slice(None), *spatial)

    def offsets(self) -> product[tuple[int, ...]]:
        return product(*map(range, self.kernel))


def _ints(node: ir.Node, name: str, default: Sequence[int]) -> tuple[int, ...]:
    found = tuple(node.attributes.get_ints(name, default))
    require(len(found) == len(default), f"{name} {found}")
    return found


def _operands(inputs: Inputs) -> tuple[Array, Array, Array | None, np.dtype]:
    """The input, weight and bias in the type that products are added up in; the result's type."""
    x, w, b = needed(inputs, 0), needed(inputs, 1), given(inputs, 2)
    of_one_type(x, w, *(() if b is None else (b,)))
    require(is_real(x), f"numbers of {x.dtype}")
    wide = accumulates(x.dtype)
    widened = (None if a is None else a.astype(wide, copy=False) for a in (x, w, b))
    x_, w_, b_ = widened
    assert x_ is not None and w_ is not None
    return x_, w_, b_, x.dtype


def _with_bias(y: Array, b: Array | None, dtype: np.dtype) -> list[Array]:
    if b is not None:
        require(b.shape == y.shape[1:2], f"a bias of shape {b.shape}")
        y += b.reshape(-1, *[1] * (y.ndim - 2))
    return [y.astype(dtype, copy=False)]


def _conv(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, w, b, dtype = _operands(inputs)
    window = Window(node, x, w.shape[2:])
    groups, per_group, channels = window.groups, w.shape[1], w.shape[0]
    require(x.shape[1] == groups * per_group and channels % groups == 0, "channels do not fit")
    window.find_pads(x.shape[2:])
    sizes = [n + sum(pads) for n, pads in zip(x.shape[2:], window.pads, strict=True)]
    counts = [
        (n - span) // s + 1 for n, span, s in zip(sizes, window.spans, window.strides, strict=True)
    ]
    require(min(counts) > 0, "no room for its kernel")
    check_size((*x.shape[:2], *sizes), x.dtype)
    check_size((len(x), channels, *counts), x.dtype)
    x = np.pad(x, [(0, 0), (0, 0), *window.pads])
    weight = _by_offset(w.reshape(groups, channels // groups, per_group, *window.kernel))
    places = math.prod(counts)
    y = np.zeros((len(x), groups, channels // groups, places), x.dtype)
    for offset in window.offsets():
        pixels = x[window.reached(offset, counts)]
        y += weight[offset] @ pixels.reshape(len(x), groups, per_group, places)
    return _with_bias(y.reshape(len(x), channels, *counts), b, dtype)


def _conv_transpose(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x, w, b, dtype = _operands(inputs)
    window = Window(node, x, w.shape[2:])
    groups, per_group, rank = window.groups, w.shape[1], x.ndim - 2
    require(x.shape[1] == w.shape[0] and w.shape[0] % groups == 0, "channels do not fit")
    longer = _ints(node, "output_padding", [0] * rank)
    require(min(longer) >= 0 and min(x.shape[2:]) > 0, "a size that is negative, or zero")
    sizes = [
        s * (n - 1) + span + more
        for s, n, span, more in zip(window.strides, x.shape[2:], window.spans, longer, strict=True)
    ]
    channels, places = per_group * groups, math.prod(x.shape[2:])
    columns = x.reshape(len(x), groups, len(w) // groups, places)
    grouped = w.reshape(groups, len(w) // groups, per_group, *window.kernel)
    weight = _by_offset(grouped.swapaxes(1, 2))
    check_size((len(x), channels, *sizes), x.dtype)
    y = np.zeros((len(x), channels, *sizes), x.dtype)
    for offset in window.offsets():
        part = weight[offset] @ columns
        y[window.reached(offset, x.shape[2:])] += part.reshape(len(x), channels, *x.shape[2:])
    pads = _cut_off(node, window, x.shape[2:], sizes)
    cuts = [slice(begin, n - end) for n, (begin, end) in zip(sizes, pads, strict=True)]
    require(all(cut.stop > cut.start for cut in cuts), "pads that leave nothing")
    kept = (slice(None), slice(None), *cuts)
    return _with_bias(np.ascontiguousarray(y[kept]), b, dtype)


def _by_offset(weight: Array) -> Array:
    """From (groups, to, from, *kernel) to (*kernel, groups, to, from), one matrix after another."""
    return np.ascontiguousarray(np.moveaxis(weight, (0, 1, 2), (-3, -2, -1)))


def _cut_off(
    node: ir.Node, window: Window, sizes: Sequence[int], full: Sequence[int]
) -> list[tuple[int, int]]:
    """What is cut off at both ends; by a wanted size, where one is stated or SAME is."""
    if "output_shape" in node.attributes:
        wanted = _ints(node, "output_shape", full)
    elif window.auto_pad.startswith("SAME"):
        wanted = tuple(n * s for n, s in zip(sizes, window.strides, strict=True))
    else:
        return window.pads
    if any(any(pads) for pads in window.pads):
        raise Unknown("pads beside a wanted size")
    upper = window.auto_pad == "SAME_UPPER"
    return [window.halved(n - size, upper) for n, size in zip(full, wanted, strict=True)]


EVALUATORS = {
    "Conv": since(1, _conv, "auto_pad dilations group kernel_shape pads strides"),
    "ConvTranspose": since(
        1,
        _conv_transpose,
        "auto_pad dilations group kernel_shape output_padding output_shape pads strides",
    ),
}
