"""A norm in the body of an If, a Loop or a Scan folds there; what the body reads stays."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from tests.support.graphs import (
    NORM,
    assert_stays,
    build,
    feeds_for,
    operators,
    stored,
    to_bytes,
)
from un_deploy.errors import InputError
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.proof.prove import prove

WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 4)}
IF = f"""y = If (c) <
    then_branch = t () => (float[B,3,4] o) {{ {NORM} o = MatMul(n, w) }},
    else_branch = e () => (float[B,3,4] p) {{ p = MatMul(x, w) }}>"""
LOOP = f"""g = Constant<value = bool {{1}}>() y = Loop(trips, g, x) <
    body = l (int64 i, bool h, float[B,3,4] x1) => (bool k, float[B,3,4] o) {{
        k = Identity(h) {NORM.replace("x", "x1")} o = MatMul(n, w) }}>"""
SCAN = f"""z, y = Scan(s, x) <num_scan_inputs = 1,
    body = l (float[4] s1, float[3,4] x1) => (float[4] s2, float[3,4] o) {{
        s2 = Identity(s1) {NORM.replace("x", "x1")} o = MatMul(n, w) }}>"""
NESTED = f"""y = If (c) <
    then_branch = t () => (float[B,3,4] o) {{ o = If (c) <
        then_branch = u () => (float[B,3,4] q) {{ {NORM} q = MatMul(n, w) }},
        else_branch = v () => (float[B,3,4] r) {{ r = Neg(x) }}> }},
    else_branch = e () => (float[B,3,4] p) {{ p = Identity(x) }}>"""
BODIES = {
    "If": ("float[B,3,4] x, bool c => float[B,3,4] y", IF),
    "Loop": ("float[B,3,4] x, int64 trips => float[B,3,4] y", LOOP),
    "Scan": ("float[B,3,4] x, float[4] s => float[4] z, float[B,3,4] y", SCAN),
    "an If in an If": ("float[B,3,4] x, bool c => float[B,3,4] y", NESTED),
}


def folded_and_equal(model: ir.Model) -> Folded:
    """The fold, proven, and equal in float32; folding it again changes nothing."""
    folded = fold_graph(model.clone())
    proof = prove(model, folded)
    assert proof.passed, proof.problems
    protos = [ir.to_proto(one) for one in (model, folded.model)]
    onnx.checker.check_model(protos[1], full_check=True)
    drawn = feeds_for(model)
    for taken in (0, 1):  # either branch, no turn of a loop or one
        feeds = {n: np.full_like(a, taken) if a.dtype.kind in "bi" else a for n, a in drawn.items()}
        wanted, got = (ReferenceEvaluator(proto).run(None, feeds) for proto in protos)
        for one, other in zip(wanted, got, strict=True):
            np.testing.assert_allclose(other, one, atol=1e-5)
    assert to_bytes(fold_graph(folded.model.clone()).model) == to_bytes(folded.model)
    return folded


def everything(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph.all_nodes()]


@pytest.mark.parametrize("case", BODIES)
def test_one_that_is_to_be_kept_stays(case: str) -> None:
    """The one in front of the operator folds, as it did."""
    signature, body = BODIES[case]
    body = f"x0 = MatMul(z0, w) x9 = Mul(x0, d) x = Identity(x9) {body}"
    model = build(signature.replace("] x", "] z0", 1), body, **WEIGHTS, d=(4,))
    folded = fold_graph(model.clone(), keep=("n",))
    assert [site.status for site in folded.report.sites] == ["folded", "stayed"]
    (kept,) = folded.report.stayed
    assert kept.reason.endswith("kept, as asked")
    assert prove(model, folded).passed


def test_a_name_that_no_body_has_either_is_refused() -> None:
    signature, body = BODIES["an If in an If"]
    with pytest.raises(InputError, match=r"'m9' names no norm of this graph \(norms: "):
        fold_graph(build(signature, body, **WEIGHTS), keep=("n", "m9"))


@pytest.mark.parametrize("case", BODIES)
def test_it_folds(case: str) -> None:
    model = build(*BODIES[case], **WEIGHTS)
    folded = folded_and_equal(model)
    (site,) = folded.report.folded
    assert site.operators == ("Mul", "Add") and site.into
    assert everything(folded.model).count("Mul") == 0
    assert not {"a", "b"} & set(folded.model.graph.initializers)
    assert len(folded.report.gained_biases) == 1


@pytest.mark.parametrize("case", BODIES)
def test_a_wrong_number_in_a_body_is_seen(case: str) -> None:
    model = build(*BODIES[case], **WEIGHTS)
    folded = fold_graph(model.clone())
    graphs = [g for g in folded.model.graphs() if "w_folded" in g.initializers]
    (weight,) = [g.initializers["w_folded"] for g in graphs]
    weight.const_value = ir.tensor(np.float32(1.01) * stored(weight).astype(np.float32))
    assert not prove(model, folded).passed


@pytest.mark.parametrize("op", ["Neg", "Abs"])
def test_another_operator_in_a_body_is_seen(op: str) -> None:
    model = build("float[B,3,4] x, bool c => float[B,3,4] y", NESTED, **WEIGHTS)
    folded = fold_graph(model.clone())
    (node,) = [n for n in folded.model.graph.all_nodes() if n.op_type == "Neg"]
    node.op_type = op
    assert prove(model, folded).passed == (op == "Neg")


def test_a_body_that_reads_another_tensor_is_seen() -> None:
    signature = "float[B,3,4] x, float[B,3,4] z, bool c => float[B,3,4] y"
    model = build(signature, IF, **WEIGHTS)
    folded = fold_graph(model.clone())
    _, branch, _ = folded.model.graphs()
    reader = next(node for node in branch if node.op_type == "MatMul")
    reader.replace_input_with(0, folded.model.graph.inputs[1])
    assert not prove(model, folded).passed


def test_what_else_reads_a_weight_keeps_it() -> None:
    head = "x = MatMul(z, w)"
    model = build("float[B,3,4] z, bool c => float[B,3,4] y", f"{head} {IF}", **WEIGHTS)
    folded = folded_and_equal(model)
    kept = folded.model.graph.initializers["w"]
    np.testing.assert_array_equal(stored(kept), stored(model.graph.initializers["w"]))


def test_the_main_graph_folds_as_well() -> None:
    head = "m0 = Mul(z, a) n0 = Add(m0, b) x = MatMul(n0, w)"
    model = build("float[B,3,4] z, bool c => float[B,3,4] y", f"{head} {IF}", **WEIGHTS)
    folded = folded_and_equal(model)
    assert operators(folded.model) == ["MatMul", "Add", "If"]
    assert len(folded.report.folded) == 2


def test_a_tensor_that_a_body_reads_stays_and_the_reason_says_where() -> None:
    body = f"""y = If (c) <
        then_branch = t () => (float[B,3,4] o) {{ {NORM} o = Softmax(n) }},
        else_branch = e () => (float[B,3,4] p) {{ p = MatMul(x, w) }}>"""
    model = build("float[B,3,4] x, bool c => float[B,3,4] y", body, **WEIGHTS)
    folded = assert_stays(model, "in the body 'then_branch' that makes 'y'", "does not commute")
    assert "'x' is a graph input" in folded.report.stayed[0].reason


def test_factors_and_biases_in_a_body_are_not_told() -> None:
    body = """y = If (c) <
        then_branch = t () => (float[B,3,4] o) { h = Mul(x, k) o = MatMul(h, w) },
        else_branch = e () => (float[B,3,4] p) { p = Identity(x) }>"""
    model = build("float[B,3,4] x, bool c => float[B,3,4] y", body, k=(), w=(4, 4))
    folded = folded_and_equal(model)
    assert folded.report.sites == () and "Mul" not in everything(folded.model)


def test_sizes_of_one_name_in_a_body_may_differ() -> None:
    """What a body calls its sizes is no ground to stand on; what it declares is kept."""
    body = """g = Constant<value = bool {1}>() y, v = Loop(trips, g, x, z) <
        body = l (int64 i, bool h, float[N] x1, float[N] z1) => (bool k, float[N] o, float[N] q) {
            k = Identity(h) s = Add(x1, z1) r = Mul(s, f) o = Add(r, x1) q = Identity(z1) }>"""
    signature = "float[B] x, float[C] z, int64 trips => float[D] y, float[C] v"
    model = build(signature, body, f=())
    folded = fold_graph(model.clone())
    assert to_bytes(folded.model) == to_bytes(model)


def test_a_folded_body_declares_what_it_declared() -> None:
    model = build(*BODIES["Loop"], **WEIGHTS)
    folded = folded_and_equal(model)
    before, after = (list(one.graphs())[1] for one in (model, folded.model))
    assert [str(v.shape) for v in after.inputs] == [str(v.shape) for v in before.inputs]
    assert [v.name for v in after.outputs] == [v.name for v in before.outputs]
