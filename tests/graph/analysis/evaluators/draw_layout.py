"""Settings of what moves elements, joins, cuts and picks them, and of what makes sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import numpy_helper

from tests.graph.analysis.evaluators.setting import INTEGERS, Draw, Setting


def _ints(numbers: Any) -> np.ndarray:
    return np.array(numbers, np.int64)


def _data(draw: Draw, low: int = 0, high: int = 4) -> np.ndarray:
    return draw.array(draw.shape(low, high), draw.type())


def _in_numpy(draw: Draw, low: int) -> np.ndarray:
    """Of a type that ONNX Runtime takes, where the reference is often wrong."""
    kind = draw.type(among=("float32", "float64", "float16", *INTEGERS, "bool"))
    return draw.array(draw.shape(low, 4), kind)


def _alone(draw: Draw) -> Setting:
    return Setting(draw.op, draw.opset, [_data(draw)])


def _dropout(draw: Draw) -> Setting:
    x = draw.array(draw.shape(), draw.type())
    if draw.opset < 12:
        return Setting("Dropout", draw.opset, [x], {"ratio": 0.3} if draw.chance(0.5) else {})
    ratio = np.array(0.3, np.float32) if draw.chance(0.5) else None
    training = np.array(False) if draw.chance(0.5) else None
    return Setting("Dropout", draw.opset, [x, ratio, training])


def _transpose(draw: Draw) -> Setting:
    x = _data(draw)
    perm = {"perm": draw.rng.permutation(x.ndim).tolist()} if x.ndim and draw.chance(0.7) else {}
    return Setting("Transpose", draw.opset, [x], perm)


def _reshape(draw: Draw) -> Setting:
    x = _data(draw)
    means_zero = draw.opset >= 14 and draw.chance(0.3)
    shape = _regrouped(draw, x.shape)
    if not means_zero:  # a 0 copies the size
        shape = list(x.shape) if not x.size else shape
        same = [i < x.ndim and n == x.shape[i] for i, n in enumerate(shape)]
        shape = [0 if s and draw.chance(0.3) else n for s, n in zip(same, shape, strict=True)]
    if x.size and shape and draw.chance(0.4):
        shape[draw.number(0, len(shape) - 1)] = -1
    given = {"allowzero": 1} if means_zero else {}
    return Setting("Reshape", draw.opset, [x, _ints(shape)], given)


def _regrouped(draw: Draw, shape: tuple[int, ...]) -> list[int]:
    """Some neighbours merged, some split, ones put in."""
    found: list[int] = []
    for size in shape:
        if found and size and found[-1] and draw.chance(0.3):
            found[-1] *= size
        elif size == 4 and draw.chance(0.4):
            found += [2, 2]
        else:
            found.append(size)
        if draw.chance(0.15):
            found.append(1)
    return found


def _flatten(draw: Draw) -> Setting:
    x = _in_numpy(draw, 0)
    low = -x.ndim if draw.opset >= 11 else 0
    given = {"axis": draw.number(low, x.ndim)} if x.ndim == 0 or draw.chance(0.8) else {}
    return Setting("Flatten", draw.opset, [x], given)


def _with_axes(draw: Draw, x: np.ndarray, axes: list[int] | None) -> Setting:
    """As an attribute up to opset 12, as an input later."""
    if axes is None:
        return Setting(draw.op, draw.opset, [x])
    if draw.opset < 13:
        return Setting(draw.op, draw.opset, [x], {"axes": axes})
    return Setting(draw.op, draw.opset, [x, _ints(axes)])


def _squeeze(draw: Draw) -> Setting:
    ones = draw.number(1, 3)
    shape = [*draw.shape(0, 2), *[1] * ones]
    shape = [shape[i] for i in draw.rng.permutation(len(shape))]
    x = draw.array(shape, draw.type())
    if draw.chance(0.25):
        return _with_axes(draw, x, None)
    single = [axis for axis, size in enumerate(shape) if size == 1]
    chosen = draw.rng.permutation(single)[: draw.number(1, len(single))]
    axes = [int(a) - (len(shape) if draw.chance(0.5) else 0) for a in chosen]
    return _with_axes(draw, x, axes)


def _unsqueeze(draw: Draw) -> Setting:
    x, count = _data(draw, 0, 3), draw.number(1, 3)
    return _with_axes(draw, x, draw.axes(x.ndim + count, count))


def _expand(draw: Draw) -> Setting:
    a, b = draw.two_shapes()
    return Setting("Expand", draw.opset, [draw.array(a, draw.type()), _ints(b).reshape(-1)])


def _concat(draw: Draw) -> Setting:
    shape, kind = draw.shape(1, 4), draw.type()
    axis, parts = draw.axis(len(shape)), []
    for _ in range(draw.number(1, 4)):
        own = list(shape)
        own[axis] = draw.number(0, 4)
        parts.append(draw.array(own, kind))
    return Setting("Concat", draw.opset, parts, {"axis": axis})


def _split(draw: Draw) -> Setting:
    shape, count = list(draw.shape(1, 4)), draw.number(1, 4)
    axis = draw.axis(len(shape))
    given = {"axis": axis} if axis or draw.chance(0.5) else {}
    sizes = [draw.number(0, 3) for _ in range(count)]
    stated = draw.chance(0.5)
    if stated:
        shape[axis] = sum(sizes)
    elif draw.opset >= 18:
        shape[axis] = draw.number(
            (count - 1) ** 2 + 1, (count - 1) ** 2 + 9
        )  # leaves no part empty
        given["num_outputs"] = count
    else:
        shape[axis] = draw.number(0, 3) * count
    x = draw.array(shape, draw.type())
    if stated and draw.opset < 13:
        return Setting("Split", draw.opset, [x], {**given, "split": sizes}, count)
    inputs = [x, _ints(sizes)] if stated else [x]
    return Setting("Split", draw.opset, inputs, given, count)


def _gather(draw: Draw) -> Setting:
    shape = draw.shape(1, 4, empty=0)
    axis = draw.axis(len(shape))
    rows = draw.rng.integers(-shape[axis], shape[axis], draw.shape(0, 2))
    kind = draw.among([np.int64, np.int32])
    given = {"axis": axis} if axis or draw.chance(0.5) else {}
    return Setting("Gather", draw.opset, [draw.array(shape, draw.type()), rows.astype(kind)], given)


def _slice(draw: Draw) -> Setting:
    x = _in_numpy(draw, 1)
    axes = draw.axes(x.ndim, draw.number(1, x.ndim))
    if draw.chance(0.3):
        axes = list(range(len(axes)))
    far = [-(2**62), 2**31 - 1, 2**62] if draw.opset >= 10 else [2**31 - 1]
    starts, ends = (
        [draw.among(far) if draw.chance(0.15) else draw.number(-7, 7) for _ in axes]
        for _ in range(2)
    )
    steps = [draw.among([1, 2, 3, -1, -2, -3]) for _ in axes] if draw.chance(0.6) else None
    # Backwards, "to the end" in 32 bits is one thing to ONNX Runtime and another to ONNX.
    open_ends = [
        steps is not None and steps[i] < 0 and ends[i] == 2**31 - 1 for i in range(len(axes))
    ]
    ends = [0 if is_open else end for end, is_open in zip(ends, open_ends, strict=True)]
    whole = axes == list(range(len(axes))) and draw.chance(0.5)
    if draw.opset < 10:
        given = {"starts": starts, "ends": ends} | ({} if whole else {"axes": axes})
        return Setting("Slice", draw.opset, [x], given)
    named, strides = None if whole else _ints(axes), None if steps is None else _ints(steps)
    return Setting("Slice", draw.opset, [x, _ints(starts), _ints(ends), named, strides])


def _constant(draw: Draw) -> Setting:
    value = draw.array(draw.shape(), draw.type_of_output())
    plain = {
        "value_float": 0.7,
        "value_floats": [0.1, 2.0],
        "value_int": -3,
        "value_ints": [3, -1, 2**40],
    }
    if draw.opset >= 12 and draw.chance(0.5):
        name = draw.among(sorted(plain))
        return Setting("Constant", draw.opset, [], {name: plain[name]})
    return Setting("Constant", draw.opset, [], {"value": numpy_helper.from_array(value)})


def _constant_of_shape(draw: Draw) -> Setting:
    given: dict[str, Any] = {}
    if draw.chance(0.7):
        kind = draw.type_of_output()
        given["value"] = numpy_helper.from_array(draw.array((1,), kind))
    return Setting("ConstantOfShape", draw.opset, [_ints(draw.shape()).reshape(-1)], given)


def _shape(draw: Draw) -> Setting:
    given = {}
    if draw.opset >= 15:
        given = {n: draw.number(-6, 6) for n in ("start", "end") if draw.chance(0.5)}
    return Setting("Shape", draw.opset, [_data(draw)], given)


DRAWN = {
    **dict.fromkeys(("Identity", "Size"), _alone),
    "Dropout": _dropout,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Concat": _concat,
    "Split": _split,
    "Gather": _gather,
    "Slice": _slice,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Shape": _shape,
}
