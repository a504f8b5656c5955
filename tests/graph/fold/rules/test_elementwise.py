"""Sums keep one scale and place the shift; constant factors pass what they can."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import (
    NORM,
    assert_folds,
    assert_stays,
    build,
    fold_and_prove,
    operators,
)

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


@pytest.mark.parametrize("sum_of", ["Add(n, t)", "Add(t, n)", "Sub(n, t)", "Sub(t, n)"])
@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 4), (3, 1), ()])
def test_a_table_takes_the_shift_in(sum_of: str, shape: tuple[int, ...]) -> None:
    """Both are scaled; the table grows to the channels if it must."""
    model = build(SIGNATURE, f"{NORM} s = {sum_of} y = MatMul(s, w)", **WEIGHTS, t=shape)
    folded = assert_folds(model)
    assert folded.report.gained_biases == ()


@pytest.mark.parametrize("sum_of", ["Add(p, t)", "Add(t, p)", "Sub(p, t)", "Sub(t, p)"])
def test_read_backwards_the_table_takes_the_shift_before_a_bias_is_gained(sum_of: str) -> None:
    body = f"p = MatMul(x, w) s = {sum_of} m = Mul(s, a) y = Add(m, b)"
    weights = {"a": (5,), "b": (5,), "w": (4, 5), "t": (1, 3, 5)}
    folded = assert_folds(build(SIGNATURE, body, **weights))
    assert operators(folded.model) == ["MatMul", sum_of[:3]]
    assert folded.report.gained_biases == ()


@pytest.mark.parametrize("sum_of", ["Add(p, q)", "Add(q, p)", "Sub(p, q)", "Sub(q, p)"])
def test_a_branch_with_a_linear_operator_takes_the_shift(sum_of: str) -> None:
    """The other branch is only scaled: an embedding here, a residual stream elsewhere."""
    body = f"""p = MatMul(x, w) p0 = Relu(x) q0 = MatMul(p0, v) q = Add(q0, c)
               s = {sum_of} m = Mul(s, a) y = Add(m, b)"""
    weights = {"a": (5,), "b": (5,), "w": (4, 5), "v": (4, 5), "c": (5,)}
    assert_folds(build(SIGNATURE, body, **weights))


def test_a_sum_of_a_tensor_with_itself_is_scaled() -> None:
    model = build(SIGNATURE, "n = Mul(x, a) s = Add(n, n) y = MatMul(s, w)", a=(4,), w=(4, 5))
    assert_folds(model)
    both = build(SIGNATURE, f"{NORM} s = Add(n, n) y = MatMul(s, w)", **WEIGHTS)
    assert_folds(both)


@pytest.mark.parametrize("factor", ["Mul(n, k)", "Mul(k, n)", "Div(n, k)", "Neg(n)"])
def test_a_constant_factor_between_norm_and_linear_operator(factor: str) -> None:
    model = build(SIGNATURE, f"{NORM} t = {factor} y = MatMul(t, w)", **WEIGHTS, k=())
    folded = assert_folds(model)
    left = ["Neg"] if factor == "Neg(n)" else []  # a factor goes as well
    assert operators(folded.model) == [*left, "MatMul", "Add"]


@pytest.mark.parametrize("factor", ["Mul(n, k)", "Mul(k, n)", "Div(n, k)"])
def test_a_norm_passes_a_factor_that_stands_elsewhere(factor: str) -> None:
    body = f"{NORM} t = {factor} u = Dropout(t) y = MatMul(u, w)"
    folded = assert_folds(build(SIGNATURE, body, **WEIGHTS, k=()))
    assert operators(folded.model) == [factor[:3], "Dropout", "MatMul", "Add"]


@pytest.mark.parametrize("factor", ["Mul(e, k)", "Div(e, k)", "Neg(e)"])
def test_read_backwards_a_constant_factor_divides_the_shift(factor: str) -> None:
    body = f"e = Gather(table, ids) t = {factor} m = Mul(t, a) y = Add(m, b)"
    model = build("int64[3] ids => float[3,4] y", body, a=(4,), b=(4,), table=(9, 4), k=())
    folded = assert_folds(model)
    assert operators(folded.model) == ["Gather", factor[:3]]


def test_a_factor_of_zero_forward_leaves_nothing_of_the_shift() -> None:
    zero = np.zeros((), np.float32)
    assert_folds(build(SIGNATURE, f"{NORM} t = Mul(n, k) y = MatMul(t, w)", **WEIGHTS, k=zero))


def test_the_half_of_gelu_stays_inside_it() -> None:
    """x * 0.5 * (1 + erf(x / sqrt(2))) behind a linear operator, then a norm."""
    body = """p = MatMul(x, w) g = Div(p, root) e = Erf(g) f = Add(e, one) h = Mul(p, f)
              u = Mul(h, half) m = Mul(u, a) n = Add(m, b) y = MatMul(n, v)"""
    scalars = {"root": 2**0.5, "one": 1.0, "half": 0.5}
    model = build(
        SIGNATURE,
        body,
        a=(6,),
        b=(6,),
        w=(4, 6),
        v=(6, 5),
        **{name: np.array(number, np.float32) for name, number in scalars.items()},
    )
    folded = assert_folds(model)
    assert " ".join(operators(folded.model)) == "MatMul Div Erf Add Mul Mul MatMul Add"
    assert folded.report.folded[0].operators == ("Mul", "Add")


def test_an_attention_scale_between_norm_and_softmax_is_no_norm() -> None:
    body = """q = MatMul(x, w) k = Transpose<perm=[0,2,1]>(x) l = MatMul(q, k) s = Mul(l, r)
              y = Softmax(s)"""
    model = build("float[B,3,4] x => float[B,3,3] y", body, w=(4, 4), r=())
    assert fold_and_prove(model).report.sites == ()


REFUSALS = {
    "a product of two computed tensors": (
        SIGNATURE,
        f"{NORM} g = Sigmoid(x) t = Mul(n, g) y = Tanh(t)",
        {"a": (4,), "b": (4,)},
        "Mul_3 (Mul): a shift would be multiplied by a tensor",
    ),
    "a division by the tensor": (
        SIGNATURE,
        f"{NORM} t = Div(k, n) y = MatMul(t, w)",
        {**WEIGHTS, "k": ()},
        "Div_2 (Div): it divides by the tensor",
    ),
    "a factor of zero, read backwards": (
        "int64[3] ids => float[3,4] y",
        "e = Gather(table, ids) z = Mul(e, k) m = Mul(z, a) y = Add(m, b)",
        {"a": (4,), "b": (4,), "table": (9, 4), "k": np.zeros((), np.float32)},
        "its constant holds a zero",
    ),
    "channels that the other operand broadcasts": (
        "float[B,3,4] x, float[B,3,1] z => float[B,3,5] y",
        f"{NORM} s = Add(n, z) y = MatMul(s, w)",
        WEIGHTS,
        "'z' is broadcast along axis 2, on which the scale varies",
    ),
    "an operand of fewer axes": (
        "float[3,4] x, float[4] z => float[3,5] y",
        f"{NORM} s = Add(n, z) y = MatMul(s, w)",
        {"a": (3, 1), "b": (3, 1), "w": (4, 5)},
        "'z' is broadcast along axis 0, on which the scale varies",
    ),
    "a product that widens the tensor": (
        "int64[1] ids => float[3,4] y",
        "e = Gather(table, ids) z = Mul(e, k) m = Mul(z, a) y = Add(m, b)",
        {"a": (3, 1), "b": (3, 1), "table": (9, 4), "k": (3, 1)},
        "'e' is broadcast along axis 0, on which the scale varies",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)


@pytest.mark.parametrize(
    ("claim", "reason"),
    [("float[7] s", "the shape of 's' is unknown"), ("float[7] z", "the shape of 'z' is unknown")],
)
def test_a_file_that_contradicts_itself_is_not_believed(claim: str, reason: str) -> None:
    body = f"{NORM} z = Relu(x) s = Add(n, z) y = MatMul(s, w)"
    assert_stays(build(SIGNATURE, body, **WEIGHTS, claims=claim), reason)


def test_a_scale_along_an_axis_of_each_factor() -> None:
    body = "u = Relu(x) v = Relu(z) m = Mul(u, v) y = Mul(m, a)"
    model = build("float[2,3,1] x, float[2,1,4] z => float[2,3,4] y", body, a=(3, 4))
    assert_stays(model, "its operands repeat along the axis on which the scale varies")
