"""Graphs run in float64, whatever types they were made of."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from tests.support.float64 import Float64, run
from tests.support.graphs import build, stored
from un_deploy.errors import InputError


def test_a_graph_is_its_formula_without_rounding() -> None:
    """In float16, 2048 + 1 is 2048, and a cast to float16 would lose it too."""
    body = "s = Add(x, one) c = Cast<to=10>(s) y = Sub(c, x)"
    model = build("float16[1] x => float16[1] y", body, one=np.float16([1]))
    outputs = run(model, {"x": np.float16([2048])}, stored)
    assert outputs["y"].dtype == np.float64
    assert outputs["y"].tolist() == [1.0]


def test_every_node_is_visited_with_its_inputs_and_outputs_alive() -> None:
    model = build("float[2] x => float[2] y", "h = Neg(x) k = Abs(h) y = Add(k, h)")
    seen = []

    def visit(node, values) -> None:  # type: ignore[no-untyped-def]
        assert all(value in values for value in (*node.inputs, *node.outputs))
        seen.append((node.op_type, sorted(str(value.name) for value in values)))

    run(model, {"x": np.ones(2)}, stored, visit)
    assert seen == [
        ("Neg", ["h", "x"]),
        ("Abs", ["h", "k"]),  # x is dropped behind its last reader
        ("Add", ["h", "k", "y"]),
    ]


def test_an_output_that_is_a_constant() -> None:
    model = build("float[2] x => float[2] y, float[2] w", "y = Mul(x, w)", w=(2,))
    assert run(model, {"x": np.ones(2)}, stored)["w"].shape == (2,)


def test_a_missing_input_is_named() -> None:
    model = build("float[2] x => float[2] y", "y = Neg(x)")
    with pytest.raises(InputError, match="no data for the graph input 'x'"):
        run(model, {}, stored)


def test_an_input_with_a_default_need_not_be_given() -> None:
    model = build("float[2] x => float[2] y", "y = Mul(x, a)", a=(2,))
    model.graph.inputs.append(model.graph.initializers["a"])
    default = stored(model.graph.initializers["a"])
    np.testing.assert_array_equal(run(model, {"x": np.ones(2)}, stored)["y"], default)
    given = run(model, {"x": np.ones(2), "a": np.zeros(2)}, stored)
    assert given["y"].tolist() == [0, 0]


def test_an_operator_that_fails_is_named() -> None:
    model = build("float[2] x => float[3] y", "y = Add(x, w)", w=(3,))
    with pytest.raises(InputError, match=r"node 'Add_0' \(Add\) cannot be run in float64"):
        run(model, {"x": np.ones(2)}, stored)


@pytest.mark.parametrize(("chosen", "wanted"), [(True, [-2.0, -2.0]), (False, [8.0, 8.0])])
def test_the_chosen_branch_runs_and_reads_what_is_around_it(
    chosen: bool, wanted: list[float]
) -> None:
    """h is read inside the branches alone, the outer ones and the inner one."""
    inner = (
        "() => (float[2] s) { s = Add(h, four) }, else_branch = f () => (float[2] r) { r = Neg(h) }"
    )
    then = "() => (float[2] u) { u = Neg(h) }"
    other = (
        f"() => (float[2] v) {{ k = Not(c) q = If(k) <then_branch = i {inner}> v = Add(q, two) }}"
    )
    body = f"h = Add(x, x) y = If(c) <then_branch = t {then}, else_branch = e {other}>"
    four, two = np.float32([4, 4]), np.float32([2, 2])
    model = build("float[2] x, bool c => float[2] y", body, four=four, two=two)
    outputs = run(model, {"x": np.ones(2), "c": np.array(chosen)}, stored)
    assert outputs["y"].tolist() == wanted


def test_a_loop_is_refused() -> None:
    step = "(int64 i, bool k, float[2] s) => (bool l, float[2] t) { l = Identity(k) t = Neg(s) }"
    body = f"y = Loop(n, c, x) <body = b {step}>"
    model = build("float[2] x, int64 n, bool c => float[2] y", body)
    with pytest.raises(InputError, match="'Loop_0' \\(Loop\\) has a body"):
        run(model, {"x": np.ones(2), "n": np.array(3), "c": np.array(True)}, stored)


def test_a_node_with_an_absent_input_and_several_outputs() -> None:
    model = build("float[4] x => float[2] p, float[2] q", "p, q = Split<num_outputs=2>(x, )")
    evaluate = Float64(model.opset_imports, 10)
    p, q = evaluate.node(model.graph[0], [np.arange(4, dtype=np.float32), None])
    assert p.tolist() == [0, 1] and q.tolist() == [2, 3] and p.dtype == np.float64


def evaluate(node: ir.Node, *inputs: np.ndarray, opset: int = 20) -> np.ndarray:
    return Float64({"": opset}, 10).node(node, inputs)[0]


@pytest.mark.parametrize("opset", [11, 13, 14, 15, 20])
def test_batch_normalization_uses_the_stored_statistics(opset: int) -> None:
    """Before opset 14 onnx's evaluator mixes in the batch's, whatever the momentum."""
    signature = "float[2,3,4] x, float[3] s, float[3] b, float[3] m, float[3] v => float[2,3,4] y"
    body = "y = BatchNormalization<epsilon=0.25, momentum=0.9>(x, s, b, m, v)"
    (node,) = build(signature, body, opset=opset).graph
    rng = np.random.default_rng(0)
    x, (s, b, m, v) = rng.standard_normal((2, 3, 4)), rng.uniform(0.5, 1.5, (4, 3, 1))
    got = evaluate(node, x, *(p.ravel() for p in (s, b, m, v)), opset=opset)
    np.testing.assert_allclose(got, s * (x - m) / np.sqrt(v + 0.25) + b, rtol=1e-14)


@pytest.mark.parametrize("spatial", [(5,), (5, 4), (2, 3, 4)])
def test_global_max_pool_of_any_rank(spatial: tuple[int, ...]) -> None:
    (node,) = build("float x => float y", "y = GlobalMaxPool(x)").graph
    x = np.random.default_rng(0).standard_normal((2, 3, *spatial))
    pooled = evaluate(node, x)
    assert pooled.shape == (2, 3, *[1] * len(spatial))
    assert pooled.ravel().tolist() == [x[i, c].max() for i in range(2) for c in range(3)]


@pytest.mark.parametrize(
    ("attributes", "spatial"),
    [
        ("", (5,)),
        ("strides=[2,3]", (5, 4)),
        ("strides=[2,2], pads=[1,0,2,1]", (5, 4)),
        ("strides=[3,2], output_padding=[2,1], pads=[1,1,1,1]", (5, 4)),
        ("dilations=[2,1], pads=[0,1,1,0]", (5, 4)),
        ('auto_pad="SAME_UPPER", strides=[2,2]', (5, 4)),
        ("output_shape=[11,9], strides=[2,2], pads=[0,0,0,0]", (5, 4)),
        ("strides=[2,1,2]", (2, 3, 4)),
    ],
)
def test_transposed_convolution_is_onnx_s_of_one_group(
    attributes: str, spatial: tuple[int, ...]
) -> None:
    text = (
        f"y = ConvTranspose<{attributes}>(x, w, b)" if attributes else "y = ConvTranspose(x, w, b)"
    )
    model = build("float x, float w, float b => float y", text)
    (node,) = model.graph
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in ((2, 3, *spatial), (3, 4, *[3] * len(spatial)), 4))
    got = evaluate(node, x, w, b)
    (wanted,) = ReferenceEvaluator(ir.to_proto(model)).run(None, {"x": x, "w": w, "b": b})
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-12)


def test_transposed_convolution_in_groups_is_one_a_group() -> None:
    (grouped,) = build(
        "float x, float w, float b => float y", "y = ConvTranspose<group=2, strides=[2,2]>(x, w, b)"
    ).graph
    (single,) = build(
        "float x, float w, float b => float y", "y = ConvTranspose<strides=[2,2]>(x, w, b)"
    ).graph
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in ((2, 6, 4, 5), (6, 2, 3, 3), 4))
    got = evaluate(grouped, x, w, b)
    first, second = (
        evaluate(single, x[:, half], w[half], b[out])
        for half, out in ((slice(3), slice(2)), (slice(3, 6), slice(2, 4)))
    )
    np.testing.assert_allclose(got, np.concatenate([first, second], axis=1), rtol=0, atol=1e-12)
