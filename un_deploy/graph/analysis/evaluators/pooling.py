"""AveragePool and MaxPool of any rank, over windows and over all places, Resize and Upsample."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.convolution import Window
from un_deploy.graph.analysis.evaluators.evaluator import (
    Array,
    Compute,
    Evaluator,
    Inputs,
    accumulates,
    axes_of,
    check_size,
    given,
    listed,
    needed,
    require,
    since,
)
from un_deploy.graph.analysis.floating import is_real


def _window(node: ir.Node, x: Array) -> tuple[Window, list[int]]:
    """The window with its pads, and how many steps it takes along each axis."""
    window = Window(node, x, tuple(node.attributes.get_ints("kernel_shape")))
    window.find_pads(x.shape[2:])
    ceil = node.attributes.get_int("ceil_mode", 0) != 0
    require(not ceil or window.auto_pad == "NOTSET", "runtimes differ on how many steps it takes")
    counts = []
    for n, (begin, end), span, s in zip(
        x.shape[2:], window.pads, window.spans, window.strides, strict=True
    ):
        room = n + begin + end - span
        require(room >= 0, "no room for its window")
        steps = (-(-room // s) if ceil else room // s) + 1
        # A last window that begins behind the image is none.
        counts.append(steps - 1 if ceil and (steps - 1) * s >= n + begin else steps)
    return window, counts


def _padded(x: Array, window: Window, counts: Sequence[int], fill: float) -> Array:
    """The image and what the windows reach around it."""
    reached = [
        (n - 1) * s + span for n, s, span in zip(counts, window.strides, window.spans, strict=True)
    ]
    pads = [
        (begin, max(end, reach - begin - n))
        for (begin, end), reach, n in zip(window.pads, reached, x.shape[2:], strict=True)
    ]
    check_size((*x.shape[:2], *reached), x.dtype)
    return np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)


def _average_pool(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    require(is_real(x), f"a mean of {x.dtype}")
    ceil, padded = (node.attributes.get_int(n, 0) for n in ("ceil_mode", "count_include_pad"))
    require(not (ceil and padded), "runtimes differ on what it counts beyond the border")
    window, counts = _window(node, x)
    wide, inside = x.astype(accumulates(x.dtype), copy=False), np.ones((1, 1, *x.shape[2:]))
    if padded:
        inside = np.pad(inside, [(0, 0), (0, 0), *window.pads], constant_values=1.0)
        all_padded = Window(node, x, window.kernel)
        all_padded.pads = [(0, 0)] * len(counts)
    else:
        all_padded = window
    places, ones = _padded(wide, window, counts, 0.0), _padded(inside, all_padded, counts, 0.0)
    total = sum(places[window.reached(offset, counts)] for offset in window.offsets())
    number = sum(ones[window.reached(offset, counts)] for offset in window.offsets())
    require(np.all(np.asarray(number) > 0), "a mean of nothing")
    return [np.asarray(total / np.asarray(number).astype(wide.dtype)).astype(x.dtype)]


def _max_pool(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    x = needed(inputs)
    require(is_real(x), f"a maximum of {x.dtype}")
    require(not any(v.uses() or v.is_graph_output() for v in node.outputs[1:]), "it tells places")
    window, counts = _window(node, x)
    places = _padded(x, window, counts, -np.inf)
    found = np.full((*x.shape[:2], *counts), -np.inf, x.dtype)
    for offset in window.offsets():
        found = np.maximum(found, places[window.reached(offset, counts)])
    return [found]


def _over_all(function: Callable[..., Array]) -> Compute:
    def compute(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
        x = needed(inputs)
        require(is_real(x) and x.ndim > 2 and x.size, "no image of real numbers")
        return [function(x, tuple(range(2, x.ndim)))]

    return compute


def _mean(x: Array, axes: tuple[int, ...]) -> Array:
    return np.mean(x, axes, dtype=accumulates(x.dtype), keepdims=True).astype(x.dtype)


def _maximum(x: Array, axes: tuple[int, ...]) -> Array:
    return np.max(x, axes, keepdims=True)


def _resize(node: ir.Node, inputs: Inputs, opset: int) -> list[Array]:
    """One axis after the other; where rounding could pick another pixel it is unknown."""
    x = needed(inputs)
    require(is_real(x), f"numbers of {x.dtype}")
    mode = node.attributes.get_string("mode", "nearest")
    require(mode in ("nearest", "linear", "cubic"), f"the mode {mode}")
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    require(policy == "stretch" and not node.attributes.get_int("antialias", 0), "it is smoothed")
    how, old = coordinates(node, opset), opset < 11
    y = x.astype(accumulates(x.dtype), copy=False)
    for axis, size, factor in _targets(node, inputs, opset, x):
        n = x.shape[axis]
        require(n and size, "an empty axis")
        if (size, factor) == (n, 1.0):
            continue
        check_size((*y.shape[:axis], size, *y.shape[axis + 1 :]), y.dtype)
        at = _places(how, n, size, factor)
        if mode != "nearest":
            y = _linear(y, axis, at) if mode == "linear" else _cubic(node, y, axis, at)
            continue
        require(factor >= 1 or not old, "what is nearest in fewer places, before opset 11")
        rounds = node.attributes.get_string("nearest_mode", "round_prefer_floor")
        y = _nearest("floor" if old else rounds, y, axis, at)
    return [y.astype(x.dtype, copy=False)]


def _targets(node: ir.Node, inputs: Inputs, opset: int, x: Array) -> list[tuple[int, int, float]]:
    """Axis, its new size and the factor by which it grows."""
    scales, sizes = given(inputs, 2), given(inputs, 3)
    if opset < 11:
        factors = node.attributes.get_floats("scales")  # of Upsample, up to opset 8
        scales = given(inputs, 1) if factors is None else np.array(factors, np.float32)
    named = list(node.attributes.get_ints("axes", range(x.ndim)))
    axes = axes_of(named, x.ndim)
    if sizes is not None and sizes.size:
        wanted = listed(sizes)
        return [(axis, size, size / x.shape[axis]) for axis, size in zip(axes, wanted, strict=True)]
    require(scales is not None and scales.size == len(axes), "its sizes are not stated")
    assert scales is not None
    return [
        (axis, math.floor(x.shape[axis] * float(factor)), float(factor))
        for axis, factor in zip(axes, scales, strict=True)
    ]


def coordinates(node: ir.Node, opset: int) -> str:
    """How a Resize or an Upsample finds its places; before opset 11 there was one way."""
    default = "half_pixel" if opset >= 11 else "asymmetric"
    return str(node.attributes.get_string("coordinate_transformation_mode", default))


def _places(how: str, n: int, size: int, factor: float) -> Array:
    """Where in the old axis each entry of the new one lies."""
    at = np.arange(size, dtype=np.float64)
    whole = size == n * factor or factor == size / n
    if how == "asymmetric":
        return at / factor
    if how == "align_corners":
        require(whole, "corners of a size that was cut")
        return at * (n - 1) / (size - 1) if size > 1 else np.zeros(1)
    require(how in ("half_pixel", "pytorch_half_pixel"), f"coordinates by {how}")
    if how == "pytorch_half_pixel" and size == 1:
        require(whole, "one entry of a size that was cut")
        return np.zeros(1)
    return (at + 0.5) / factor - 0.5


def _nearest(how: str, x: Array, axis: int, at: Array) -> Array:
    if how == "floor":
        edges, picked = at, np.floor(at)
    elif how == "ceil":
        edges, picked = at, np.ceil(at)
    else:
        edges = at - 0.5
        picked = np.ceil(edges) if how == "round_prefer_floor" else np.floor(at + 0.5)
    near = np.abs(edges - np.round(edges))
    require(np.all((near == 0) | (near > 1e-4)), "it rounds numbers that are nearly whole")
    return np.take(x, np.clip(picked, 0, x.shape[axis] - 1).astype(np.int64), axis)


def _linear(x: Array, axis: int, at: Array) -> Array:
    at = np.clip(at, 0, x.shape[axis] - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    part = (at - low).astype(x.dtype).reshape(-1, *[1] * (x.ndim - axis - 1))
    return np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part


def _cubic(node: ir.Node, x: Array, axis: int, at: Array) -> Array:
    """From the four places around each; beyond the border its last number goes on."""
    require(not node.attributes.get_int("exclude_outside", 0), "runtimes differ at the border")
    n, a = x.shape[axis], node.attributes.get_float("cubic_coeff_a", -0.75)
    around = np.floor(at)[:, None] + np.arange(-1, 3)
    t = np.abs(at[:, None] - around)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    weights = np.where(t <= 1, near, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a)
    matrix = np.zeros((len(at), n))
    rows = np.broadcast_to(np.arange(len(at))[:, None], around.shape)
    np.add.at(matrix, (rows, np.clip(around, 0, n - 1).astype(np.int64)), weights)
    return np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T.astype(x.dtype), -1, axis)


_POOL = "auto_pad ceil_mode dilations kernel_shape pads strides"
_RESIZE = """antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside
    extrapolation_value keep_aspect_ratio_policy mode nearest_mode"""

EVALUATORS = {
    "AveragePool": since(7, _average_pool, f"{_POOL} count_include_pad"),
    "MaxPool": since(1, _max_pool, f"{_POOL} storage_order"),
    "GlobalAveragePool": since(1, _over_all(_mean)),
    "GlobalMaxPool": since(1, _over_all(_maximum)),
    "Resize": since(10, _resize, _RESIZE),
    "Upsample": Evaluator(_resize, (7, 9), frozenset(("mode", "scales"))),
}
