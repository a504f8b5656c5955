"""Layout chains left by a removed norm: the identity goes, everything else stays."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.cancel_layouts import Cancelled, cancel_layouts


def _model(
    body: str, inputs: str = "float[B, N, 6] x", outputs: str = "float[B, N, 6] y"
) -> ir.Model:
    text = f'<ir_version: 9, opset_import: ["": 17]> g ({inputs}) => ({outputs}) {body}'
    return ir.from_proto(onnx.parser.parse_model(text))


def _value(model: ir.Model, name: str) -> ir.Value:
    return next(v for node in model.graph for v in node.outputs if v.name == name)


def _cancel(model: ir.Model, seed: str) -> list[Cancelled]:
    return cancel_layouts(model, Shapes(model), [_value(model, seed)])


def _operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def _run(model: ir.Model, **feeds: np.ndarray) -> list[np.ndarray]:
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    return ReferenceEvaluator(proto).run(None, feeds)


# What a norm over (batch, channels, tokens, 1) leaves, `c` being where its arithmetic was.
STATIC = """{
    a = Relu(x)
    t = Transpose<perm = [0, 2, 1]>(a)
    to = Constant<value = int64[3] {0, 6, -1}>()
    r = Reshape(t, to)
    three = Constant<value = int64[1] {3}>()
    c = Unsqueeze(r, three)
    back = Constant<value = int64[3] {0, 6, -1}>()
    s = Reshape(c, back)
    u = Transpose<perm = [0, 2, 1]>(s)
    y = Relu(u)
}"""
FROM_SHAPE = """{
    a = Relu(x)
    t = Transpose<perm = [0, 2, 1]>(a)
    size = Shape(t)
    zero = Constant<value = int64 {0}>()
    one = Constant<value = int64 {1}>()
    two = Constant<value = int64 {2}>()
    front = Constant<value = int64[1] {0}>()
    b = Gather(size, zero)
    ch = Gather(size, one)
    n = Gather(size, two)
    b1 = Unsqueeze(b, front)
    c1 = Unsqueeze(ch, front)
    n1 = Unsqueeze(n, front)
    rest = Constant<value = int64[1] {-1}>()
    to = Concat<axis = 0>(b1, c1, rest)
    r = Reshape(t, to)
    three = Constant<value = int64[1] {3}>()
    c = Unsqueeze(r, three)
    back = Concat<axis = 0>(b1, c1, n1)
    s = Reshape<allowzero = 1>(c, back)
    u = Transpose<perm = [0, 2, 1]>(s)
    y = Relu(u)
}"""


@pytest.mark.parametrize("body", [STATIC, FROM_SHAPE], ids=["constant targets", "from Shape"])
def test_the_chain_of_a_removed_norm_goes_with_all_that_fed_it(body: str):
    model = _model(body)
    x = np.random.default_rng(0).standard_normal((2, 5, 6), dtype=np.float32)
    before = _run(model, x=x)

    (cancelled,) = _cancel(model, seed="c")

    assert (cancelled.kept, cancelled.removed) == ("a", "u")
    assert _operators(model) == ["Relu", "Relu"]
    np.testing.assert_array_equal(_run(model, x=x), before)


def test_axes_of_unsqueeze_as_an_attribute_and_squeeze_of_a_rank_2_input():
    body = """{
        a = Relu(x)
        w = Unsqueeze<axes = [1]>(a)
        t = Transpose<perm = [0, 2, 1]>(w)
        c = Unsqueeze<axes = [3]>(t)
        s = Squeeze<axes = [3]>(c)
        u = Transpose<perm = [0, 2, 1]>(s)
        v = Squeeze<axes = [1]>(u)
        y = Relu(v)
    }"""
    text = f'<ir_version: 7, opset_import: ["": 11]> g (float[B, 6] x) => (float[B, 6] y) {body}'
    model = ir.from_proto(onnx.parser.parse_model(text))

    assert [c.kept for c in _cancel(model, seed="c")] == ["a"]
    assert _operators(model) == ["Relu", "Relu"]


def test_tensors_inside_the_chain_may_be_read_elsewhere():
    body = STATIC.replace("y = Relu(u)", "y = Relu(u) z = Relu(t)")
    model = _model(body, outputs="float[B, N, 6] y, float[B, 6, N] z")
    x = np.random.default_rng(0).standard_normal((2, 5, 6), dtype=np.float32)
    before = _run(model, x=x)

    assert [c.removed for c in _cancel(model, seed="c")] == ["u"]
    assert _operators(model) == ["Relu", "Transpose", "Relu", "Relu"]
    for got, expected in zip(_run(model, x=x), before, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_chain_that_ends_in_an_output_hands_its_name_and_type_to_the_start():
    body = STATIC.replace("y = Relu(u)", "").replace("u = Transpose", "y = Transpose")
    model = _model(body, outputs="float[batch, seq, 6] y")
    shapes = Shapes(model)

    (cancelled,) = cancel_layouts(model, shapes, [_value(model, "c")])

    assert (cancelled.kept, cancelled.removed) == ("a", "y")
    (output,) = model.graph.outputs
    assert output.name == "y"
    assert output.shape == ir.Shape(["batch", "seq", 6])
    assert shapes.of(output) == shapes.of(model.graph.inputs[0])
    assert _operators(model) == ["Relu"]


def test_an_input_cannot_take_an_output_s_name_so_the_outer_pair_stays():
    body = STATIC.replace("a = Relu(x)", "").replace("(a)", "(x)")
    body = body.replace("y = Relu(u)", "").replace("u = Transpose", "y = Transpose")
    model = _model(body)

    _cancel(model, seed="c")

    assert _operators(model) == ["Transpose", "Transpose"]
    assert [output.name for output in model.graph.outputs] == ["y"]


def test_chains_without_a_seed_are_the_user_s():
    body = STATIC.replace("y = Relu(u)", "m = Relu(u) i = Identity(m) y = Relu(i)")
    model = _model(body)

    assert [c.removed for c in _cancel(model, seed="c")] == ["u"]
    assert _operators(model) == ["Relu", "Relu", "Identity", "Relu"]


@pytest.mark.parametrize(
    "body",
    [
        "t = Transpose<perm = [0, 2, 1]>(a) y = Relu(t)",
        # The shape is the first shape at the end, but the two axes of 16 have changed places.
        "t = Transpose<perm = [0, 2, 1]>(a) r = Reshape(t, same) y = Relu(r)",
        "f = Reshape(a, flat) t = Transpose<perm = [1, 0]>(f) r = Reshape(t, same) y = Relu(r)",
    ],
)
def test_a_permutation_stays_though_the_shapes_agree(body: str):
    constants = """
        same = Constant<value = int64[3] {0, 16, 16}>()
        flat = Constant<value = int64[2] {-1, 16}>()"""
    square = "float[B, 16, 16]"
    model = _model(f"{{ a = Relu(x) {constants} {body} }}", f"{square} x", f"{square} y")
    before = _operators(model)

    assert _cancel(model, seed="a") == []
    assert _operators(model) == before


def test_an_axis_split_and_merged_again_is_the_identity_and_otherwise_not():
    body = """{
        a = Relu(x)
        heads = Constant<value = int64[4] {0, 0, 2, 3}>()
        whole = Constant<value = int64[3] {0, 0, 6}>()
        h = Reshape(a, heads)
        t = Transpose<perm = [0, 2, 1, 3]>(h)
        u = Transpose<perm = [0, 2, 1, 3]>(t)
        v = Reshape(u, whole)
        y = Relu(v)
    }"""
    model = _model(body)
    assert [c.removed for c in _cancel(model, seed="t")] == ["v"]

    # (heads, 3) read as (3, heads): the same six channels in another order.
    mixed = body.replace("[0, 2, 1, 3]>(t)", "[0, 2, 3, 1]>(t)")
    model = _model(mixed)
    assert _cancel(model, seed="t") == []


def test_tokens_merged_into_the_batch_come_apart_again():
    body = """{
        a = Relu(x)
        rows = Constant<value = int64[2] {-1, 6}>()
        c = Reshape(a, rows)
        size = Shape(a)
        s = Reshape(c, size)
        y = Relu(s)
    }"""
    model = _model(body)
    assert [c.removed for c in _cancel(model, seed="c")] == ["s"]
    assert _operators(model) == ["Relu", "Relu"]


def test_an_unknown_target_is_not_cancelled():
    body = """{
        a = Relu(x)
        c = Reshape(a, target)
        s = Reshape(c, target)
        y = Relu(s)
    }"""
    model = _model(body, inputs="float[B, N, 6] x, int64[3] target")
    assert _cancel(model, seed="c") == []
    assert _operators(model) == ["Relu", "Reshape", "Reshape", "Relu"]


def test_a_reader_inside_a_branch_is_rewired_and_its_chain_left_alone():
    body = """{
        a = Relu(x)
        c = Transpose<perm = [0, 2, 1]>(a)
        u = Transpose<perm = [0, 2, 1]>(c)
        y = If (k) <then_branch = p () => (float[B, N, 6] v) { v = Neg(u) },
                    else_branch = q () => (float[B, N, 6] w) {
                        w = Transpose<perm = [0, 2, 1]>(c) }>
    }"""
    model = _model(body, inputs="float[B, N, 6] x, bool k")
    feeds = {"x": np.random.default_rng(0).standard_normal((2, 5, 6), dtype=np.float32)}
    before = [_run(model, **feeds, k=np.array(k)) for k in (True, False)]

    assert [c.removed for c in _cancel(model, seed="c")] == ["u"]
    assert _operators(model) == ["Relu", "Transpose", "If"]
    after = [_run(model, **feeds, k=np.array(k)) for k in (True, False)]
    np.testing.assert_array_equal(after, before)


def test_a_tensor_read_as_a_target_is_not_on_the_chain():
    body = """{
        c = Constant<value = int64[1] {1}>()
        y = Reshape(x, c)
    }"""
    model = _model(body, inputs="int64[1] x", outputs="int64[1] y")
    assert _cancel(model, seed="c") == []
    assert _operators(model) == ["Constant", "Reshape"]


TWINS = {
    "a Transpose": ("Transpose<perm = [0, 2, 1]>(f)", "Transpose<perm = [0, 2, 1]>(s)", True),
    "a Transpose to another order": ("Transpose<perm = [2, 0, 1]>(f)", "Flatten(s)", False),
    "a Reshape and a Flatten": ("Reshape(f, rows)", "Flatten(s)", True),
    "a Reshape to another shape": ("Reshape(f, wide)", "Flatten(s)", False),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("case", TWINS)
def test_what_both_readers_make_of_a_tensor_is_made_once(case: str, first: bool) -> None:
    """A norm stood between a Conv's flattened map and the stream, and both transpose it."""
    one, other, alike = TWINS[case]
    norm = "r = Reshape(f, four) s = Reshape(r, three)"
    parts = [f"p = {one} q = Relu(p)", f"{norm} u = {other} v = Relu(u)"]
    body = " ".join(parts if first else parts[::-1])
    constants = " ".join(
        f"{name} = Constant<value = int64[{len(sizes)}] {{{', '.join(map(str, sizes))}}}>()"
        for name, sizes in {"four": (2, 6, 9, 1), "three": (2, 6, 9), "rows": (2, 54)}.items()
    )
    constants += " wide = Constant<value = int64[2] {4, 27}>()"
    shapes = (
        "float[N, M, K] q, float[P, R, S] v" if one[0] == "T" else "float[N, M] q, float[P, R] v"
    )
    if one[0] == "T" and not alike:
        shapes = "float[N, M, K] q, float[P, R] v"
    model = _model(f"{{ f = Relu(x) {constants} {body} }}", "float[2, 6, 9] x", shapes)
    x = np.random.default_rng(0).standard_normal((2, 6, 9)).astype(np.float32)
    before = _run(model, x=x)
    _cancel(model, "r")
    left = [op for op in _operators(model) if op not in ("Constant", "Relu")]
    assert len(left) == (1 if alike else 2)
    for got, want in zip(_run(model, x=x), before, strict=True):
        np.testing.assert_array_equal(got, want)
