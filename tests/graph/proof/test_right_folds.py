"""Right folds that are hard to prove: numbers far apart, and sizes that few numbers fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.graphs import build
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

_NORM = "m = Mul(t, a) y = Add(m, b)"
_ROWS = "f = Reshape(x, rows) p = MatMul(f, w) q = Add(p, c) k = Relu(q)"


def assert_proven(signature: str, body: str, **given: Any) -> None:
    model = build(signature, body, **given)
    folded = fold_graph(model.clone())
    assert folded.is_changed
    proof = prove(model, folded)
    assert proof.passed, proof.problems


@pytest.mark.parametrize(
    ("signature", "body", "tiny"),
    [
        (
            "double[1,3,4] x => double[1,4,4] y",
            "p = MatMul(x, w) t = Concat<axis=1>(p, k)",
            {"w": (4, 4), "k": np.full((1, 1, 4), 1e-7)},
        ),
        ("int64[B] x => double[B,4] y", "t = Gather(k, x)", {"k": np.full((9, 4), 1e-7)}),
        (
            "double[B,4] x => double[B,4] y",
            "t = Gemm(x, w, k)",
            {"w": np.full((4, 4), 1e-7), "k": np.full(4, 1e-9)},
        ),
    ],
    ids=["Concat", "Gather", "Gemm"],
)
def test_a_norm_behind_tiny_numbers_adds_large_ones(
    signature: str, body: str, tiny: dict[str, Any]
) -> None:
    """What the norm gave minus its shift keeps few digits of them."""
    assert_proven(signature, f"{body} {_NORM}", dtype=np.float64, a=(4,), b=(4,), **tiny)


@pytest.mark.parametrize(
    ("signature", "body", "channels"),
    [
        ("float[D,40,E] x => float[R,4] y", "t = MatMul(k, v) m = Mul(t, a) y = Relu(m)", 4),
        ("float[1,40,H,V] x => float[R,4] y", "m = Mul(k, a) y = MatMul(m, v)", 4),
        (
            "float[D,40,E] x => float[R,2,2] y",
            "u = MatMul(k, v) t = Reshape(u, pairs) m = Mul(t, a) y = Relu(m)",
            2,
        ),
    ],
    ids=["backward", "forward", "through a Reshape"],
)
def test_rows_of_76_of_what_is_open_are_whole_at_few_sizes(
    signature: str, body: str, channels: int
) -> None:
    given = {"a": (channels,), "c": (4,), "v": (4, 4), "w": (76, 4)}
    used = {name: shape for name, shape in given.items() if f"{name})" in f"{_ROWS} {body}"}
    pairs = {"pairs": [-1, 2, 2]} if "pairs" in body else {}
    assert_proven(signature, f"{_ROWS} {body}", rows=[-1, 76], **used, **pairs)


@pytest.mark.parametrize(
    ("inputs", "joined", "rows"),
    [
        ("float[1,3,4] x, float[B,3,4] z", "Concat<axis=2>(n, z)", 8),
        ("float[3,1,4] x, float[3,B,4] z", "Concat<axis=2>(z, n)", 8),
        ("float[1,3,4] x, float[B,3,4] z, float[D,3,2] v", "Concat<axis=2>(z, n, v)", 10),
    ],
    ids=["first axis", "second axis", "two others"],
)
def test_an_open_size_may_have_to_be_1(inputs: str, joined: str, rows: int) -> None:
    assert_proven(
        f"{inputs} => float[E,F,5] y",
        f"m = Mul(x, a) n = Add(m, b) j = {joined} y = MatMul(j, w)",
        a=(4,),
        b=(4,),
        w=(rows, 5),
    )


_LINEAR = "p = MatMul(t, w) y = Relu(p)"
COMPUTED = {
    "how often it is repeated": ("int64[1] z", "r = Concat<axis=0>(z, one, one) t = Tile(n, r)"),
    "where a slice ends, its axes behind a Constant": (
        "int64[1] z",
        "i = Constant<value_ints=[1]>() o = Constant<value_ints=[0]>() t = Slice(n, o, z, i)",
    ),
}


@pytest.mark.parametrize("case", COMPUTED)
def test_what_integers_of_the_caller_say(case: str) -> None:
    given, body = COMPUTED[case]
    used = {"one": [1]} if "one" in body else {}
    assert_proven(
        f"float[B,3,4] x, {given} => float[P,Q,5] y",
        f"m = Mul(x, a) n = Add(m, b) {body} {_LINEAR}",
        a=(4,),
        b=(4,),
        w=(4, 5),
        **used,
    )


def test_a_size_of_the_caller_to_resize_to() -> None:
    assert_proven(
        "float[B,4,H,W] x, int64[2] z => float[B,5,P,Q] y",
        "m = Mul(x, a) n = Add(m, b) s = Shape(x) c = Slice(s, zero, two) to = Concat<axis=0>(c, z)"
        ' t = Resize<mode="linear">(n, , , to) y = Conv(t, w)',
        a=(4, 1, 1),
        b=(4, 1, 1),
        w=(5, 4, 1, 1),
        zero=[0],
        two=[2],
    )


@pytest.mark.parametrize(
    ("between", "back"),
    [
        ("k = Transpose<perm=[0,2,1]>(p)", "l = Transpose<perm=[0,2,1]>(n)"),
        ("k = Reshape(p, apart)", "l = Reshape(n, whole)"),
        (
            "s = Transpose<perm=[0,2,1]>(p) k = Reshape(s, apart)",
            "u = Reshape(n, whole) l = Transpose<perm=[0,2,1]>(u)",
        ),
    ],
    ids=["Transpose", "Reshape", "both"],
)
def test_a_dead_channel_between_layouts_that_cancel_while_another_reads_the_first(
    between: str, back: str
) -> None:
    """In front of the norm a channel is lost; behind the second layout nothing leads to it."""
    a = np.array([0.5, 0, 2, 1], np.float32)
    shape = (4,) if "p, apart" in between else (4, 1, 1) if "s =" in between else (4, 1)
    signature = "float[2,3,4] x => float[2,3,4] y, float[] z"
    body = f"p = MatMul(x, w) {between} m = Mul(k, a) n = Add(m, b) {back} y = Neg(l) z = Tanh(n)"
    sizes = {"apart": [2, 3, 1, 4] if shape == (4,) else [2, 4, 3, 1]}
    sizes |= {"whole": [2, 3, 4] if shape == (4,) else [2, 4, 3]}
    used = {name: value for name, value in sizes.items() if f", {name})" in body}
    assert_proven(signature, body, w=(4, 4), a=a.reshape(shape), b=shape, **used)


@pytest.mark.parametrize(
    ("mask", "join"),
    [("bool", "Where(mask, n, fill)"), ("bool", "Where(mask, fill, n)"), ("float", "Mul(n, mask)")],
    ids=["Where", "the other branch", "Mul"],
)
def test_a_mask_of_three_open_sizes(mask: str, join: str) -> None:
    """It broadcasts where the first is the batch, and the others are 1 or those of the tensor."""
    norm = "n = Mul(x, a)" if "Mul" in join else "m = Mul(x, a) n = Add(m, b)"
    used = {"fill": np.zeros((), np.float32), "b": (4,)} if "Where" in join else {}
    body = f"{norm} t = {join} y = MatMul(t, w)"
    signature = f"float[R,3,4] x, {mask}[B,D,E] mask => float[] y"
    assert_proven(signature, body, a=(4,), w=(4, 5), **used)


@pytest.mark.parametrize(
    "random",
    [
        "r = RandomNormalLike(x)",
        "k = Sigmoid(x) r = Bernoulli(k)",
        "p = Constant<value_float=0.4>() t1 = Constant<value=bool {1}>() r = Dropout(x, p, t1)",
    ],
    ids=["RandomNormalLike", "Bernoulli", "Dropout in training"],
)
def test_the_shape_of_a_random_tensor_is_read(random: str) -> None:
    """Its numbers cannot be computed, and need not be."""
    body = (
        f"m = Mul(x, a) n = Add(m, b) {random} s = Shape(r) f = Flatten<axis=2>(n)"
        " t = Reshape(f, s) y = MatMul(t, w) z = Neg(r)"
    )
    signature = "float[2,3,4] x => float[2,3,5] y, float[2,3,4] z"
    assert_proven(signature, body, a=(4,), b=(4,), w=(4, 5))


@pytest.mark.parametrize("casts", [(11, 1), (10, 1), (1, 11)])
def test_a_cast_of_what_came_out_of_a_body(casts: tuple[int, int]) -> None:
    """The tensor in front of the norm has no known type, and reads like the one behind it."""
    first, second = casts
    branch = "{name} = {op}(x)"
    then, other = branch.format(name="u", op="Neg"), branch.format(name="v", op="Relu")
    body = (
        f"t = If(k) <then_branch = g () => (float[] u) {{ {then} }}, "
        f"else_branch = h () => (float[] v) {{ {other} }}> r = Reshape(t, rows) n = Mul(r, a)"
        f" c = Cast<to={first}>(n) d = Cast<to={second}>(c) e = Cast<to=1>(d) y = MatMul(e, w)"
    )
    signature = "float[2,4] x, bool k => float[2,5] y"
    assert_proven(signature, body, a=(4,), w=(4, 5), rows=[2, 4])


@pytest.mark.parametrize(
    ("signature", "pool", "image"),
    [
        ("float[B,4,H,W] x", "kernel_shape=[3,3], pads=[1,1,1,1]", [6, 6]),
        ("float[2,4,H,W] x", "kernel_shape=[3,3], pads=[1,1,1,1]", [3, 7]),
        ("float[B,4,S,S] x", "kernel_shape=[2,2], strides=[2,2]", [6, 6]),
    ],
    ids=["a square", "an oblong", "twice as long in front of a pool"],
)
def test_places_of_an_image_of_open_sizes_are_as_many_as_a_reshape_states(
    signature: str, pool: str, image: list[int]
) -> None:
    body = f"""m = Mul(x, a) t = AveragePool<{pool}>(m) f = Reshape(t, flat) n = Neg(f)
               i = Reshape(n, image) y = Conv(i, w)"""
    places = [0, 4, int(np.prod(image))]
    sizes = {"flat": places, "image": [0, 4, *image]}
    assert_proven(f"{signature} => float[] y", body, a=(4, 1, 1), w=(4, 4, 1, 1), **sizes)


@pytest.mark.parametrize(
    "cut",
    ["z = Min(i, no) s = Slice(k, z, nine)", "z = Max(i, no) s = Slice(k, no, z)"],
    ids=["starts", "ends"],
)
def test_a_slice_that_names_no_axes_has_as_many_starts_as_ends(cut: str) -> None:
    """One side comes from data and is as long as the other, not as the tensor has axes."""
    body = f"p = MatMul(x, w) m = Mul(p, a) n = Add(m, b) k = Add(n, n) {cut} y = MatMul(s, v)"
    given = {"no": [0], **({"nine": [9]} if "nine" in cut else {})}
    signature = "float[B,3,4] x, int64[D] i => float[] y"
    assert_proven(signature, body, w=(4, 4), v=(4, 5), a=(4,), b=(4,), **given)


@pytest.mark.parametrize("between", ["k = Identity(p)", "z = Shape(p) k = Reshape(p, z)"])
@pytest.mark.parametrize(
    "norm", ["m = Mul(k, a) n = Add(m, b)", "m = Add(k, b) n = Mul(m, a)"], ids=["Mul", "Add"]
)
def test_a_shape_read_inside_a_norm_of_which_the_shift_stays(between: str, norm: str) -> None:
    """It is read from the tensor in front of the Add that is left, of other numbers."""
    body = f"""p = MatMul(x, w) {between} {norm} s = Shape(m) t = Reshape(n, s) q = MatMul(k, v)
               r = Sigmoid(n) y = Add(q, r)"""
    signature = "float[B,S,4] x => float[B,S,4] y, float[B,S,4] t"
    far = np.array([825, -736, 708, 520], np.float32)
    assert_proven(signature, body, w=(4, 4), v=(4, 4), a=(4,), b=far)


@pytest.mark.parametrize(
    ("signature", "body", "shapes"),
    [
        (
            "float[B,96,96,64] x => float[B,64,96,64] y",
            "t = ConvTranspose(x, w) m = Mul(t, a) y = Add(m, b)",
            {"w": (96, 64, 1, 1), "a": (64, 1, 1), "b": (64, 1, 1)},
        ),
        (
            "float[B,640,640] x => float[B,640,640] y",
            f"t = MatMul(x, w) {_NORM}",
            {"w": (640, 640), "a": (640,), "b": (640,)},
        ),
        (
            "float[B,N,256,256] x => float[B,N,256,256] y",
            f"t = MatMul(x, w) {_NORM}",
            {"w": (256, 256), "a": (256,), "b": (256,)},
        ),
    ],
    ids=["an image", "rows", "two open sizes"],
)
def test_fixed_sizes_may_leave_little_room_for_open_ones(
    signature: str, body: str, shapes: dict[str, Any]
) -> None:
    """A batch of 3 is above a million numbers; places that are as many as channels stay so many."""
    assert_proven(signature, body, **shapes)
