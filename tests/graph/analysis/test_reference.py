"""Graphs run in float64, whatever types they were made of."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tests.support.graphs import build, stored
from un_deploy.errors import InputError
from un_deploy.graph.analysis.reference import Float64, is_floating, run, widen


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_real_numbers_are_widened(dtype: type) -> None:
    assert widen(np.ones(2, dtype)).dtype == np.float64


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.int8])
def test_other_numbers_are_left(dtype: type) -> None:
    assert widen(np.ones(2, dtype)).dtype == dtype


def test_is_floating() -> None:
    model = build("float[2] x, int64[2] i, bool b => float[2] y", "y = Neg(x)")
    assert [is_floating(v.dtype) for v in model.graph.inputs] == [True, False, False]
    assert not is_floating(None)


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
