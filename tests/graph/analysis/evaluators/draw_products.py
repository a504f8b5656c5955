"""Settings of products, convolutions, reductions, BatchNormalization and DequantizeLinear."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.graph.analysis.evaluators.setting import FLOAT8, INTEGERS, REALS, Draw, Setting

_WIDE_INTEGERS = tuple(name for name in INTEGERS if name.endswith(("32", "64")))


def _matmul(draw: Draw) -> Setting:
    kind = draw.type(among=(*REALS, *_WIDE_INTEGERS))
    (left, right), inner = draw.two_shapes(), draw.number(1, 5)
    a = (*left, draw.number(1, 4), inner) if draw.chance(0.85) else (inner,)
    b = (*right, inner, draw.number(1, 4)) if draw.chance(0.85) else (inner,)
    return Setting("MatMul", draw.opset, [draw.array(a, kind), draw.array(b, kind)])


def _gemm(draw: Draw) -> Setting:
    kind = draw.type(among=REALS)
    rows, inner, columns = (draw.number(1, 5) for _ in range(3))
    given: dict[str, Any] = {}
    for name in ("transA", "transB"):
        if draw.chance(0.6):
            given[name] = draw.number(0, 1)
    for name in ("alpha", "beta"):
        if draw.chance(0.5):
            given[name] = draw.among([0.5, -1.25, 0.0, 2.0])
    a = (inner, rows) if given.get("transA") else (rows, inner)
    b = (columns, inner) if given.get("transB") else (inner, columns)
    c = draw.among([(), (1,), (columns,), (1, columns), (rows, 1), (rows, columns), (1, 1)])
    inputs = [draw.array(shape, kind) for shape in (a, b, c)]
    if draw.opset >= 11 and draw.chance(0.2):
        inputs.pop()
    return Setting("Gemm", draw.opset, inputs, given)


def _window(draw: Draw, rank: int, kernel: list[int]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if draw.chance(0.6):
        given["strides"] = [draw.number(1, 3) for _ in range(rank)]
    if draw.chance(0.4):
        given["dilations"] = [draw.number(1, 3) for _ in range(rank)]
    if draw.chance(0.5):
        given["kernel_shape"] = kernel
    how = draw.among(["pads", "none", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
    if how in ("pads", "NOTSET"):
        given["pads"] = [draw.number(0, 2) for _ in range(2 * rank)]
    if how.isupper():
        given["auto_pad"] = how
    return given


def _convolution(draw: Draw) -> Setting:
    rank = draw.among([1, 2, 2, 3])
    groups, per_group, channels = draw.among([1, 1, 2, 3]), draw.number(1, 3), draw.number(1, 3)
    kernel = [draw.number(1, 3) for _ in range(rank)]
    given = _window(draw, rank, kernel)
    if groups > 1 or draw.chance(0.3):
        given["group"] = groups
    transposed = draw.op == "ConvTranspose"
    if transposed:
        x, w, given = _transposed(draw, given, rank, groups, per_group, channels, kernel)
    else:
        reach = [
            d * (k - 1) + 1 for d, k in zip(given.get("dilations", [1] * rank), kernel, strict=True)
        ]
        x = (draw.number(1, 2), groups * per_group, *(n + draw.number(0, 5) for n in reach))
        w = (groups * channels, per_group, *kernel)
    hard = groups > 1 or "output_shape" in given or "SAME" in given.get("auto_pad", "")
    # ConvTranspose: of these, one judge runs no other types and the other one is wrong.
    kind = draw.type(among=("float32", "float16") if transposed and hard else REALS)
    inputs = [draw.array(x, kind), draw.array(w, kind)]
    if draw.chance(0.5):
        inputs.append(draw.array((groups * channels,), kind))
    return Setting(draw.op, draw.opset, inputs, given)


def _transposed(
    draw: Draw,
    given: dict[str, Any],
    rank: int,
    groups: int,
    per_group: int,
    channels: int,
    kernel: list[int],
) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    strides = given.get("strides", [1] * rank)
    dilations = given.get("dilations", [1] * rank)
    if draw.chance(0.4) and max(strides) > 1:
        given["output_padding"] = [draw.number(0, s - 1) for s in strides]
    sizes = [draw.number(5, 6) for _ in range(rank)]
    if given.get("auto_pad", "").startswith("SAME"):  # a kernel below the stride leaves pixels out
        longer = given.get("output_padding", [0] * rank)
        reach = [d * (k - 1) + 1 + o for d, k, o in zip(dilations, kernel, longer, strict=True)]
        given["strides"] = [min(s, n) for s, n in zip(strides, reach, strict=True)]
        if "output_padding" in given:
            given["output_padding"] = [
                min(o, s - 1) for o, s in zip(longer, given["strides"], strict=True)
            ]
    elif draw.chance(0.2):
        given.pop("pads", None)
        given.pop("auto_pad", None)
        longer = given.get("output_padding", [0] * rank)
        full = [
            s * (n - 1) + d * (k - 1) + 1 + o
            for s, n, d, k, o in zip(strides, sizes, dilations, kernel, longer, strict=True)
        ]
        given["output_shape"] = [max(1, n - draw.number(0, 3)) for n in full]
    x = (draw.number(1, 2), groups * per_group, *sizes)
    return x, (groups * per_group, channels, *kernel), given


def _einsum(draw: Draw) -> Setting:
    equation = draw.among(
        ["bnc,cd->bnd", "bnc,cd", "...c,cd->...d", "hio,bhni->bhno", "bc,c->b", "ab , bc -> ac",
         "bnhd,hdo->bno", "ij->ji", "bii->bi", "abc->", "a,b->ab", "bi,bj,ij->b", "bnc,cd->bd"]
    )  # fmt: skip
    sizes = {letter: draw.number(1, 4) for letter in "abcdefghijklmnopqrst"}
    kind = draw.type(among=("float32", "float64"))
    arrays = []
    for operand in equation.replace(" ", "").split("->")[0].split(","):
        shape = [sizes[letter] for letter in operand.replace("...", "xy") if letter in sizes]
        lead = [2, 3] if "..." in operand else []
        arrays.append(draw.array((*lead, *shape), kind))
    return Setting("Einsum", draw.opset, arrays, {"equation": equation})


def _reduce(draw: Draw) -> Setting:
    x = draw.array(draw.shape(0, 3, empty=0), draw.type(among=REALS))
    given: dict[str, Any] = {"keepdims": draw.number(0, 1)} if draw.chance(0.6) else {}
    axes = draw.axes(x.ndim, draw.number(1, x.ndim)) if x.ndim and draw.chance(0.7) else None
    if draw.opset < (13 if draw.op == "ReduceSum" else 18):
        return Setting(draw.op, draw.opset, [x], given | ({"axes": axes} if axes else {}))
    if draw.chance(0.3):
        given["noop_with_empty_axes"] = draw.number(0, 1)
    none = np.array([], np.int64) if draw.chance(0.3) else None
    stated = none if axes is None else np.array(axes, np.int64)
    return Setting(draw.op, draw.opset, [x, stated], given)


def _batch_normalization(draw: Draw) -> Setting:
    kind = draw.type(among=REALS)
    x = draw.array((draw.number(1, 3), draw.number(1, 4), *draw.shape(0, 3, empty=0)), kind)
    parameters = [draw.array(x.shape[1:2], kind, positive=k in (0, 3)) for k in range(4)]
    given: dict[str, Any] = {"epsilon": draw.among([0.25, 1e-3])} if draw.chance(0.6) else {}
    if draw.chance(0.3):
        given["momentum"] = 0.8
    if draw.opset < 9 and draw.chance(0.3):
        given["spatial"] = 1
    if draw.opset >= 14 and draw.chance(0.3):
        given["training_mode"] = 0
    return Setting("BatchNormalization", draw.opset, [x, *parameters], given)


def _scaler(draw: Draw) -> Setting:
    x = draw.array(draw.shape(1, 2, empty=0), np.dtype(np.float32))
    size = draw.among([1, x.shape[-1]])
    given = {name: draw.rng.uniform(0.5, 1.5, size).tolist() for name in ("offset", "scale")}
    return Setting(draw.op, draw.opset, [x], given)


def _over_last_axes(draw: Draw) -> Setting:
    """LayerNormalization and RMSNormalization."""
    shape, kind = draw.shape(1, 4, empty=0), draw.type(among=REALS)
    axis = draw.axis(len(shape))
    parameters = [draw.array(shape[axis % len(shape) :], kind, positive=True)]
    if draw.op == "LayerNormalization" and draw.chance(0.6):
        parameters.append(draw.array(shape[axis % len(shape) :], kind))
    attributes: dict[str, Any] = {} if axis == -1 else {"axis": axis}
    return Setting(
        draw.op, draw.opset, [draw.array(shape, kind), *parameters], attributes | _epsilon(draw)
    )


def _over_places(draw: Draw) -> Setting:
    """InstanceNormalization and GroupNormalization."""
    grouped = draw.op == "GroupNormalization"  # float64 is rounded inside
    types = [name for name in REALS if name != "float64" or not grouped]
    channels, kind = draw.number(1, 6), draw.type(among=types)
    places = tuple(draw.number(4, 6) for _ in range(draw.number(1, 3)))
    x = draw.array((draw.number(1, 3), channels, *places), kind)
    parameters = [draw.array((channels,), kind), draw.array((channels,), kind)]
    attributes = _epsilon(draw)
    if grouped:
        attributes["num_groups"] = draw.among([n for n in range(1, 7) if channels % n == 0])
    return Setting(draw.op, draw.opset, [x, *parameters], attributes)


def _epsilon(draw: Draw) -> dict[str, Any]:
    return {"epsilon": 1e-3} if draw.chance(0.5) else {}


def _dequantize_linear(draw: Draw) -> Setting:
    stored = ("int8", "uint8", "int16", "uint16", "int32", "int4", "uint4")
    x_type = draw.type(0, (*stored, *FLOAT8))
    scale_type = draw.type(1, REALS)
    shape = draw.shape(1, 4, empty=0)
    given: dict[str, Any] = {}
    scales: tuple[int, ...] = ()
    if draw.opset >= 13 and draw.chance(0.6):
        axis = draw.axis(len(shape))
        given = {"axis": axis} if axis != 1 or draw.chance(0.5) else {}
        scales = (shape[axis],)
        if draw.opset >= 21 and draw.chance(0.5):
            block = draw.number(1, 3)
            given = {"axis": axis, "block_size": block}
            whole = list(shape)
            whole[axis] = -(-shape[axis] // block)
            scales = tuple(whole)
    x = draw.array(shape, x_type)
    inputs: list[Any] = [x, draw.array(scales, scale_type, positive=True)]
    if draw.chance(0.6):
        zero = draw.array(scales, x_type)
        keeps = (x_type.kind in "iu" and x_type.itemsize < 4) or x_type.name.endswith("int4")
        inputs.append(zero if keeps else np.zeros(scales, x_type))
    return Setting("DequantizeLinear", draw.opset, inputs, given)


DRAWN = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Conv": _convolution,
    "ConvTranspose": _convolution,
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _reduce),
    "Einsum": _einsum,
    "BatchNormalization": _batch_normalization,
    "ai.onnx.ml.Scaler": _scaler,
    **dict.fromkeys(("LayerNormalization", "RMSNormalization"), _over_last_axes),
    **dict.fromkeys(("InstanceNormalization", "GroupNormalization"), _over_places),
    "DequantizeLinear": _dequantize_linear,
}
