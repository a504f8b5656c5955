"""A gauge moves with the elements, or is refused where it cannot."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import (
    NORM,
    assert_folds,
    assert_stays,
    build,
    feeds_for,
    fold_and_prove,
    operators,
    to_bytes,
)
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

SIGNATURE = "float[B,3,6] x => float[B,3,5] y"
WEIGHTS = {"a": (6,), "b": (6,), "w": (6, 5)}

FORWARD = {
    "transpose": ("float[3,6] x => float[6,2] y", "t = Transpose(n)", (3, 2)),
    "a permutation that is no swap": (
        "float[6,2,3] x => float[2,3,5] y",
        "t = Transpose<perm=[1,2,0]>(n)",
        (6, 5),
    ),
    "heads": ("float[B,3,6] x => float[B,3,2,5] y", "t = Reshape(n, [0,0,2,3])", (3, 5)),
    "flatten": ("float[B,2,3] x => float[B,5] y", "t = Flatten(n)", (6, 5)),
    "squeeze": ("float[B,1,6] x => float[B,5] y", "t = Squeeze(n, [1])", (6, 5)),
    "unsqueeze": (SIGNATURE.replace("3,5", "1,3,5"), "t = Unsqueeze(n, [1])", (6, 5)),
    "identity": (SIGNATURE, "t = Identity(n)", (6, 5)),
    "inference dropout": (SIGNATURE, "t = Dropout(n)", (6, 5)),
    "expand to more axes": ("float[3,6] x => float[2,3,5] y", "t = Expand(n, [2,3,6])", (6, 5)),
}


def with_lists(body: str) -> tuple[str, dict[str, list[int]]]:
    """``Reshape(n, [2,3])`` with the list as an initializer."""
    if "[" not in body or "<" in body:
        return body, {}
    start, end = body.index("["), body.index("]")
    numbers = [int(entry) for entry in body[start + 1 : end].split(",")]
    return f"{body[:start]}shape{body[end + 1 :]}", {"shape": numbers}


@pytest.mark.parametrize("case", FORWARD)
def test_forward(case: str) -> None:
    signature, body, weight = FORWARD[case]
    body, lists = with_lists(body)
    scale = {
        "transpose": (3, 1),
        "a permutation that is no swap": (6, 1, 1),
        "flatten": (2, 1),
    }.get(case, (6,))
    model = build(signature, f"{NORM} {body} y = MatMul(t, w)", a=scale, b=scale, w=weight, **lists)
    if case == "heads":
        # Every head has scales of its own, which one weight cannot hold.
        assert_stays(model, "the scale varies along axis 2 and along the channels")
    else:
        assert_folds(model)


def test_heads_split_and_merged_again() -> None:
    body = f"""{NORM} h = Reshape(n, split) t = Transpose<perm=[0,2,1,3]>(h) r = Neg(t)
               u = Transpose<perm=[0,2,1,3]>(r) m2 = Reshape(u, merge) y = MatMul(m2, w)"""
    model = build(SIGNATURE, body, **WEIGHTS, split=[0, 0, 2, 3], merge=[0, 0, 6])
    assert_folds(model)


BACKWARD = {
    "transpose": ("Transpose<perm=[2,0,1]>(e)", (2, 6, 3), (6, 1)),
    "merge": ("Reshape(e, [3,12])", (3, 12), (12,)),
    "flatten": ("Flatten<axis=2>(e)", (6, 6), (6,)),
    "unsqueeze": ("Unsqueeze(e, [0])", (1, 3, 2, 6), (6,)),
    "expand": ("Expand(e, [4,3,2,6])", (4, 3, 2, 6), (6,)),
    "identity": ("Identity(e)", (3, 2, 6), (6,)),
}


@pytest.mark.parametrize("case", BACKWARD)
def test_backward_into_a_table(case: str) -> None:
    move, shape, scale = BACKWARD[case]
    if case == "transpose":
        shape, scale = (6, 3, 2), (6, 1, 1)
    move, lists = with_lists(move)
    sizes = ",".join(map(str, shape))
    model = build(
        f"int64[3] ids => float[{sizes}] y",
        f"e = Gather(table, ids) r = {move} m = Mul(r, a) y = Add(m, b)",
        a=scale,
        b=scale,
        table=(9, 2, 6),
        **lists,
    )
    assert operators(assert_folds(model).model)[0] == "Gather"


@pytest.mark.parametrize(
    ("narrow", "wide", "to"),
    [("float16", "float", 1), ("bfloat16", "float", 1), ("float", "double", 11)],
)
@pytest.mark.parametrize("told", [True, False], ids=["told", "inferred"])
def test_a_cast_to_a_wider_type_carries(narrow: str, wide: str, to: int, told: bool) -> None:
    types = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float": np.float32}
    kind = types[narrow]
    model = build(
        f"{narrow}[B,4] x => {wide}[B,5] y",
        f"{NORM} c = Cast<to={to}>(n) y = MatMul(c, w)",
        a=np.array([0.5, 1, 2, 4], kind),
        b=np.array([1, 0, -1, 2], kind),
        w=np.ones((4, 5), types.get(wide, np.float64)),
        claims=f"{narrow}[B,4] n" if told else "",
    )
    folded = assert_folds(model)
    assert folded.model.graph.initializers["w"].dtype == ir.DataType(to)


def cast(to: int, types: str, claims: str, **constants: object) -> ir.Model:
    narrow, wide = types.split()
    return build(
        f"{narrow}[B,4] x => {wide}[B,5] y",
        f"{NORM} c = Cast<to={to}>(n) y = MatMul(c, w)",
        claims=claims,
        **constants,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("claims", ["float[B,4] n", ""], ids=["told", "inferred"])
def test_a_cast_that_rounds_lets_through_what_is_about_one(claims: str) -> None:
    weights = {"a": (4,), "b": (4,), "w": np.ones((4, 5), np.float16)}
    folded = assert_folds(cast(10, "float float16", claims, **weights), eps=2.0**-11)
    assert operators(folded.model) == ["Cast", "MatMul", "Add"]


@pytest.mark.parametrize(("to", "kind"), [(10, "float16"), (16, "bfloat16")])
def test_half_types_behind_a_float32_norm_in_onnx_runtimes_numbers(to: int, kind: str) -> None:
    """Norm and rounding change places: the errors stay those of the half type."""
    eps = {"float16": 2.0**-11, "bfloat16": 2.0**-8}[kind]
    body = f"{NORM} c = Cast<to={to}>(n) d = Cast<to=1>(c) y = MatMul(d, w)"
    model = build("float[64,4] x => float[64,5] y", body, a=(4,), b=(4,), w=(4, 5))
    folded = fold_graph(model.clone())
    assert folded.report.folded and prove(model, folded).passed
    feeds = feeds_for(model)
    onnxruntime = pytest.importorskip("onnxruntime")
    before, after = (
        onnxruntime.InferenceSession(to_bytes(one)).run(None, feeds)[0]
        for one in (model, folded.model)
    )
    np.testing.assert_allclose(after, before, rtol=0, atol=16 * eps * np.abs(before).max())


ONES = np.ones((4, 5), np.float16)
NARROW = {
    "a scale that overflows": ({"a": np.float32([1, 300, 1, 1]), "b": (4,)}, "of channel 1"),
    "a scale of nothing": (
        {"a": np.float32([1, 1, 1, 0]), "b": (4,)},
        "of channel 3 is far from 1",
    ),
    "a shift that drowns": (
        {"a": (4,), "b": np.float32([0, 0, -100, 0])},
        "the shift of channel 2 is large",
    ),
}


@pytest.mark.parametrize("case", NARROW)
def test_a_cast_that_would_round_other_numbers_is_refused(case: str) -> None:
    weights, reason = NARROW[case]
    model = cast(10, "float float16", "", **weights, w=ONES)
    folded = fold_and_prove(model, eps=2.0**-10)
    (site,) = folded.report.stayed
    assert "narrower type" in site.reason and reason in site.reason


def test_a_cast_to_or_from_whole_numbers_is_refused() -> None:
    weights = {"a": (4,), "b": (4,), "w": np.ones((4, 5), np.int64)}
    reason = "it casts to or from a type that is not known to be floating"
    assert_stays(cast(7, "float int64", "float[B,4] n", **weights), reason)


REFUSALS = {
    "a reshape that mixes tokens and channels": (
        "float[B,3,6] x => float[B,2,5] y",
        f"{NORM} t = Reshape(n, s) y = MatMul(t, w)",
        {"a": (6,), "b": (6,), "w": (9, 5), "s": [0, 2, 9]},
        "the scale varies along axis 1 and along the channels",
    ),
    "a reshape that mixes channels with an axis of unknown size": (
        "float[B,N,6] x => float[B,M] y",
        f"{NORM} t = Flatten(n) y = Neg(t)",
        {"a": (6,), "b": (6,)},
        "it mixes an axis along which the scale varies with one of unknown size",
    ),
    "a reshape to a computed shape": (
        "float[B,3,6] x, int64[2] s => float[B,5] y",
        f"{NORM} t = Reshape(n, s) y = MatMul(t, w)",
        WEIGHTS,
        "it mixes an axis along which the scale varies with one of unknown size",
    ),
    "an expand along the channels": (
        "int64[3] ids => float[3,6] y",
        "e = Gather(table, ids) r = Expand(e, s) m = Mul(r, a) y = Add(m, b)",
        {"a": (6,), "b": (6,), "table": (9, 1), "s": [3, 6]},
        "it repeats along an axis on which the scale or shift varies",
    ),
    "an expand to more axes, which vary": (
        "int64[3] ids => float[4,3,6] y",
        "e = Gather(table, ids) r = Expand(e, s) m = Mul(r, a) y = Add(m, b)",
        {"a": (4, 1, 1), "b": (4, 1, 1), "table": (9, 6), "s": [4, 3, 6]},
        "it repeats along an axis on which the scale or shift varies",
    ),
    "a dropout in training": (
        SIGNATURE,
        f"{NORM} t = Dropout(n, ratio, training) y = MatMul(t, w)",
        {**WEIGHTS, "ratio": np.array(0.5, np.float32), "training": np.array(True)},
        "it drops elements at inference",
    ),
    "a dropout whose mode is an input": (
        "float[B,3,6] x, bool training => float[B,3,5] y",
        f"{NORM} t = Dropout(n, ratio, training) y = MatMul(t, w)",
        {**WEIGHTS, "ratio": np.array(0.5, np.float32)},
        "it drops elements at inference",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_it_refuses(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)


def test_a_dropout_told_to_be_at_inference_carries() -> None:
    constants = {"ratio": np.array(0.5, np.float32), "training": np.array(False)}
    body = f"{NORM} t = Dropout(n, ratio, training) y = MatMul(t, w)"
    assert_folds(build(SIGNATURE, body, **WEIGHTS, **constants))


@pytest.mark.parametrize("claim", ["float[7] n", "float[7] t"])
def test_a_reshape_of_or_to_a_contradicted_shape_is_refused(claim: str) -> None:
    name = claim[-1]
    body = "m = Mul(x, a) k = Add(m, b) n = Identity(k) t = Reshape(n, s) y = MatMul(t, w)"
    model = build(SIGNATURE, body, **WEIGHTS, s=[0, 0, 6], claims=claim)
    assert_stays(model, f"the shape of '{name}' is unknown")


def test_axes_that_are_merged_may_be_split_again() -> None:
    """Batch and channels, and back; and heads of a batch as attention merges them."""
    body = f"{NORM} r = Reshape(n, s) t = Reshape(r, u) y = Conv(t, w, c)"
    weights = {"a": (4, 1), "b": (4, 1), "w": (3, 4, 1), "c": (3,)}
    model = build("float[2,4,5] x => float[2,3,5] y", body, **weights, s=[8, 5], u=[2, 4, 5])
    assert operators(assert_folds(model).model) == ["Conv"]
    body = f"{NORM} r = Reshape(n, s) t = Reshape(r, u) y = MatMul(t, w)"
    model = build(
        "float[2,3,7,4] x => float[2,3,7,5] y", body, a=(3, 1, 4), b=(3, 1, 4), w=(3, 4, 5),
        s=[6, 7, 4], u=[2, 3, 7, 4],
    )  # fmt: skip
    assert_folds(model)


WINDOWS = (
    "s = Shape(x) g = Slice(s, zero, one) h = Slice(s, one, two) v = Slice(s, two, three)"
    " h2 = Div(h, two) v2 = Div(v, two) to = Concat<axis=0>(g, h2, two, v2, two, four)"
)
INTEGERS: dict[str, list[int]] = {"zero": [0], "one": [1], "two": [2], "three": [3], "four": [4]}
INTEGERS |= {"rows": [-1, 4, 4]}


def test_windows_of_open_sizes_keep_the_channels_last() -> None:
    """That H and 2 * floor(H / 2) are equal, only the Reshape knows."""
    moved = "r = Reshape({}, to) t = Transpose<perm=[0,1,3,2,4,5]>(r) u = Reshape(t, rows)"
    forward = f"{WINDOWS} {NORM} {moved.format('n')} y = MatMul(u, w)"
    signature = "float[B,H,W,4] x => float[M,4,5] y"
    folded = assert_folds(build(signature, forward, a=(4,), b=(4,), w=(4, 5), **INTEGERS))
    assert "Mul" not in operators(folded.model)
    backward = f"{WINDOWS} p = MatMul(x, w) {moved.format('p')} m = Mul(u, a) y = Add(m, b)"
    signature = "float[B,H,W,4] x => float[M,4,4] y"
    assert_folds(build(signature, backward, a=(4,), b=(4,), w=(4, 4), **INTEGERS))


def test_a_batch_of_unknown_size_is_merged_with_rows() -> None:
    body = f"{NORM} r = Reshape(n, to) y = MatMul(r, w)"
    signature = "float[B,T,4] x, int64[3] to => float[P,Q,5] y"
    assert_stays(build(signature, body, a=(4,), b=(4,), w=(4, 5)), "with one of unknown size")
    body = f"{NORM} c = Concat<axis=0>(to, four) r = Reshape(n, c) y = MatMul(r, w)"
    signature = "float[B,T,4] x, int64[2] to => float[P,Q,5] y"
    assert_folds(build(signature, body, a=(4,), b=(4,), w=(4, 5), four=[4]))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("m = Concat<axis=0>(minus, five)", "s = Concat<axis=0>(minus, four, five)"),
        ("m = Concat<axis=0>(minus, five)", "h = Shape(x) s = Identity(h)"),
        (
            "h = Shape(x) b = Slice(h, zero, one) c = Mul(b, four) m = Concat<axis=0>(c, five)",
            "s = Concat<axis=0>(b, four, five)",
        ),
    ],
)
def test_a_batch_of_unknown_size_merged_with_the_channels_and_split_again(
    first: str, second: str
) -> None:
    moved = f"{first} {second} r = Reshape({{}}, m) t = Reshape(r, s)"
    numbers = {"minus": [-1], "zero": [0], "one": [1], "four": [4], "five": [5]}
    used = {name: given for name, given in numbers.items() if name in first + second}
    weights = {"w": (4, 4, 1), "a": (4, 1), "d": (4, 1)}
    signature = "float[B,4,5] x => float[B,4,5] y"
    norm = "k = Mul({}, a) n = Add(k, d)"
    for body in (
        f"{norm.format('x')} {moved.format('n')} y = Conv(t, w)",
        f"p = Conv(x, w) {moved.format('p')} {norm.format('t')} y = Relu(n)",
    ):
        folded = assert_folds(build(signature, body, **weights, **used))
        assert "Reshape" not in operators(folded.model)
