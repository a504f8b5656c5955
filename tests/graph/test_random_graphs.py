"""Random graphs of norms, linear operators, sums and layouts: whatever folds, folds right."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build, feeds_for, fold_and_prove, largest_error, stored
from un_deploy.graph.reference import run

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


@pytest.mark.parametrize("seed", range(100))
def test_whatever_folds_folds_right(seed: int) -> None:
    # A dozen layers in a row lose a little more than one.
    original = random_graph(Random(seed))
    folded = fold_and_prove(original, eps=10 * 2.0**-23)
    feeds = feeds_for(original, seed=seed)
    got, wanted = (run(model, feeds, stored) for model in (folded.model, original))
    assert largest_error(got, wanted) < 200 * 2.0**-23
    assert len(folded.report.folded) + len(folded.report.stayed) == len(folded.report.sites)


def test_most_norms_of_such_graphs_fold() -> None:
    reports = [fold_and_prove(random_graph(Random(seed)), eps=1e-6).report for seed in range(40)]
    sites = [site for report in reports for site in report.sites]
    folded = [site for site in sites if site.status == "folded"]
    assert len(sites) > 60 and len(folded) / len(sites) > 0.5
