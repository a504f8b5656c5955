"""Scales whose shape is read from the input, and constants that cannot widen what they meet."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, build, fold_and_prove, operators
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

READ = "s = Shape(x)"
CHANNEL = "c = Gather(s, one) u = Unsqueeze(c, zero)"
#: How a file may bring the scale `a`, of 4 entries, to the shape that it needs.
SHAPED = {
    "reshaped to gathered sizes": f"{READ} {CHANNEL} t = Concat<axis=0>(i, u, i) k = Reshape(a, t)",
    "reshaped to a slice of the sizes": (
        f"{READ} u = Slice(s, i, two) t = Concat<axis=0>(i, u, i) k = Reshape(a, t)"
    ),
    "reshaped to a part of the shape": (
        "u = Shape<start=1, end=2>(x) t = Concat<axis=0>(i, u, i) k = Reshape(a, t)"
    ),
    "expanded to the whole shape": f"{READ} v = Unsqueeze(a, i) k = Expand(v, s)",
    "reshaped, then expanded": (
        f"{READ} {CHANNEL} t = Concat<axis=0>(i, u, i) r = Reshape(a, t) k = Expand(r, s)"
    ),
    "tiled": f"{READ} v = Unsqueeze(a, i) e = Unsqueeze(v, zero) g = Slice(s, zero, i)"
    " t = Concat<axis=0>(g, i, i) k = Tile(e, t)",
    "expanded twice": f"{READ} v = Unsqueeze(a, i) e = Expand(v, i) k = Expand(e, s)",
}


@pytest.mark.parametrize("batch", ["2", "B"])
@pytest.mark.parametrize("case", SHAPED)
def test_a_scale_folds_however_its_shape_is_made(case: str, batch: str) -> None:
    body = f"{SHAPED[case]} n = Mul(x, k) y = Conv(n, w)"
    integers = {"one": 1, "zero": [0], "i": [1], "two": [2]}
    used = {name: given for name, given in integers.items() if f"{name}" in body}
    signature = f"float[{batch},4,N] x => float[{batch},3,N] y"
    folded = assert_folds(build(signature, body, a=(4,), w=(3, 4, 1), **used))
    assert operators(folded.model) == ["Conv"]


def test_a_scale_that_a_tile_repeats_is_none_of_the_channels() -> None:
    body = f"{READ} g = Slice(s, zero, i) t = Div(g, two) k = Tile(a, t) n = Mul(x, k) y = Relu(n)"
    integers = {"zero": [0], "i": [1], "two": [2]}
    folded = fold_and_prove(build("float[N] x => float[N] y", body, a=(2,), **integers))
    assert not folded.report.sites


@pytest.mark.parametrize("op", ["Add", "Div", "Sub"])
def test_so_does_every_other_operator_of_a_norm(op: str) -> None:
    body = f"{READ} v = Expand(b, s) m = Mul(x, a) n = {op}(m, v) y = MatMul(n, w)"
    model = build("float[B,3,4] x => float[B,3,5] y", body, a=(4,), b=(4,), w=(4, 5))
    folded = assert_folds(model)
    assert operators(folded.model) == (["MatMul"] if op == "Div" else ["MatMul", "Add"])


def test_a_norm_whose_shift_is_repeated_absorbs_no_other() -> None:
    """It stays between two outputs, and nothing could hold what would reach it."""
    body = f"{NORM} p = MatMul(n, w) r = Add(x, p) q = Mul(r, a2) s = Shape(r) e = Expand(b, s)"
    model = build(
        "float[B,3,4] x => float[B,3,4] y",
        f"{body} y = Add(q, e)",
        a=(4,),
        b=(4,),
        w=(4, 4),
        a2=(4,),
    )
    folded = fold_and_prove(model)
    assert [site.status for site in folded.report.sites] == ["folded", "stayed"]


WIDE = {
    "an unknown size elsewhere": ("float[B,4,D,H] x => float[P,5,7,Q] y", [0, 4, 7, -1], (5, 1, 1)),
    "an unknown size in the middle": (
        "float[B,4,D,H] x => float[P,5,Q,7] y",
        [0, 4, -1, 7],
        (1, 5, 1, 1),
    ),
    "two": ("float[B,4,D,H] x => float[P,5,Q,2,7] y", [-1, 4, 5, 2, 7], (5, 1, 1, 1)),
}


@pytest.mark.parametrize("case", WIDE)
def test_a_constant_that_cannot_widen_folds_whatever_the_unknown_size(case: str) -> None:
    signature, target, shape = WIDE[case]
    kernel = (5, 4, *(1,) * (len(target) - 2))
    body = "p = Reshape(x, s) q = Conv(p, w, c) m = Mul(q, a) y = Add(m, b)"
    model = build(signature, body, s=target, w=kernel, c=(5,), a=shape, b=shape)
    folded = fold_graph(model.clone())
    assert operators(folded.model) == ["Reshape", "Conv"]
    proof = prove(model, folded)
    assert proof.passed, proof.problems


@pytest.mark.parametrize("outputs", ["y, , , , ", "y, "])
@pytest.mark.parametrize("opset", [9, 11, 13])
def test_empty_outputs_of_a_batch_norm_are_not_training(outputs: str, opset: int) -> None:
    body = "n = BatchNormalization(x, a, b, b, a2) y = Conv(n, w, c)"
    model = build(
        "float[B,3,4,4] x => float[B,5,4,4] y",
        body,
        opset=opset,
        **dict.fromkeys(("a", "b", "a2"), (3,)),
        w=(5, 3, 1, 1),
        c=(5,),
    )
    model.graph[0].resize_outputs(1 + outputs.count(","))
    for value in model.graph[0].outputs[1:]:
        value.name = ""
    assert operators(assert_folds(model).model) == ["Conv"]


def test_the_epsilon_of_a_batch_norm_is_a_float32_number() -> None:
    """1e-5 in float64 and in float32 differ by 2.5e-8, which a small variance shows."""
    small = np.full(3, 1e-7)
    body = "n = BatchNormalization<epsilon=1e-5>(x, a, b, b, v) y = Conv(n, w, c)"
    model = build(
        "double[B,3,4,4] x => double[B,5,4,4] y",
        body,
        dtype=np.float64,
        a=(3,),
        b=(3,),
        v=small,
        w=(5, 3, 1, 1),
        c=(5,),
    )
    assert_folds(model, eps=2.0**-52)


@pytest.mark.parametrize("scale", [(1, 4, 1, 1), (4, 1, 1)])
def test_a_constant_that_repeats_along_axes_is_one_of_channels(scale: tuple[int, ...]) -> None:
    """As an exporter writes what an Expand made of it."""
    repeated = np.ones((1, 4, 6, 6), np.float32) * np.float32([[[[2]], [[3]], [[5]], [[7]]]])
    body = "m = Mul(x, k) n = Div(m, a) y = Conv(n, w)"
    model = build("float[B,4,6,6] x => float[B,3,6,6] y", body, k=repeated, a=scale, w=(3, 4, 1, 1))
    assert operators(assert_folds(model).model) == ["Conv"]


@pytest.mark.parametrize("sum_of", ["Sum(m, b)", "Sum(b, m)", "Sum(k, m, b)"])
def test_a_sum_of_one_tensor_and_constants_is_a_shift(sum_of: str) -> None:
    given = {"k": ()} if "k" in sum_of else {}
    body = f"m = Mul(x, a) n = {sum_of} y = MatMul(n, w)"
    model = build("float[B,3,4] x => float[B,3,5] y", body, a=(4,), b=(4,), w=(4, 5), **given)
    folded = assert_folds(model)
    assert folded.report.sites[0].operators == ("Mul", "Sum")
    assert operators(folded.model) == ["MatMul", "Add"]
