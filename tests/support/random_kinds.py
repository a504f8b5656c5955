"""Random graphs of what networks of all kinds hold, the same for the same seed.

`random_graphs` has the algebra of a fold, at one size, for a second opinion on every number. Here
is what surrounds it and what a proof must get past: bodies, operators of other domains and random
ones, shapes that are computed, open sizes, images, types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir

from tests.support.graphs import build

TYPES: dict[str, Any] = {
    "float": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "double": np.float64,
}


@dataclass(frozen=True)
class Kind:
    """What graphs of one kind are made of.

    Attributes:
        sizes: shapes of the input x and of every tensor behind it.
        inputs: further inputs, each in a graph that reads it.
        steps: text and weight of each step from x (and y) to t, of the same shape. It may use
            tensors k, l, m, n, and constants by name; a name that ends in # has numbers of its own
            in every step. {T} is type and shape of all.
        constants: shapes of floating constants, by the name before #; else what they hold.
    """

    sizes: tuple[str, ...]
    inputs: Mapping[str, str]
    steps: Mapping[str, float]
    constants: Mapping[str, Any]


_BRANCHES = "then_branch = p# () => ({T} u#) {{ %s }}, else_branch = q# () => ({T} v#) {{ %s }}"
_BODY = "(int64 i#, bool d#, {T} s#) => (bool e#, {T} r#) {{ e# = Identity(d#) r# = Add(s#, {y}) }}"

TOKENS = Kind(
    sizes=("B,S,4", "2,3,4", "B,3,4", "2,S,4", "1,3,4", "1,S,4"),
    inputs={"c": "bool c", "trip": "int64 trip", "mask": "bool[{sizes}] mask"},
    steps={
        "{m} = Mul({x}, a#) {t} = Add({m}, b#)": 10,
        "{k} = Div({x}, a#) {m} = Sub({k}, b#) {t} = Mul({m}, az#)": 3,
        "{m} = Transpose<perm=[0,2,1]>({x}) {k} = Mul({m}, ac#) {l} = Add({k}, bc#) "
        "{t} = Transpose<perm=[0,2,1]>({l})": 3,
        "{m} = MatMul({x}, w#) {t} = Add({m}, b#)": 6,
        "{m} = MatMul({x}, w) {t} = Add({m}, b)": 3,
        "{m} = Reshape({x}, rows) {k} = Gemm<alpha=0.5,beta=2.0,transB=1>({m}, w#, b#) "
        "{l} = Shape({x}) {t} = Reshape({k}, {l})": 2,
        "{t} = Add({x}, {y})": 6,
        "{t} = Sub({x}, {y})": 1,
        "{t} = Relu({x})": 2,
        "{t} = Gelu({x})": 1,
        "{m} = Mul({x}, half) {k} = Sigmoid({m}) {t} = Mul({x}, {k})": 2,
        "{m} = Concat<axis=2>({x}, {y}) {t} = MatMul({m}, wide#)": 1,
        "{m}, {k} = Split<axis=2>({x}, halves) {t} = Concat<axis=2>({k}, {m})": 1,
        "{m} = Shape<start=0,end=2>({x}) {k} = Concat<axis=0>({m}, halves) "
        "{l} = Reshape({x}, {k}) {n} = Neg({l}) {t} = Reshape({n}, merged)": 2,
        "{m} = MatMul({x}, w#) {k} = Transpose<perm=[0,2,1]>({x}) {l} = MatMul({m}, {k}) "
        "{n} = Softmax({l}) {t} = MatMul({n}, {x})": 2,
        f"{{t}} = If(c) <{_BRANCHES % ('u# = Neg({x})', 'v# = Add({x}, {y})')}>": 2,
        f"{{t}} = If(c) <{_BRANCHES % ('u# = Mul({x}, a#)', 'v# = MatMul({x}, w#)')}>": 1,
        f"{{t}} = Loop(trip, c, {{x}}) <body = o# {_BODY}>": 1,
        "{m} = k.Mix<level=3>({x}, {y}) {t} = Add({x}, {m})": 1,
        "{t} = Where(mask, {x}, {y})": 1,
        "{m}, {k} = Dropout({x}) {t} = Neg({m})": 1,
        "{t} = LayerNormalization({x}, a#, b#)": 1,
        "{m} = Shape<start=1,end=2>({y}) {t} = Slice({x}, zero, {m}, one)": 1,
        "{m} = Shape({y}) {t} = Expand({x}, {m})": 1,
        "{t} = Clip({x}, , half)": 1,
        "{t} = Gather<axis=2>({x}, order)": 1,
        "{m} = Transpose<perm=[0,2,1]>({x}) {k} = Conv<pads=[1,1]>({m}, wk#, b#) "
        "{t} = Transpose<perm=[0,2,1]>({k})": 1,
        "{m} = RandomNormalLike({x}) {t} = Add({x}, {m})": 0.3,
    },
    constants={"a": (4,), "az": (4,), "ac": (4, 1), "b": (4,), "bc": (1, 4, 1)}
    | {"w": (4, 4), "wide": (8, 4), "wk": (4, 4, 3), "half": ()}
    | {"rows": [-1, 4], "halves": [2, 2], "merged": [0, 0, 4], "order": [3, 1, 0, 2]}
    | {"zero": [0], "one": [1]},
)

IMAGES = Kind(
    sizes=("B,4,6,6", "1,4,6,6", "N,4,H,V", "2,4,8,6", "1,4,24,24"),
    inputs={},
    steps={
        "{t} = Conv<pads=[1,1,1,1]>({x}, wk#, b#)": 4,
        "{t} = Conv<pads=[1,1,1,1]>({x}, wk#)": 3,
        "{t} = Conv({x}, w#)": 4,
        "{t} = Conv<pads=[2,2,2,2],dilations=[2,2]>({x}, wk#)": 1,
        "{t} = Conv<pads=[1,1,1,1],group=4>({x}, wd#)": 2,
        "{t} = BatchNormalization({x}, a#, b#, bm#, av#)": 12,
        "{m} = Mul({x}, ac#) {t} = Add({m}, bc#)": 4,
        "{t} = Relu({x})": 5,
        "{t} = LeakyRelu<alpha=0.1>({x})": 1,
        "{m} = Sigmoid({x}) {t} = Mul({x}, {m})": 1,
        "{t} = Add({x}, {y})": 5,
        "{m} = Concat<axis=1>({x}, {y}) {t} = Conv({m}, wide#, b#)": 3,
        "{m}, {k} = Split<axis=1>({x}, halves) {l} = Conv({m}, wh#) "
        "{t} = Concat<axis=1>({k}, {l})": 1,
        "{m} = GlobalAveragePool({x}) {k} = Conv({m}, w#, b#) {l} = Sigmoid({k}) "
        "{t} = Mul({x}, {l})": 2,
        "{t} = MaxPool<kernel_shape=[3,3],pads=[1,1,1,1]>({x})": 1,
        "{t} = AveragePool<kernel_shape=[3,3],pads=[1,1,1,1]>({x})": 1,
        "{m} = Pad({x}, pads) {t} = Conv({m}, wk#)": 1,
        "{m} = Transpose<perm=[0,2,3,1]>({x}) {k} = Mul({m}, a#) {l} = Add({k}, b#) "
        "{n} = MatMul({l}, v#) {t} = Transpose<perm=[0,3,1,2]>({n})": 2,
        "{t} = InstanceNormalization({x}, a#, b#)": 1,
        "{m}, {k} = Dropout({x}) {t} = Neg({m})": 1,
    },
    constants={"a": (4,), "av": (4,), "ac": (4, 1, 1), "b": (4,), "bm": (4,), "bc": (1, 4, 1, 1)}
    | {"w": (4, 4, 1, 1), "wk": (4, 4, 3, 3), "wd": (4, 1, 3, 3), "wh": (2, 2, 1, 1)}
    | {"wide": (4, 8, 1, 1), "v": (4, 4), "halves": [2, 2], "pads": [0, 0, 1, 1, 0, 0, 1, 1]},
)


def random_graph_of(kind: Kind, random: Random) -> ir.Model:
    """From x on, each step takes recent tensors more often; one to three tensors are outputs."""
    sizes, dtype = random.choice(kind.sizes), random.choices(list(TYPES), [6, 2, 1, 1])[0]
    typed, tensors, body = f"{dtype}[{sizes}]", ["x"], ""
    for index in range(random.randint(3, 14)):
        (step,) = random.choices(list(kind.steps), list(kind.steps.values()))
        x, y = (random.choice(tensors[-4:] if random.random() < 0.7 else tensors) for _ in "xy")
        names = {name: f"{name}_{index}" for name in "klmn"}
        text = step.format(x=x, y=y, t=f"t{index}", T=typed, **names)
        body += " " + text.replace("#", f"_{index}")
        tensors.append(f"t{index}")
    outputs = dict.fromkeys([tensors[-1], *random.choices(tensors[1:], k=random.randint(0, 2))])
    words = set(re.findall(r"\w+", body))
    inputs = [text.format(sizes=sizes) for name, text in kind.inputs.items() if name in words]
    used = {word: re.sub(r"_\d+$", "", word) for word in sorted(words)}
    constants = {
        word: kind.constants[name] for word, name in used.items() if name in kind.constants
    }
    signature = f"{', '.join([f'{typed} x', *inputs])} => "
    signature += ", ".join(f"{typed} {name}" for name in outputs)
    model = build(signature, body, dtype=TYPES[dtype], **constants)
    if "k.Mix" in body:
        model.opset_imports["k"] = 1
    return model
