"""Affines of one tensor that part and meet again are one."""

from __future__ import annotations

import pytest

from tests.support.graphs import NORM, assert_folds, build, fold_and_prove, operators

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "a2": (4,), "w": (4, 5), "c": (5,)}
HEAD = "p = MatMul(t, w) y = Add(p, c)"

ONE = {
    "a norm beside its input times a number": f"{NORM} k = Mul(x, half) t = Add(n, k)",
    "a norm beside its input": f"{NORM} t = Add(n, x)",
    "what a scale takes away": "m = Mul(x, a) d = Sub(x, m) t = Add(b, d)",
    "a scale that takes its input away": "m = Mul(x, a) d = Sub(m, x) t = Add(b, d)",
    "two norms": f"{NORM} k = Mul(x, a2) l = Add(k, b) t = Sub(n, l)",
    "three branches": f"{NORM} k = Mul(x, a2) l = Add(n, k) t = Add(l, x)",
    "branches of a branch": f"{NORM} k = Mul(n, a2) l = Sub(n, k) t = Add(l, x)",
    "branches that meet in a Sum": "m = Mul(x, a) k = Mul(x, a2) l = Sum(m, k, x) t = Add(l, b)",
    "a constant in that Sum": "m = Mul(x, a) k = Mul(x, a2) t = Sum(m, b, k)",
    "a branch behind an Identity": f"{NORM} i = Identity(x) k = Mul(i, a2) t = Sub(n, k)",
    "a batch norm beside its input, as RepBN trains": (
        "z = Transpose<perm=[0,2,1]>(x) q = BatchNormalization(z, a, b, b, a2)"
        " k = Mul(z, half) s = Add(q, k) t = Transpose<perm=[0,2,1]>(s)"
    ),
    "with affines before and behind": (
        "x1 = Mul(x, a2) m = Mul(x1, a) d = Add(m, x1) d1 = Sub(d, b) t = Mul(d1, a)"
    ),
}


@pytest.mark.parametrize("case", ONE)
def test_they_fold_as_one(case: str) -> None:
    body = f"{ONE[case]} {HEAD}"
    given = WEIGHTS | {"half": ()}
    used = {
        name: shape for name, shape in given.items() if f" {name}" in body or f"({name}" in body
    }
    folded = assert_folds(build(SIGNATURE, body, **used))
    assert len(folded.report.sites) == 1
    left = [op for op in operators(folded.model) if op != "Transpose"]
    assert left == ["MatMul", "Add"]


def test_a_tensor_between_that_others_read_keeps_them_apart() -> None:
    body = f"{NORM} k = Mul(x, a2) t = Add(n, k) {HEAD} z = Relu(n)"
    signature = f"{SIGNATURE}, float[B,3,4] z"
    folded = fold_and_prove(build(signature, body, **WEIGHTS))
    assert [site.operators for site in folded.report.stayed] == [("Mul", "Add"), ("Mul",)]


def test_a_sum_of_affines_of_two_tensors_is_none() -> None:
    body = f"{NORM} k = Mul(z, a2) t = Add(n, k) {HEAD}"
    signature = "float[B,3,4] x, float[B,3,4] z => float[B,3,5] y"
    folded = fold_and_prove(build(signature, body, **WEIGHTS))
    assert len(folded.report.sites) == 2
