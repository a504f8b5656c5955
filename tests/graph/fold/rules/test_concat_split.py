"""Concat and Split: one gauge for all, or a piece of it each."""

from __future__ import annotations

import pytest

from tests.support.graphs import (
    NORM,
    assert_folds,
    assert_stays,
    build,
    fold_and_prove,
    operators,
)

PAIR = {"a": (4,), "b": (4,)}


def test_a_class_token_takes_the_norms_gauge() -> None:
    body = f"{NORM} t = Concat<axis=1>(cls, n) y = MatMul(t, w)"
    model = build("float[2,3,4] x => float[2,4,5] y", body, **PAIR, cls=(2, 1, 4), w=(4, 5))
    folded = assert_folds(model)
    assert {change.old for change in folded.report.changes} == {"cls", "w", None}


def test_one_norm_of_two_along_the_channels_is_joined_with_nothing() -> None:
    body = f"{NORM} t = Concat<axis=-1>(z, n) y = MatMul(t, w)"
    signature = "float[2,3,4] x, float[2,3,2] z => float[2,3,5] y"
    assert_folds(build(signature, body, **PAIR, w=(6, 5)))


def test_two_norms_along_the_channels_fold_one_after_the_other() -> None:
    body = f"{NORM} k = Mul(z, a2) o = Add(k, b2) t = Concat<axis=2>(n, o) y = MatMul(t, w)"
    signature = "float[2,3,4] x, float[2,3,2] z => float[2,3,5] y"
    folded = assert_folds(build(signature, body, **PAIR, a2=(2,), b2=(2,), w=(6, 5)))
    assert operators(folded.model) == ["Concat", "MatMul", "Add"]


def test_two_parts_along_the_channels_that_one_norm_reaches_on_ways_of_different_length() -> None:
    """The class and the mean of the patches, as DINOv2 reads them."""
    body = (
        f"{NORM} c = Gather<axis=1>(n, zero) p = Slice(n, one, last, one)"
        " r = ReduceMean<keepdims=0>(p, one) t = Concat<axis=1>(c, r) y = MatMul(t, w)"
    )
    places = {"zero": 0, "one": [1], "last": [9]}
    model = build("float[2,3,4] x => float[2,5] y", body, **PAIR, w=(8, 5), **places)
    folded = assert_folds(model)
    assert operators(folded.model) == ["Gather", "Slice", "ReduceMean", "Concat", "MatMul", "Add"]


def test_one_norm_used_on_two_parts_along_the_tokens() -> None:
    body = f"{NORM} k = Mul(z, a) o = Add(k, b) t = Concat<axis=1>(n, o) y = MatMul(t, w)"
    signature = "float[2,3,4] x, float[2,2,4] z => float[2,5,5] y"
    assert_folds(build(signature, body, **PAIR, w=(4, 5)))


def test_of_two_different_norms_on_parts_along_the_tokens_one_stays_and_takes_the_other_in() -> (
    None
):
    body = f"{NORM} k = Mul(z, a2) o = Add(k, b2) t = Concat<axis=1>(n, o) y = MatMul(t, w)"
    signature = "float[2,3,4] x, float[2,2,4] z => float[2,5,5] y"
    folded = fold_and_prove(build(signature, body, **PAIR, a2=(4,), b2=(4,), w=(4, 5)))
    assert [site.status for site in folded.report.sites] == ["folded", "stayed"]
    assert operators(folded.model) == ["Mul", "Add", "Concat", "MatMul", "Add"]


def test_tokens_scaled_one_by_one_are_joined() -> None:
    """The scale varies along the joined axis and along the channels."""
    body = "e = Gather(table, ids) c = Concat<axis=0>(e, cls) m = Mul(c, a) y = Add(m, b)"
    model = build(
        "int64[3,2] ids => float[5,2,4] y", body, a=(1, 4), b=(4,), table=(9, 4), cls=(2, 2, 4)
    )
    assert_folds(model)


def test_a_norm_behind_a_concat_is_cut_into_its_parts() -> None:
    body = """p = MatMul(x, v) q = MatMul(x, u) t = Concat<axis=-1>(p, q, p2) m = Mul(t, a)
              y = Add(m, b)"""
    model = build(
        "float[2,3,4] x => float[2,3,9] y",
        body,
        a=(9,),
        b=(9,),
        v=(4, 2),
        u=(4, 3),
        p2=(2, 3, 4),
    )
    folded = assert_folds(model)
    assert operators(folded.model) == ["MatMul", "Add", "MatMul", "Add", "Concat"]


@pytest.mark.parametrize("sizes", ["s", ""])
def test_a_split_of_channels(sizes: str) -> None:
    split = "Split<axis=2>(n, s)" if sizes else "Split<axis=2, num_outputs=2>(n)"
    first, second = (1, 3) if sizes else (2, 2)
    model = build(
        "float[2,3,4] x => float[2,3,5] y, float[2,3,5] z",
        f"{NORM} p, q = {split} y = MatMul(p, w) z = MatMul(q, v)",
        **PAIR,
        w=(first, 5),
        v=(second, 5),
        **({"s": [1, 3]} if sizes else {}),
    )
    assert_folds(model)


def test_a_split_of_tokens() -> None:
    model = build(
        "float[2,3,4] x => float[2,1,5] y, float[2,2,5] z",
        f"{NORM} p, q = Split<axis=1>(n, s) y = MatMul(p, w) z = MatMul(q, v)",
        **PAIR,
        w=(4, 5),
        v=(4, 5),
        s=[1, 2],
    )
    assert_folds(model)


def test_a_norm_behind_one_part_of_a_split_leaves_the_others_alone() -> None:
    model = build(
        "int64[3] ids => float[3,2] y, float[3,4] z",
        "e = Gather(table, ids) p, z = Split<axis=1>(e, s) m = Mul(p, a) y = Add(m, b)",
        a=(2,),
        b=(2,),
        table=(9, 6),
        s=[2, 4],
    )
    assert_folds(model)


def test_parts_of_unknown_size_along_the_joined_axis_are_refused() -> None:
    body = f"{NORM} r = Reshape(z, s) c = Concat<axis=2>(n, r) y = MatMul(c, w)"
    model = build(
        "float[2,3,4] x, float[2,N] z, int64[3] s => float[2,3,5] y", body, **PAIR, w=(8, 5)
    )
    assert_stays(model, "the size of 'r' along the joined axis is unknown")


def test_a_part_of_contradicted_rank_is_refused() -> None:
    body = f"{NORM} r = Neg(z) c = Concat<axis=2>(n, r) y = MatMul(c, w)"
    model = build(
        "float[2,3,4] x, float[2,3,4] z => float[2,3,5] y",
        body,
        **PAIR,
        w=(8, 5),
        claims="float[7] r",
    )
    assert_stays(model, "the size of 'r' along the joined axis is unknown")
