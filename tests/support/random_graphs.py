"""Random graphs of norms, linear operators, sums and layouts, the same for the same seed."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from tests.support.graphs import build

CONSTANTS: dict[str, Any] = {
    "half": np.array(0.5, np.float32),
    "table": (1, 3, 4),
    "tokens": [2, 0, 1],
    "order": [3, 1, 0, 2],
    "last": [-1],
    "beyond": [-9],
    "channel": [2],
    "back": [-1],
    "zero": [0],
    "one": [1],
    "three": [3],
    "halves": [2, 2],
}
#: What follows a tensor x, or two, and keeps the shape (2, 3, 4); `m` and `k` are tensors
#: between, names that end in # are weights of their own.
STEPS = {
    "norm": ("{m} = Mul({x}, a#) {t} = Add({m}, b#)", 6),
    "scale": ("{t} = Mul({x}, a#)", 1),
    "linear": ("{m} = MatMul({x}, w#) {t} = Add({m}, b#)", 4),
    "linear without bias": ("{t} = MatMul({x}, w#)", 2),
    "sum": ("{t} = Add({x}, {y})", 5),
    "difference": ("{t} = Sub({x}, {y})", 1),
    "channels joined": ("{m} = Concat<axis=2>({x}, {y}) {t} = MatMul({m}, wide#)", 1),
    "tokens joined": ("{m} = Concat<axis=1>({x}, {y}) {t} = Slice({m}, zero, three, one)", 1),
    "halves swapped": ("{m}, {k} = Split<axis=2>({x}, halves) {t} = Concat<axis=2>({k}, {m})", 1),
    "mean": ("{m} = ReduceMean({x}, one) {t} = Add({m}, {y})", 1),
    "transposed": (
        "{m} = Transpose<perm=[0,2,1]>({x}) {k} = Neg({m}) {t} = Transpose<perm=[0,2,1]>({k})",
        1,
    ),
    "positions": ("{t} = Add({x}, table)", 1),
    "positions negated": ("{t} = Sub(table, {x})", 1),
    "halved": ("{t} = Mul({x}, half)", 1),
    "doubled": ("{t} = Div({x}, half)", 1),
    "flipped": ("{t} = Slice({x}, last, beyond, channel, back)", 1),
    "tokens picked": ("{t} = Gather<axis=1>({x}, tokens)", 1),
    "channels picked": ("{t} = Gather<axis=2>({x}, order)", 1),
    "relu": ("{t} = Relu({x})", 1),
}
SHAPES = {"a": (4,), "b": (4,), "w": (4, 4), "wide": (8, 4)}


def random_graph(random: Random) -> ir.Model:
    """From x on, each step takes recent tensors more often; one to three tensors are outputs."""
    tensors, body = ["x"], ""
    weights: dict[str, Any] = {}
    names, likely = list(STEPS), [weight for _, weight in STEPS.values()]
    for index in range(random.randint(3, 14)):
        (step,) = random.choices(names, likely)
        x, y = (random.choice(tensors[-4:] if random.random() < 0.7 else tensors) for _ in "xy")
        text = STEPS[step][0].format(x=x, y=y, t=f"t{index}", m=f"m{index}", k=f"k{index}")
        for kind, shape in SHAPES.items():
            if f" {kind}#" in text:
                weights[f"{kind}{index}"] = shape
        body += " " + text.replace("#", str(index))
        tensors.append(f"t{index}")
    outputs = dict.fromkeys([tensors[-1], *random.choices(tensors[1:], k=random.randint(0, 2))])
    used = {name: value for name, value in CONSTANTS.items() if name in body}
    signature = ", ".join(f"float[2,3,4] {name}" for name in outputs)
    return build(f"float[2,3,4] x => {signature}", body, **weights, **used)
