"""MatMul and Einsum with a constant absorb what reaches them, unless a guard stops it."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import (
    NORM,
    assert_folds,
    build,
    fold_and_prove,
    operators,
    stored,
)

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


def test_the_new_weight_and_bias_are_the_formula() -> None:
    model = build(SIGNATURE, NORM + " p = MatMul(n, w) y = Add(p, c)", **WEIGHTS, c=(5,))
    old = {name: stored(value) for name, value in model.graph.initializers.items()}
    folded = assert_folds(model)
    new = {name: compute() for name, compute in folded.exact.items()}
    np.testing.assert_allclose(new["w"], old["a"][:, None] * old["w"], rtol=1e-15)
    np.testing.assert_allclose(new["c"], old["c"] + old["b"] @ old["w"], rtol=1e-14)
    assert operators(folded.model) == ["MatMul", "Add"]


def test_a_norm_behind_it_scales_its_columns() -> None:
    body = "p = MatMul(x, w) h = Add(p, c) m = Mul(h, a) y = Add(m, b)"
    model = build("float[B,3,5] x => float[B,3,4] y", body, a=(4,), b=(4,), w=(5, 4), c=(4,))
    old = {name: stored(value) for name, value in model.graph.initializers.items()}
    folded = assert_folds(model)
    new = {name: compute() for name, compute in folded.exact.items()}
    np.testing.assert_allclose(new["w"], old["w"] * old["a"], rtol=1e-15)
    np.testing.assert_allclose(new["c"], old["c"] * old["a"] + old["b"], rtol=1e-14)


@pytest.mark.parametrize("scale_only", [True, False])
def test_a_bias_is_gained_only_for_a_shift(scale_only: bool) -> None:
    body = "n = Mul(x, a) y = MatMul(n, w)" if scale_only else NORM + " y = MatMul(n, w)"
    weights = WEIGHTS if not scale_only else {k: WEIGHTS[k] for k in "aw"}
    folded = assert_folds(build(SIGNATURE, body, **weights))
    assert operators(folded.model) == ["MatMul"] + ["Add"] * (not scale_only)
    assert folded.report.gained_biases == (() if scale_only else ("y",))


def test_the_bias_gained_behind_the_norms_producer_is_read() -> None:
    """Bias and norm both change the readers of the same tensor."""
    body = "p = MatMul(x, w) m = Mul(p, a) y = Add(m, b)"
    folded = assert_folds(build("float[B,3,5] x => float[B,3,4] y", body, a=(4,), b=(4,), w=(5, 4)))
    matmul, add = folded.model.graph
    assert add.inputs[0] is matmul.outputs[0]
    assert add.outputs[0].name == "y"


@pytest.mark.parametrize("shape", [(5,), (1, 5), (1, 1, 5)])
@pytest.mark.parametrize("body", ["Add(p, c)", "Add(c, p)"])
def test_a_bias_of_any_rank_on_either_side(shape: tuple[int, ...], body: str) -> None:
    model = build(SIGNATURE, NORM + f" p = MatMul(n, w) y = {body}", **WEIGHTS, c=shape)
    folded = assert_folds(model)
    assert operators(folded.model) == ["MatMul", "Add"]
    assert folded.model.graph.initializers["c"].const_value.shape.numpy() == shape


def test_rank_2_and_rank_1_inputs() -> None:
    assert_folds(build("float[B,4] x => float[B,5] y", NORM + " y = MatMul(n, w)", **WEIGHTS))
    assert_folds(build("float[4] x => float[5] y", NORM + " y = MatMul(n, w)", **WEIGHTS))


@pytest.mark.parametrize(
    ("name", "dtype", "eps"),
    [
        ("double", np.float64, 2.0**-52),
        ("float16", np.float16, 2.0**-10),
        ("bfloat16", ml_dtypes.bfloat16, 2.0**-7),
    ],
)
def test_weights_keep_their_type(name: str, dtype: type, eps: float) -> None:
    signature = f"{name}[B,3,4] x => {name}[B,3,5] y"
    model = build(signature, NORM + " y = MatMul(n, w)", dtype=dtype, **WEIGHTS)
    folded = assert_folds(model, eps=eps)
    kept = {v.const_value.dtype for v in folded.model.graph.initializers.values()}
    assert kept == {model.graph.inputs[0].dtype}


@pytest.mark.parametrize(
    ("made", "source"),
    [
        ("w = Identity(w0)", {"w0": (4, 5)}),
        ("w = Transpose(w0)", {"w0": (5, 4)}),
        ("w = Cast<to=1>(w0)", {"w0": np.arange(20).reshape(4, 5)}),
        ("w = Where(which, w0, w1)", {"which": np.eye(4, 5) > 0, "w0": (4, 5), "w1": (4, 5)}),
    ],
)
def test_a_computed_weight_becomes_a_float_initializer(made: str, source: dict) -> None:
    model = build(SIGNATURE, f"{NORM} {made} y = MatMul(n, w)", a=(4,), b=(4,), **source)
    folded = assert_folds(model)
    assert operators(folded.model) == ["MatMul", "Add"]
    weight = folded.model.graph[0].inputs[1]
    assert weight is not None and weight.const_value.dtype == ir.DataType.FLOAT


def test_a_weight_in_a_constant_node() -> None:
    body = NORM + " w = Constant<value_floats=[1.0, -2.0, 3.0, 0.5]>() v = Reshape(w, s)"
    model = build(
        "float[B,3,4] x => float[B,3,1] y", body + " y = MatMul(n, v)", a=(4,), b=(4,), s=[4, 1]
    )
    assert operators(assert_folds(model).model) == ["MatMul", "Add"]


FORMS = {
    "the weight on the left": (
        "float[B,4,6] x => float[B,3,6] y",
        f"{NORM} p = MatMul(w, n) y = Add(p, c)",
        {"a": (4, 1), "b": (4, 1), "w": (3, 4), "c": (3, 1)},
    ),
    "a leading axis of 1": (
        "float[2,3,4] x => float[2,3,5] y",
        f"{NORM} p = MatMul(n, w) y = Add(p, c)",
        {"a": (4,), "b": (4,), "w": (1, 4, 5), "c": (5,)},
    ),
    "a weight a batch, and one norm": (
        "float[4,4] x => float[2,4,5] y",
        f"{NORM} p = MatMul(n, w) y = Add(p, c)",
        {"a": (4,), "b": (4,), "w": (2, 4, 5), "c": (2, 1, 5)},
    ),
    "a weight and a norm a head": (
        "float[B,2,3,4] x => float[B,2,3,5] y",
        f"{NORM} p = MatMul(n, w) y = Add(c, p)",
        {"a": (2, 1, 4), "b": (2, 1, 4), "w": (2, 4, 5), "c": (5,)},
    ),
    "a vector": (
        "float[B,3,4] x => float[B,3] y",
        f"{NORM} p = MatMul(n, w) y = Add(p, c)",
        {"a": (4,), "b": (4,), "w": (4,), "c": ()},
    ),
    "a vector on the left": (
        "float[B,4,3] x => float[B,3] y",
        f"{NORM} p = MatMul(w, n) y = Add(p, c)",
        {"a": (4, 1), "b": (4, 1), "w": (4,), "c": (1,)},
    ),
    "a linear layer by names": (
        "float[B,6,4] x => float[B,6,3] y",
        f'{NORM} p = Einsum<equation="bnc,cd->bnd">(n, w) y = Add(p, c)',
        {"a": (4,), "b": (4,), "w": (4, 3), "c": (3,)},
    ),
    "heads by names": (
        "float[B,6,2,3] x => float[B,5,6] y",
        f'{NORM} p = Einsum<equation="bnhd,hdo->bon">(n, w) y = Add(p, c)',
        {"a": (2, 3), "b": (2, 3), "w": (2, 3, 5), "c": (5, 1)},
    ),
    "an ellipsis, and no result named": (
        "float[B,6,4] x => float[B,6,3] y",
        f'{NORM} p = Einsum<equation="...c, cd">(n, w) y = Add(p, c)',
        {"a": (4,), "b": (4,), "w": (4, 3), "c": (3,)},
    ),
    "a sum over places": (
        "float[B,6,4] x => float[B,3] y",
        f'{NORM} p = Einsum<equation="bnc,cd->bd">(n, w) y = Add(p, c)',
        {"a": (4,), "b": (4,), "w": (4, 3), "c": (3,)},
    ),
    "no sum at all": (
        "float[B,4] x => float[B,4,3] y",
        f'{NORM} p = Einsum<equation="bc,cd->bcd">(n, w) y = Add(p, c)',
        {"a": (4,), "b": (4,), "w": (4, 3), "c": (4, 3)},
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_every_form_of_the_weight_in_front_of_its_bias(case: str) -> None:
    signature, body, weights = FORMS[case]
    folded = assert_folds(build(signature, body, **weights))
    assert len(operators(folded.model)) == 2 and folded.report.gained_biases == ()


@pytest.mark.parametrize("case", FORMS)
def test_every_form_of_the_weight_gains_a_bias(case: str) -> None:
    signature, body, weights = FORMS[case]
    body = body.split(" y = Add")[0].replace(" p =", " y =")
    folded = assert_folds(build(signature, body, **weights))
    assert operators(folded.model) in (["MatMul", "Add"], ["Einsum", "Add"])
    assert folded.report.gained_biases == ("y",)


def test_the_numbers_of_a_sum_over_places() -> None:
    """Three places, each shifted by 1 and 2, which the weights 10 and 100 meet."""
    model = build(
        "float[B,3,2] x => float[B] y",
        NORM + ' y = Einsum<equation="bnc,c->b">(n, w)',
        a=np.float32([2, 3]),
        b=np.float32([1, 2]),
        w=np.float32([10, 100]),
    )
    folded = assert_folds(model)
    new = sorted(compute().tolist() for compute in folded.exact.values() if compute.shape)
    (bias,) = [compute() for compute in folded.exact.values() if not compute.shape]
    assert new == [[20, 300]] and bias == 3 * (1 * 10 + 2 * 100)


def test_a_shift_summed_over_an_unknown_number_of_places_stays() -> None:
    body = NORM + ' y = Einsum<equation="bnc,cd->bd">(n, w)'
    model = build("float[B,N,4] x => float[B,5] y", body, a=(4,), b=(4,), w=(4, 5))
    folded = fold_and_prove(model)
    (site,) = folded.report.stayed
    assert "as often as an axis of unknown size has entries" in site.reason
    assert operators(folded.model) == ["Add", "Einsum"]
