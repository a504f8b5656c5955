"""Bodies of an If, a Loop and a Scan are converted as the graph around them is."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

pytest.importorskip("onnxruntime")

from onnx.reference import ReferenceEvaluator

from tests.support.graphs import build, feeds_for
from tests.support.networks.foreign import NETWORKS
from un_deploy.errors import InputError
from un_deploy.graph.precision.bodies import all_types, every_graph, every_node
from un_deploy.graph.precision.convert import Precision, PrecisionReport, to_precision

HALF = {"fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}
EPS = {"fp16": 2.0**-10, "bf16": 2.0**-7}


@pytest.fixture(params=list(HALF))
def precision(request: pytest.FixtureRequest) -> Precision:
    return request.param


def converted(model: ir.Model, precision: Precision) -> tuple[ir.Model, PrecisionReport]:
    result, report = to_precision(model, precision)
    onnx.checker.check_model(ir.to_proto(result), full_check=True)
    return result, report


def computed(model: ir.Model, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return ReferenceEvaluator(ir.to_proto(model)).run(None, feeds)[0]


def made(model: ir.Model, operator: str) -> set[str]:
    """The types of what all operators of a type make."""
    types = all_types(model)
    return {
        ir.DataType(types[node.outputs[0]].tensor_type.elem_type).name
        for node in every_node(model.graph)
        if node.op_type == operator
    }


BRANCHES = """
    h = Relu(x)
    i = If (c) <
        then_branch = g1 () => (float[2,3] t) { t = Add(h, w) },
        else_branch = g2 () => (float[2,3] e) { e = Neg(h) }
    >
    y = Add(i, w)
"""


def test_branches_compute_in_half_and_give_fp32(precision: Precision) -> None:
    model = build("float[2,3] x, bool c => float[2,3] y", BRANCHES, w=(2, 3))
    result, report = converted(model, precision)
    assert report.kept == ()
    half = HALF[precision].name
    assert (made(result, "Add"), made(result, "Neg"), made(result, "If")) == (
        {half},
        {half},
        {"FLOAT"},
    )
    assert {v.dtype for v in result.graph.initializers.values()} == {HALF[precision]}
    x = np.ones((2, 3), np.float32)
    for condition in (np.array(True), np.array(False)):
        feeds = {"x": x, "c": condition}
        got, wanted = computed(result, feeds), computed(model, feeds)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=8 * EPS[precision])


def test_a_loop_keeps_its_state_in_fp32(precision: Precision) -> None:
    """And the loop's outputs have no types in the file but those of its body."""
    body = """
        h = Relu(x)
        t = Constant<value=bool {1}>()
        o, s = Loop(n, t, h) <body = b (int64 i, bool ci, float[2] v)
                                  => (bool co, float[2] vo, float[2] so) {
            co = Identity(ci)
            r = If(c) <
                then_branch = g1 () => (float[2] a) { a = Add(v, h) },
                else_branch = g2 () => (float[2] e) { e = Mul(v, w) }
            >
            vo = Add(r, h)
            so = Identity(vo)
        }>
        y = Mul(o, w)
        z = Neg(s)
    """
    signature = "float[2] x, int64 n, bool c => float[2] y, float[K,2] z"
    model = build(signature, body, w=np.array([0.5, 0.25], np.float32))
    result, report = converted(model, precision)
    assert report.kept == ()
    assert made(result, "Loop") == {"FLOAT"} and made(result, "Mul") == {HALF[precision].name}
    feeds = {"x": np.array([1, 2], np.float32), "n": np.array(3)}
    for condition in (np.array(True), np.array(False)):
        got, wanted = (computed(m, feeds | {"c": condition}) for m in (result, model))
        np.testing.assert_allclose(got, wanted, rtol=8 * EPS[precision], atol=0)


def test_inputs_of_a_body_need_no_types_of_their_own() -> None:
    model = NETWORKS["Loop that refines"].model()
    inputs = [v for graph in every_graph(model.graph) for v in graph.inputs]
    for value in inputs[len(model.graph.inputs) :]:
        value.type = None
    types = all_types(model)
    loop = [ir.DataType(types[v].tensor_type.elem_type).name for v in inputs[-3:]]
    assert loop == ["INT64", "BOOL", "FLOAT"]
    assert made(to_precision(model, "fp16")[0], "MatMul") == {"FLOAT16"}


def test_a_scan(precision: Precision) -> None:
    body = """
        last, y = Scan<num_scan_inputs=1, body = b (float[4] s, float[4] e)
                                          => (float[4] so, float[2] o) {
            m = Mul(e, w)  so = Add(s, m)  o = MatMul(so, k)
        }>(start, x)
    """
    model = build("float[6,4] x, float[4] start => float[6,2] y", body, w=(4,), k=(4, 2))
    result, report = converted(model, precision)
    assert report.kept == ()
    assert made(result, "MatMul") == {HALF[precision].name}
    assert made(result, "Scan") == {"FLOAT"}
    rng = np.random.default_rng(0)
    feeds = {"x": rng.standard_normal((6, 4)), "start": rng.standard_normal(4)}
    given = {name: array.astype(np.float32) for name, array in feeds.items()}
    got, wanted = computed(result, given), computed(model, given)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=8 * EPS[precision] * np.ptp(wanted))


def test_what_is_named_stays_in_a_body_too() -> None:
    model = build("float[2,3] x, bool c => float[2,3] y", BRANCHES, w=(2, 3))
    for name, kept in (("Neg", {"e"}), ("If_1", {"t", "e"}), ("Add", {"t", "Add_2"})):
        result, report = to_precision(model, "fp16", keep=[name])
        onnx.checker.check_model(ir.to_proto(result), full_check=True)
        assert {one.node for one in report.kept} == kept, name


MASKED = """
    z = Mul(x, lowest)
    m = If (c) <
        then_branch = g1 () => (float[2,4] t) { t = Identity(z) },
        else_branch = g2 () => (float[2,4] e) { e = Add(z, x) }
    >
    a = MatMul(x, k)
    s = Add(a, m)
    p = Softmax(s)
    y = MatMul(p, k)
"""


def test_a_mask_beyond_the_range_stays_in_fp32_through_a_branch_up_to_the_softmax() -> None:
    lowest = np.array(-3e38, np.float32)
    signature = "float[2,4] x, bool c => float[2,4] y"
    model = build(signature, MASKED, k=(4, 4), lowest=lowest)
    result, report = converted(model, "fp16")
    assert {one.operator for one in report.kept} == {"Mul", "Identity", "Add", "Softmax"}
    assert made(result, "MatMul") == {"FLOAT16"}
    with pytest.raises(InputError, match=r"'lowest' holds -3e\+38, .* no Softmax bounds it"):
        to_precision(
            build(signature, MASKED.replace("Softmax(s)", "Relu(s)"), k=(4, 4), lowest=lowest),
            "fp16",
        )


def test_a_constant_in_a_body_that_does_not_fit_is_named() -> None:
    body = """
        i = If (c) <
            then_branch = g1 () => (float[2] t) {
                big = Constant<value = float[2] {1.0, 1e6}>()  t = Add(x, big)
            },
            else_branch = g2 () => (float[2] e) { e = Neg(x) }
        >
        y = MatMul(i, w)
    """
    model = build("float[2] x, bool c => float[2] y", body, w=(2, 2))
    with pytest.raises(InputError, match=r"'big' holds 1e\+06 at \[1\], beyond the range of fp16"):
        to_precision(model, "fp16")
    assert made(converted(model, "bf16")[0], "Add") == {"BFLOAT16"}


@pytest.mark.parametrize("name", [name for name, one in NETWORKS.items() if one.bodies])
def test_networks_with_bodies_multiply_in_half_and_are_close(
    name: str, precision: Precision
) -> None:
    model = NETWORKS[name].model()
    result, report = converted(model, precision)
    assert made(result, "MatMul") == {HALF[precision].name}
    assert [one.operator for one in report.kept if one.operator == "MatMul"] == []
    feeds = feeds_for(model)
    got, wanted = computed(result, feeds), computed(model, feeds)
    assert 0 < np.max(np.abs(got - wanted)) <= 8 * EPS[precision] * np.ptp(wanted)
