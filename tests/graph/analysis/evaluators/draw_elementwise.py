"""Settings of arithmetic, activations, comparisons, casts and Where."""

from __future__ import annotations

import numpy as np

from tests.graph.analysis.evaluators.setting import INTEGERS, REALS, Draw, Setting, dtype

_NUMBERS = (*REALS, *INTEGERS)


def _two(draw: Draw) -> Setting:
    kind, (left, right) = draw.type(among=_NUMBERS), draw.two_shapes()
    a = draw.array(left, kind)
    b = draw.array(right, kind, positive=draw.op == "Div")
    if draw.op == "Div" and kind.kind == "i" and draw.chance(0.5):
        b = (-b).astype(kind)
    return Setting(draw.op, draw.opset, [a, b])


def _mod(draw: Draw) -> Setting:
    kind, (left, right) = draw.type(among=INTEGERS), draw.two_shapes()
    b = draw.array(right, kind, positive=True)
    b = -b if kind.kind == "i" and draw.chance(0.5) else b
    given = {"fmod": 1} if draw.chance(0.3) else {}
    return Setting("Mod", draw.opset, [draw.array(left, kind), b.astype(kind)], given)


def _one(draw: Draw) -> Setting:
    return Setting(draw.op, draw.opset, [draw.array(draw.shape(), draw.type(among=_NUMBERS))])


def _real(draw: Draw) -> Setting:
    # In half types one judge rounds LeakyRelu's factor first, the other one does not.
    among = REALS[:2] if draw.op == "LeakyRelu" else REALS
    x = draw.array(draw.shape(), draw.type(among=among))
    given = {"alpha": 0.25} if draw.op == "LeakyRelu" and draw.chance(0.5) else {}
    return Setting(draw.op, draw.opset, [x], given)


def _prelu(draw: Draw) -> Setting:
    kind, full = draw.type(among=REALS), draw.shape(empty=0)
    slope = tuple(1 if draw.chance(0.3) else n for n in full[draw.number(0, len(full)) :])
    return Setting("PRelu", draw.opset, [draw.array(full, kind), draw.array(slope, kind)])


def _several(draw: Draw) -> Setting:
    kind, shapes = draw.type(among=REALS), [*draw.two_shapes(), ()]
    count = draw.number(1, 3)
    return Setting("Sum", draw.opset, [draw.array(shape, kind) for shape in shapes[:count]])


def _equal(draw: Draw) -> Setting:
    kind, (left, right) = draw.type(), draw.two_shapes()
    a, b = (np.round(draw.array(s, kind).astype(float)).astype(kind) for s in (left, right))
    return Setting(draw.op, draw.opset, [a, b])


def _cast(draw: Draw) -> Setting:
    source, target = draw.type(), draw.type()
    x = draw.array(draw.shape(), source)
    wide = source.kind != "b" and source.itemsize >= 4
    if wide and target.name not in ("int8", "uint8", "float16", "bfloat16"):
        x = x * source.type(draw.among([1, 30, 4000]))
    if target.kind == "u" and source.kind not in "iub":  # below 0 anything may come
        x = np.abs(x)
    return Setting("Cast", draw.opset, [x.astype(source)], {"to": _number(target)})


def _number(kind: np.dtype) -> int:
    import onnx_ir as ir

    return int(ir.DataType.from_numpy(kind))


def _where(draw: Draw) -> Setting:
    kind, (yes, no) = draw.type(1), draw.two_shapes()
    full = np.broadcast_shapes(yes, no)
    condition = tuple(1 if draw.chance(0.3) else n for n in full[draw.number(0, len(full)) :])
    arrays = [draw.array(condition, dtype("bool")), draw.array(yes, kind), draw.array(no, kind)]
    return Setting("Where", draw.opset, arrays)


DRAWN = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _two),
    "Mod": _mod,
    **dict.fromkeys(("Neg", "Sqrt"), _one),
    **dict.fromkeys(("Abs", "Ceil", "Floor", "Relu", "LeakyRelu"), _real),
    "PRelu": _prelu,
    "Sum": _several,
    "Equal": _equal,
    "Cast": _cast,
    "Where": _where,
}
