"""What stands around norms and is none of the fold's business: each from x to t of the same shape.

Each is text: {x} is the tensor, {y} another one or the same, {c} a condition, {trip} a number of
turns, {w} a weight of its width and {q} a matrix, {row} the sizes of x but for the first, {width}
the last, {T} the type of all, {E} its number, {seed} and {turn} numbers of its own; other names in
braces are new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal["foreign", "Loop", "If", "Scan", "random", "layout", "plain"]


@dataclass(frozen=True)
class Surrounding:
    """One way to surround a tensor.

    Attributes:
        family: what is counted.
        text: from {x} to {t}.
        opsets: the first and the last of them.
        types: the types in which ONNX Runtime computes it on both sides alike.
    """

    family: Family
    text: str
    opsets: tuple[int, int] = (11, 99)
    types: tuple[str, ...] = ("float", "float16", "bfloat16", "double")


_NARROW = ("float", "float16", "bfloat16")  # ONNX Runtime has no such operator in float64
_SOURCES = (11, 21)  # it has no random tensor from opset 22 on
_FLOAT = ("float",)  # a threshold: what rounding does to a half type would show
_THEN = "then_branch = g{a} () => ({T}[] {u}) {{ %s }}"
_ELSE = "else_branch = g{b} () => ({T}[] {v}) {{ %s }}"
_IF = "{t} = If({c}) <" + _THEN + ", " + _ELSE + ">"
_LOOP = (
    "{t} = Loop({trip}, {c}, {x}) <body = g{a} (int64 {i}, bool {d}, {T}[] {s}) => "
    "(bool {e}, {T}[] {r}) {{ {e} = Identity({d}) %s }}>"
)

_INNER = (
    "{v} = If({c}) <then_branch = g{f} () => ({T}[] {g}) {{ {g} = Add({x}, {y}) }}, "
    "else_branch = g{h} () => ({T}[] {j}) {{ {j} = Relu({x}) }}>"
)

SURROUNDINGS = (
    Surrounding("foreign", "{t} = own.Blend({x}, {y})"),
    Surrounding("foreign", "{t} = com.microsoft.QuickGelu<alpha = 1.5>({x})", types=_NARROW),
    Surrounding("foreign", "{t} = com.microsoft.Gelu({x})", types=_NARROW),
    Surrounding(
        "foreign",
        "{k} = Tanh({x}) {m} = com.microsoft.FusedMatMul<transB = 1, alpha = 0.5>({k}, {k}) "
        "{t} = com.microsoft.FusedMatMul({m}, {x})",
    ),
    Surrounding(
        "foreign",
        "{m} = com.microsoft.FusedMatMul<transB = 1, alpha = 0.2>({x}, {x}) "
        "{k} = Softmax<axis = -1>({m}) {t} = com.microsoft.FusedMatMul({k}, {x})",
    ),
    Surrounding("If", _IF % ("{u} = Neg({x})", "{v} = Add({x}, {y})")),
    Surrounding("If", _IF % ("{u} = Mul({x}, {w})", "{k} = Add({w}, {y}) {v} = Sub({x}, {k})")),
    Surrounding("If", _IF % ("{u} = Identity({x})", "{v} = Relu({x})")),
    Surrounding("If", _IF % ("{u} = Tanh({x})", _INNER)),
    Surrounding("If", _IF % ("{u} = MatMul({x}, {q})", "{k} = MatMul({y}, {q}) {v} = Neg({k})")),
    Surrounding("Loop", _LOOP % "{r} = Add({s}, {y})"),
    Surrounding("Loop", _LOOP % "{k} = MatMul({s}, {q}) {m} = Tanh({k}) {r} = Sub({m}, {x})"),
    Surrounding("Loop", _LOOP % "{k} = Mul({s}, {w}) {m} = Tanh({k}) {r} = Sub({m}, {x})"),
    Surrounding(
        "Loop",
        "{z} = Sub({x}, {x}) " + _LOOP.replace("{x}", "{z}") % "{r} = Add({s}, {x})",
    ),
    Surrounding(
        "Scan",
        "{t} = Scan<num_scan_inputs = 1, body = g{a} ({T}[{row}] {s}) => ({T}[{row}] {r}) "
        "{{ {k} = Tanh({s}) {r} = Sub({s}, {k}) }}>({x})",
    ),
    Surrounding(
        "Scan",
        "{k}, {t} = Scan<num_scan_inputs = 1, body = g{a} ({T}[{width}] {s}, {T}[{row}] {v}) => "
        "({T}[{width}] {r}, {T}[{row}] {u}) "
        "{{ {r} = Add({s}, {w}) {u} = Add({v}, {r}) }}>({w}, {x})",
    ),
    Surrounding(
        "random",
        "{m} = RandomNormalLike<dtype = 1, seed = {seed}>({x}) {k} = Cast<to = {E}>({m}) "
        "{t} = Add({x}, {k})",
        opsets=_SOURCES,
    ),
    Surrounding(
        "random",
        "{m} = RandomUniformLike<dtype = 1, low = 0.5, high = 1.5, seed = {seed}>({x}) "
        "{k} = Cast<to = {E}>({m}) {t} = Mul({k}, {x})",
        opsets=_SOURCES,
    ),
    Surrounding(
        "random",
        "{p} = Constant<value_float = 0.4>() {m} = Constant<value = bool {{1}}>() "
        "{t} = Dropout<seed = {turn}>({x}, {p}, {m})",
        opsets=(13, 99),
    ),
    Surrounding(
        "random",
        "{p} = Sigmoid({x}) {m} = Bernoulli<seed = {seed}>({p}) {t} = Mul({x}, {m})",
        opsets=(15, 21),
        types=_FLOAT,
    ),
    Surrounding(
        "random",
        "{k} = Flatten<axis = -1>({x}) {m} = Multinomial<sample_size = 1, seed = {seed}>({k}) "
        "{p} = Cast<to = 1>({m}) {v} = ReduceMean<keepdims = 0>({p}) {t} = Add({x}, {v})",
        opsets=_SOURCES,
        types=_FLOAT,
    ),
    Surrounding("layout", "{m} = Transpose({x}) {t} = Transpose({m})"),
    Surrounding("layout", "{m} = Transpose({x}) {k} = Neg({m}) {t} = Transpose({k})"),
    Surrounding("layout", "{s} = Shape({x}) {m} = Flatten({x}) {t} = Reshape({m}, {s})"),
    Surrounding("layout", "{s} = Shape({y}) {t} = Reshape({x}, {s})"),
    Surrounding("layout", "{s} = Shape({x}) {t} = Expand({x}, {s})"),
    Surrounding("plain", "{t} = Identity({x})"),
    Surrounding("plain", "{t} = Relu({x})"),
    Surrounding("plain", "{t} = Softmax<axis = -1>({x})"),
    Surrounding("plain", "{t} = Dropout({x})"),
    Surrounding("plain", "{k} = Sigmoid({x}) {t} = Mul({x}, {k})"),
    Surrounding("plain", "{t} = Sub({y}, {x})"),
    Surrounding("plain", "{t} = Add({x}, {x})"),
    Surrounding("plain", "{t} = MatMul({x}, {q})"),
    Surrounding("plain", "{k} = Add({x}, {w}) {t} = MatMul({k}, {q})"),
    Surrounding(
        "plain",
        "{k} = SequenceConstruct({y}, {x}) {m} = Constant<value = int64 {{1}}>() "
        "{t} = SequenceAt({k}, {m})",
        types=("float", "float16", "double"),
    ),
    Surrounding("plain", "{k} = Cast<to = 11>({x}) {t} = Cast<to = {E}>({k})"),
    Surrounding("plain", "{k} = Cast<to = 9>({x}) {t} = Where({k}, {x}, {y})"),
)
