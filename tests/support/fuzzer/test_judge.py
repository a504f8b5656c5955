"""The judge says wrong where answers differ, and nothing where rounding or chance explains it."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from tests.support.fuzzer import judge as judge_module
from tests.support.fuzzer.feeds import feeds
from tests.support.fuzzer.judge import Judgement, judge
from tests.support.graphs import build

pytest.importorskip("onnxruntime")

SIGNATURE = "{T}[B,4] x => {T}[B,4] y"
W = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
TYPES = {"float": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
EVERY_TYPE = pytest.mark.parametrize("dtype", TYPES)


def judged(one: str, other: str, dtype: str = "float", **constants: Any) -> Judgement:
    """Two bodies from x to y, with the constants w and v among others."""
    given = {"w": W, "v": W, **constants}
    original, folded = (
        ir.to_proto(
            build(
                SIGNATURE.replace("{T}", dtype),
                body,
                **{k: a.astype(TYPES[dtype]) for k, a in given.items() if f" {k})" in body},
            )
        )
        for body in (one, other)
    )
    return judge(original, folded, feeds(original, 0), np.dtype(TYPES[dtype]))


@EVERY_TYPE
def test_the_same_is_right_and_no_share_of_the_allowance(dtype: str) -> None:
    assert judged("y = MatMul(x, w)", "y = MatMul(x, w)", dtype) == Judgement()


@EVERY_TYPE
def test_another_order_of_rounding_is_right(dtype: str) -> None:
    half = np.full(4, 1 / 3)
    one, other = "m = Mul(x, h) y = MatMul(m, w)", "m = MatMul(x, w) y = Mul(m, h)"
    found = judged(one, other, dtype, h=half)
    assert not found.wrong and not found.not_judged and 0 < found.share < 0.5


@EVERY_TYPE
def test_a_weight_that_is_off_is_wrong(dtype: str) -> None:
    off = W.copy()
    off[0, 0] += 0.001 if dtype == "float" else 0.5
    found = judged("y = MatMul(x, w)", "y = MatMul(x, v)", dtype, v=off)
    assert "output 0 is off by" in found.wrong


def test_an_exact_zero_that_rounding_spoils_is_right() -> None:
    """x - x and (x + x / 3) - x / 3 - x are both nothing, but for rounding."""
    third = np.full(4, 1 / 3)
    body = "k = MatMul(x, w) m = Mul(k, h) a = Add(k, m) b = Sub(a, m) y = Sub(b, k)"
    found = judged("k = MatMul(x, w) a = Add(k, k) b = Sub(a, k) y = Sub(b, k)", body, h=third)
    assert not found.wrong and found.share > 0


def test_what_a_half_type_leaves_of_an_exact_zero_is_right() -> None:
    """ONNX Runtime takes t before it is rounded from what it has rounded of it."""
    third = np.full(4, 1 / 3, np.float32)
    constants = {"h": third, "v": W * third}
    rest = "p = Transpose<perm=[1, 0]>(t) q = Transpose<perm=[1, 0]>(p) k = Sub(t, q)"
    one, other = f"m = MatMul(x, w) t = Mul(m, h) {rest}", f"t = MatMul(x, v) {rest}"
    found = judged(f"{one} y = Abs(k)", f"{other} y = Abs(k)", "float16", **constants)
    assert not found.wrong and not found.not_judged
    assert judged(f"{one} y = Abs(k)", f"{other} y = Add(k, h)", "float16", **constants).wrong


def test_a_cast_of_large_numbers_whose_mean_goes_is_right() -> None:
    """Near 800 float16 has steps of 0.5, one rounding an entry: no mean takes these out."""
    cast = "c = Cast<to=10>(n) d = Cast<to=1>(c) z = MatMul(d, w)"
    mean = "i = Constant<value_ints = [0]>() k = ReduceMean(z, i) y = Sub(z, k)"
    one = f"n = Add(x, h) {cast} {mean}"
    constants = {"h": np.full(4, 800.1), "g": np.full(4, 800.3)}
    found = judged(one, one.replace("(x, h)", "(x, g)"), **constants)
    assert not found.wrong and 0 < found.share < 0.2  # one factor for all: 0.32


def test_another_shape_is_wrong_and_so_is_what_does_not_run() -> None:
    one = "y = MatMul(x, w)"
    assert (
        "not float32(2, 4)"
        in judged(
            one, "m = MatMul(x, w) i = Constant<value_ints = [0]>() y = Unsqueeze(m, i)"
        ).wrong
    )
    other = "m = MatMul(x, w) y = Gemm(m, k)"
    assert "does not run" in judged(one, other, k=np.ones((3, 4))).wrong


def test_what_is_not_twice_the_same_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, run = np.random.default_rng(0), judge_module._run

    def noisy(*given: Any) -> list[np.ndarray]:
        return [array + rng.standard_normal(array.shape) for array in run(*given)]

    monkeypatch.setattr(judge_module, "_run", noisy)
    found = judged("y = MatMul(x, w)", "y = MatMul(x, w)")
    assert found.not_judged == "the original gives other numbers each time"


def test_random_operators_with_a_seed_are_judged() -> None:
    random = "m = RandomNormalLike<seed=3.0>(x) y = Add(x, m)"
    assert judged(random, random) == Judgement()
    assert "off by" in judged(random, random.replace("3.0", "4.0")).wrong


def test_numbers_that_are_not_finite_are_not_judged() -> None:
    body = "k = Mul(x, h) y = Div(x, k)"
    assert "no output is finite" in judged(body, body, h=np.zeros(4)).not_judged


def test_digits_that_a_usual_shift_costs_a_small_number_are_rounding() -> None:
    """A condition may choose nothing but a small constant, which a fold shifts there and back."""
    shifted = np.float32(0.04) - np.full(4, 1.7, np.float32)
    signature = "float[B,4] x, bool[B,1] keep => float[B,4] y"
    constants = {"w": W, "small": np.full(4, 0.04, np.float32), "b": np.full(4, 1.7, np.float32)}
    one = build(signature, "n = Add(x, b) t = Where(keep, n, small) y = MatMul(t, w)", **constants)
    two = build(
        signature,
        "t = Where(keep, x, small) p = MatMul(t, w) y = Add(p, v)",
        **{**constants, "small": shifted, "v": constants["b"] @ W},
    )
    pair = [ir.to_proto(model) for model in (one, two)]
    for keep in (False, True):
        given = {"x": W, "keep": np.full((4, 1), keep)}
        both = [given, {**given, "keep": np.full((4, 1), True)}]
        assert not judge(*pair, both, np.dtype(np.float32)).wrong
    wrong = ir.to_proto(build(signature, "t = Where(keep, x, small) y = MatMul(t, w)", **constants))
    assert judge(pair[0], wrong, both, np.dtype(np.float32)).wrong


def test_a_single_integer_beside_it_tells_nothing_of_size() -> None:
    model = ir.to_proto(
        build(
            "float[B,4] x => float[B,4] y, int64 n",
            "y = MatMul(x, w) s = Shape(x) n = Gather<axis=0>(s, first)",
            w=W, first=np.array(0),
        )
    )  # fmt: skip
    assert judge(model, model, feeds(model, 0), np.dtype(np.float32)) == Judgement()
