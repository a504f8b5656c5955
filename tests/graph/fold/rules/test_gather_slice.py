"""Gather and Slice pick elements; a gauge passes, or is picked too."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_folds, assert_stays, build, fold_and_prove, operators
from un_deploy.graph.fold.fold import fold_graph

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,)}


@pytest.mark.parametrize("index", [0, -1, [0, 2], [[0, 2], [1, 1]]])
def test_a_gather_of_tokens(index: object) -> None:
    rank = np.ndim(index)
    out = ",".join(("2", *"2" * rank, "5"))
    model = build(
        f"float[2,3,4] x => float[{out}] y",
        f"{NORM} t = Gather<axis=1>(n, i) y = MatMul(t, w)",
        **WEIGHTS,
        w=(4, 5),
        i=index,
    )
    assert_folds(model)


def test_a_gather_of_channels_picks_their_scales() -> None:
    model = build(
        "float[2,3,4] x => float[2,3,5] y",
        f"{NORM} t = Gather<axis=-1>(n, i) y = MatMul(t, w)",
        **WEIGHTS,
        w=(2, 5),
        i=[3, -3],
    )
    assert_folds(model)


@pytest.mark.parametrize("index", [4, -5, 2**40])
@pytest.mark.parametrize("size", ["4", "C"])
def test_a_gather_beyond_the_end_lets_nothing_through(index: int, size: str) -> None:
    """No runtime runs it, but a damaged file may hold it."""
    model = build(
        f"float[2,3,{size}] x => float[2,3,5] y",
        f"{NORM} t = Gather<axis=-1>(n, i) y = MatMul(t, w)",
        **WEIGHTS,
        w=(2, 5),
        i=[0, index],
    )
    assert not fold_graph(model).report.folded


def test_a_gather_of_one_token_picks_its_shift() -> None:
    """The scale varies over the channels, the shift over the tokens."""
    model = build(
        "float[2,3,4] x => float[2,5] y",
        "m = Mul(x, a) k = Mul(m, a2) n = Add(k, b) t = Gather<axis=1>(n, i) y = MatMul(t, w)",
        a=(1, 3, 4),
        a2=(4,),
        b=(1, 3, 1),
        w=(4, 5),
        i=1,
    )
    assert_folds(model)


def test_an_embedding_takes_the_norm_behind_it() -> None:
    body = "e = Gather(table, ids) m = Mul(e, a) y = Add(m, b)"
    model = build("int64[B,3] ids => float[B,3,4] y", body, **WEIGHTS, table=(9, 4))
    assert operators(assert_folds(model).model) == ["Gather"]


def test_one_table_read_by_two_is_copied_for_the_one_with_the_norm() -> None:
    body = "e = Gather(table, ids) m = Mul(e, a) y = Add(m, b) z = Gather(table, ids)"
    signature = "int64[B,3] ids => float[B,3,4] y, float[B,3,4] z"
    folded = assert_folds(build(signature, body, **WEIGHTS, table=(9, 4)))
    (change,) = folded.report.changes
    assert (change.old, change.new) == ("table", "table_folded")


SLICES = {
    "tokens": ([1], [3], [1], [1], "2,4"),
    "tokens from the end": ([-2], [1000], [1], [1], "2,4"),
    "channels": ([1], [3], [2], [1], "3,2"),
    "channels from the end": ([-3], [2**62], [-1], [1], "3,3"),
    "every second channel": ([0], [4], [2], [2], "3,2"),
    "channels reversed": ([-1], [-(2**62)], [2], [-1], "3,4"),
    "channels reversed to an end that lies just outside": ([3], [-5], [2], [-1], "3,4"),
    "channels reversed to the second": ([3], [0], [2], [-1], "3,3"),
    "tokens and channels": ([0, 1], [2, 4], [1, 2], [1, 2], "2,2"),
}


@pytest.mark.parametrize("case", SLICES)
def test_slices(case: str) -> None:
    starts, ends, axes, steps, out = SLICES[case]
    model = build(
        f"float[2,3,4] x => float[2,{out.split(',')[0]},5] y",
        f"{NORM} t = Slice(n, starts, ends, axes, steps) y = MatMul(t, w)",
        **WEIGHTS,
        w=(int(out.split(",")[1]), 5),
        starts=starts,
        ends=ends,
        axes=axes,
        steps=steps,
    )
    assert_folds(model)


def test_a_slice_without_axes_or_steps() -> None:
    body = f"{NORM} t = Slice(n, i, e) y = MatMul(t, w)"
    model = build("float[2,3,4] x => float[1,3,5] y", body, **WEIGHTS, w=(4, 5), i=[1], e=[2])
    assert_folds(model)
    every = build(
        "float[2,3,4] x => float[2,3,5] y", body, **WEIGHTS, w=(2, 5), i=[0, 0, 2], e=[2, 3, 4]
    )
    assert_folds(every)


def test_a_slice_of_tokens_at_computed_places() -> None:
    body = f"{NORM} t = Slice(n, i, e, axis) y = MatMul(t, w)"
    signature = "float[2,3,4] x, int64[1] i, int64[1] e => float[2,T,5] y"
    assert_folds(build(signature, body, **WEIGHTS, w=(4, 5), axis=[1]))


TABLE = "e0 = Gather(table, ids)"


@pytest.mark.parametrize(("first", "last", "step"), [(0, 2, 1), (1, 4, 2), (-2, 2**40, 1)])
def test_a_norm_behind_cut_channels_leaves_the_others(first: int, last: int, step: int) -> None:
    body = f"{TABLE} t = Slice(e0, i, k, axis, s) m = Mul(t, a) y = Add(m, b)"
    body += " r = Slice(e0, j, l, axis) z = Sigmoid(r)"
    model = build(
        "int64[3] ids => float[3,2] y, float[3,1] z", body, a=(2,), b=(2,), table=(9, 4),
        i=[first], k=[last], axis=[1], s=[step], j=[2], l=[3],
    )  # fmt: skip
    if 2 in range(4)[first:last:step]:
        assert "Sigmoid_5 (Sigmoid)" in fold_and_prove(model).report.stayed[0].reason
    else:
        assert_folds(model)


REFUSALS = {
    "a gather of channels that the input names": (
        "float[2,3,4] x, int64[2] i => float[2,3,5] y",
        f"{NORM} t = Gather<axis=2>(n, i) y = MatMul(t, w)",
        {**WEIGHTS, "w": (2, 5)},
        "it picks along an axis on which the scale varies",
    ),
    "a norm behind picked channels": (
        "int64[3] ids => float[3,2] y",
        f"{TABLE} t = Gather<axis=1>(e0, i) m = Mul(t, a) y = Add(m, b)",
        {"a": (2,), "b": (2,), "table": (9, 4), "i": [0, 2]},
        "it picks along an axis on which the scale varies",
    ),
    "a norm over the rows of an embedding": (
        "int64[4] ids => float[4,6] y",
        f"{TABLE} m = Mul(e0, a) y = Add(m, b)",
        {"a": (4, 1), "b": (4, 1), "table": (9, 6)},
        "it picks along an axis on which the scale varies",
    ),
    "a norm behind channels cut backwards": (
        "int64[3] ids => float[3,2] y",
        f"{TABLE} t = Slice(e0, i, k, axis, s) m = Mul(t, a) y = Add(m, b)",
        {"a": (2,), "b": (2,), "table": (9, 4), "i": [3], "k": [-9], "axis": [1], "s": [-2]},
        "it cuts along an axis on which the scale varies",
    ),
    "channels cut at a computed place": (
        "float[2,3,4] x, int64[1] i, int64[1] e => float[2,3,5] y",
        f"{NORM} t = Slice(n, i, e, axis) y = MatMul(t, w)",
        {**WEIGHTS, "w": (2, 5), "axis": [2]},
        "it cuts along an axis on which the scale varies",
    ),
    "channels cut to a computed place": (
        "float[2,3,4] x, int64[1] e => float[2,3,5] y",
        f"{NORM} t = Slice(n, i, e, axis) y = MatMul(t, w)",
        {**WEIGHTS, "w": (2, 5), "axis": [2], "i": [0]},
        "it cuts along an axis on which the scale varies",
    ),
    "a slice along computed axes": (
        "float[2,3,4] x, int64[1] axis => float[2,3,5] y",
        f"{NORM} t = Slice(n, i, e, axis) y = MatMul(t, w)",
        {**WEIGHTS, "w": (4, 5), "i": [0], "e": [4]},
        "its axes are computed",
    ),
    "a slice in computed steps": (
        "float[2,3,4] x, int64[1] step => float[2,3,5] y",
        f"{NORM} t = Slice(n, i, e, axis, step) y = MatMul(t, w)",
        {**WEIGHTS, "w": (4, 5), "i": [0], "e": [4], "axis": [2]},
        "its steps are computed",
    ),
    "a slice along unknown axes": (
        "float[2,3,4] x, int64[K] i, int64[K] e => float[2,3,5] y",
        f"{NORM} t = Slice(n, i, e) y = MatMul(t, w)",
        {**WEIGHTS, "w": (4, 5)},
        "its number of axes is unknown",
    ),
    "a gather beyond the last channel": (
        "float[2,3,4] x => float[2,3,2] y",
        f"{NORM} t = Gather<axis=2>(n, i) y = Relu(t)",
        {"a": (4,), "b": (4,), "i": [1, 4]},
        "it picks beyond the end of its axis",
    ),
    "a gather at places of unknown rank": (
        "float[2,3,4] x, int64[2] j => float[2,2,5] y",
        f"{NORM} i = Identity(j) t = Gather<axis=1>(n, i) y = MatMul(t, w)",
        {**WEIGHTS, "w": (4, 5), "claims": "int64[7,7] i"},
        "the shape of 'i' is unknown",
    ),
    "a gather of data of unknown rank": (
        "float[2,3,4] x, int64[2] i => float[2,2,5] y",
        f"{NORM} d = Identity(n) t = Gather<axis=1>(d, i) y = MatMul(t, w)",
        {**WEIGHTS, "w": (4, 5), "claims": "float[7] d"},
        "the shape of 'd' is unknown",
    ),
}


def test_norms_behind_parts_that_are_picked_apart() -> None:
    """Q and K of one projection, as TorchScript parts them; V stays as it is."""
    body = (
        "p = MatMul(x, w) f = Add(p, c) r = Reshape(f, s) t = Transpose<perm=[2,0,1,3]>(r)"
        " q = Gather(t, zero) k = Gather(t, one) v = Gather(t, two)"
        " m = Mul(q, a) n = Add(m, b) o = Mul(k, d) y = Relu(n) z = Tanh(o) u = Neg(v)"
    )
    model = build(
        "float[B,T,4] x => float[B,T,4] y, float[B,T,4] z, float[B,T,4] u",
        body,
        w=(4, 12),
        c=(12,),
        s=[0, 0, 3, 4],
        zero=0,
        one=1,
        two=2,
        a=(4,),
        b=(4,),
        d=(4,),
    )
    folded = assert_folds(model)
    assert not {"Mul", "Sub"} & set(operators(folded.model))


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)


def test_fixed_positions_stay_a_lookup_in_their_table() -> None:
    """A static export looks fixed positions up; the table takes the norm in, whole."""
    model = build(
        "float[B,3,4] x => float[B,3,4] y",
        "p = MatMul(x, w) t = Gather(table, rows) s = Add(p, t) m = Mul(s, a) y = Add(m, b)",
        w=(4, 4),
        a=(4,),
        b=(4,),
        table=(9, 4),
        rows=[0, 1, 2],
    )
    folded = assert_folds(model)
    assert operators(folded.model) == ["MatMul", "Gather", "Add"]
    assert folded.model.graph.initializers["table"].shape == (9, 4)
