"""Settings of what pools, pads, repeats, resizes and regroups places, and looks them up."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.graph.analysis.evaluators.setting import REALS, Draw, Setting

_IN_NUMPY = ("float32", "float64", "float16")


def _ints(numbers: Any) -> np.ndarray:
    return np.array(numbers, np.int64)


def _image(draw: Draw, rank: int, low: int, high: int, kind: np.dtype) -> np.ndarray:
    sizes = [draw.number(low, high) for _ in range(rank)]
    return draw.array((draw.number(1, 2), draw.number(1, 3), *sizes), kind)


def _pool(draw: Draw) -> Setting:
    rank = draw.among([1, 2, 2, 3])
    kernel = [draw.number(1, 3) for _ in range(rank)]
    given: dict[str, Any] = {"kernel_shape": kernel}
    if draw.chance(0.6):
        given["strides"] = [draw.number(1, 3) for _ in range(rank)]
    if draw.opset >= (19 if draw.op == "AveragePool" else 10) and draw.chance(0.4):
        given["dilations"] = [draw.number(1, 2) for _ in range(rank)]
    how = draw.among(["pads", "none", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
    if how.startswith("SAME"):  # a window below its stride leaves places out
        given.pop("dilations", None)
        given["strides"] = [draw.number(1, n) for n in kernel]
    if how in ("pads", "NOTSET"):
        given["pads"] = [draw.number(0, n - 1) for n in kernel] * 2
    if how.isupper():
        given["auto_pad"] = how
    if draw.opset >= 10 and how in ("pads", "none", "NOTSET") and draw.chance(0.3):
        given["ceil_mode"] = 1
    if draw.op == "AveragePool" and draw.chance(0.5):
        given["count_include_pad"] = draw.number(0, 0 if "ceil_mode" in given else 1)
    # Of a maximum one judge is wrong, and the other one has few types at early opsets.
    one_judge = draw.op == "MaxPool" or given.keys() & {"ceil_mode", "dilations"}
    kind = draw.type(among=("float32",) if one_judge else _IN_NUMPY)
    return Setting(draw.op, draw.opset, [_image(draw, rank, 6, 9, kind)], given)


def _global(draw: Draw) -> Setting:
    kind = draw.type(among=("float32",) if draw.op == "GlobalMaxPool" else REALS)
    return Setting(draw.op, draw.opset, [_image(draw, draw.number(1, 3), 1, 4, kind)])


def _tile(draw: Draw) -> Setting:
    x = draw.array(draw.shape(1, 3, empty=0), draw.type())
    return Setting("Tile", draw.opset, [x, _ints([draw.number(1, 3) for _ in x.shape])])


def _pad(draw: Draw) -> Setting:
    modes = ["constant", "constant", "reflect", "edge"] + ["wrap"] * (draw.opset >= 19)
    mode = draw.among(modes)
    x = draw.array(draw.shape(1, 4, empty=0), draw.type(among=_IN_NUMPY))
    given: dict[str, Any] = {"mode": mode} if mode != "constant" or draw.chance(0.5) else {}
    axes = list(range(x.ndim))
    named = draw.opset >= 18 and draw.chance(0.5)
    if named:
        axes = draw.axes(x.ndim, draw.number(1, x.ndim))
    most = {"reflect": [x.shape[a] - 1 for a in axes], "wrap": [x.shape[a] for a in axes]}
    bounds = most.get(mode, [3] * len(axes))
    least = [-(x.shape[a] // 3) if mode == "constant" else 0 for a in axes]
    pads = [
        draw.number(low, high) for _ in range(2) for low, high in zip(least, bounds, strict=True)
    ]
    if draw.opset < 11:
        value = {"value": 0.5} if draw.chance(0.5) else {}
        return Setting("Pad", draw.opset, [x], {**given, "pads": pads, **value})
    fill = np.array(0.5, x.dtype) if mode == "constant" and draw.chance(0.5) else None
    inputs: list[Any] = [x, _ints(pads), fill]
    return Setting("Pad", draw.opset, [*inputs, _ints(axes)] if named else inputs, given)


def _space(draw: Draw) -> Setting:
    block, kind = draw.number(1, 3), draw.type(among=("float32", "float64"))
    channels, h, w = (draw.number(1, 3) for _ in range(3))
    given: dict[str, Any] = {"blocksize": block}
    if draw.op == "SpaceToDepth":
        shape = (draw.number(1, 2), channels, h * block, w * block)
    else:
        shape = (draw.number(1, 2), channels * block * block, h, w)
        if draw.opset >= 11 and draw.chance(0.6):
            given["mode"] = draw.among(["DCR", "CRD"])
    return Setting(draw.op, draw.opset, [draw.array(shape, kind)], given)


def _gather_elements(draw: Draw) -> Setting:
    shape = draw.shape(1, 3, empty=0)
    axis = draw.axis(len(shape))
    rows = [draw.number(1, n) for n in shape]
    rows[axis] = draw.number(1, 5)
    index = draw.rng.integers(-shape[axis], shape[axis], rows)
    given = {"axis": axis} if axis or draw.chance(0.5) else {}
    table = draw.array(shape, draw.type(among=(*_IN_NUMPY, "int64", "uint8", "bool")))
    return Setting("GatherElements", draw.opset, [table, index], given)


def _gather_nd(draw: Draw) -> Setting:
    shape = draw.shape(1, 4, empty=0)
    shared = draw.number(0, len(shape) - 1) if draw.opset >= 12 and draw.chance(0.5) else 0
    depth = draw.number(1, len(shape) - shared)
    lead = (*shape[:shared], *draw.shape(0, 2, empty=0))
    sizes = np.array(shape[shared : shared + depth])
    index = draw.rng.integers(-sizes, sizes, (*lead, depth))
    given = {"batch_dims": shared} if shared or (draw.opset >= 12 and draw.chance(0.3)) else {}
    return Setting("GatherND", draw.opset, [draw.array(shape, draw.type()), index], given)


def _resize(draw: Draw) -> Setting:
    """The last two axes, as images have them, by factors that no judge rounds in its own way."""
    modes = ["nearest", "linear"] if draw.opset < 11 else ["nearest", "linear", "cubic"]
    mode, kind = draw.among(modes), draw.type(among=("float32",))
    x = _image(draw, 2, 2, 5, kind)
    if draw.opset < 11:
        factors = [1, 1, draw.among([1, 2, 3]), draw.among([1, 2, 4])]
        if draw.op == "Upsample" and draw.opset < 9:
            named = {"mode": mode, "scales": [float(f) for f in factors]}
            return Setting(draw.op, draw.opset, [x], named)
        return Setting(draw.op, draw.opset, [x, np.array(factors, np.float32)], {"mode": mode})
    how = draw.among(
        ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"][
            : 3 if mode == "nearest" else 4
        ]
    )
    given: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": how}
    if mode == "cubic" and draw.chance(0.5):
        given["cubic_coeff_a"] = draw.among([-0.5, -0.75])
    if mode == "nearest":
        given["nearest_mode"] = draw.among(["floor", "ceil", "round_prefer_floor"])
        if how == "align_corners":
            given["coordinate_transformation_mode"] = "asymmetric"
    factors = [draw.among([1, 2, 4, 0.5] if mode == "nearest" else [1, 2, 3]) for _ in "hw"]
    sizes = [max(1, int(n * f)) for n, f in zip(x.shape[2:], factors, strict=True)]
    none = None if draw.opset >= 13 else np.array([], np.float32)
    if draw.opset >= 18 and draw.chance(0.3):
        given["axes"] = [2, 3]
        return Setting("Resize", draw.opset, [x, none, np.array(factors, np.float32)], given)
    if draw.chance(0.5) and mode != "nearest":
        empty = None if draw.opset >= 13 else np.array([], np.float32)
        return Setting("Resize", draw.opset, [x, none, empty, _ints([*x.shape[:2], *sizes])], given)
    scales = np.array([1, 1, *factors], np.float32)
    return Setting("Resize", draw.opset, [x, none, scales], given)


DRAWN = {
    **dict.fromkeys(("AveragePool", "MaxPool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global),
    **dict.fromkeys(("SpaceToDepth", "DepthToSpace"), _space),
    "Tile": _tile,
    "Pad": _pad,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    **dict.fromkeys(("Resize", "Upsample"), _resize),
}
