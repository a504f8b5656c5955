"""The operator check sees every folded number, and says where it is blind."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.float64 import run
from tests.support.graphs import NORM, assert_folds, build, feeds_for, set_constant, stored
from un_deploy.errors import InputError
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.fold.edits import SetConstant
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.fold.rules.matmul import MatMul
from un_deploy.graph.proof.operator_check import TOLERANCE, OperatorCheck, check_operators

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


def norm_and_matmul() -> ir.Model:
    return build(SIGNATURE, f"{NORM} p = MatMul(n, w) y = Add(p, c)", **WEIGHTS, c=(5,))


def checked(original: ir.Model, folded: Folded) -> OperatorCheck:
    return check_operators(original, folded.model, folded.values, feeds_for(original))


def test_a_right_fold_passes_with_room() -> None:
    original = norm_and_matmul()
    outcome = checked(original, fold_graph(original.clone()))
    assert outcome.passed and outcome.worst < 1 < TOLERANCE
    assert not outcome.blind and not outcome.unmapped and not outcome.failures
    assert [result.output for result in outcome.results] == ["y"]  # the unit, not its inside


def test_a_zero_bias_that_is_no_longer_zero_is_seen() -> None:
    body = "p = MatMul(x, w) h = Add(p, c) y = Mul(h, a)"
    constants = {"w": (4, 5), "c": np.zeros(5, np.float32), "a": (5,)}
    original = build(SIGNATURE, body, **constants)
    folded = fold_graph(original.clone())
    assert {change.new for change in folded.report.changes} == {"w", "c"}
    outputs = run(original, feeds_for(original), stored)
    set_constant(folded.model, "c", np.full(5, 0.01 * np.ptp(outputs["y"])))
    assert checked(original, folded).worst > 100 * TOLERANCE


def test_one_entry_of_one_weight_is_seen() -> None:
    original = norm_and_matmul()
    folded = fold_graph(original.clone())
    weight = stored(folded.model.graph.initializers["w"])
    weight[2, 3] += 1e-3 * np.abs(weight).max()
    set_constant(folded.model, "w", weight)
    (failure,) = checked(original, folded).failures
    assert (failure.node, failure.operator, failure.output) == ("Add_3", "Add", "y")


def test_a_rule_with_a_wrong_edit_passes_certify_and_fails_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two columns swapped: the gauges know nothing of it."""
    right = MatMul.edits

    def swapped(self, unit, known, view):  # type: ignore[no-untyped-def]
        for edit in right(self, unit, known, view):
            if edit.node.op_type == "MatMul" and isinstance(edit, SetConstant):
                compute = edit.compute
                columns = [1, 0, *range(2, edit.shape[1])]
                edit = SetConstant(edit.node, 1, lambda c=compute, k=columns: c()[:, k], edit.shape)
            yield edit

    monkeypatch.setattr(MatMul, "edits", swapped)
    original = norm_and_matmul()
    folded = fold_graph(original.clone())  # certify is part of it
    assert folded.report.folded
    assert not checked(original, folded).passed


def test_an_output_must_hold_what_it_held_whatever_the_map_says() -> None:
    original = norm_and_matmul()
    folded = fold_graph(original.clone())
    set_constant(folded.model, "c", stored(folded.model.graph.initializers["c"]) + 1)
    shifted = Affine(np.ones((1, 1, 1)), -np.ones((1, 1, 1)))
    for entry in (None, ("y", shifted)):
        values = {**folded.values, "y": entry}
        assert not check_operators(original, folded.model, values, feeds_for(original)).passed


def test_an_operator_without_a_counterpart_is_named() -> None:
    original = norm_and_matmul()
    folded = fold_graph(original.clone())
    extra = ir.node("Neg", [folded.model.graph.inputs[0]], name="extra")
    extra.outputs[0].name = "extra_out"
    folded.model.graph.append(extra)
    outcome = checked(original, folded)
    assert outcome.unmapped == ("extra",) and not outcome.passed


def test_a_graph_without_operators_proves_nothing() -> None:
    original = norm_and_matmul()
    empty = build(SIGNATURE.replace("y", "x2"), "x2 = Neg(x)")
    empty.graph.remove(empty.graph[0])
    assert not check_operators(original, empty, {}, feeds_for(original)).passed


def test_rows_that_the_inputs_never_reach_are_blind() -> None:
    body = "e = Gather(table, ids) m = Mul(e, a) n = Add(m, b) y = MatMul(n, w)"
    constants = {"a": (4,), "b": (4,), "table": (9, 4), "w": (4, 5)}
    original = build("int64[3] ids => float[3,4] n, float[3,5] y", body, **constants)
    folded = fold_graph(original.clone())
    feeds = {"ids": np.array([0, -1, 0])}
    outcome = check_operators(original, folded.model, folded.values, feeds)
    (blind,) = outcome.blind
    assert outcome.passed and (blind.constant, blind.rows, blind.of) == ("table", 7, 9)
    table = stored(folded.model.graph.initializers["table"])
    table[3] *= 1.5
    set_constant(folded.model, "table", table)
    assert check_operators(original, folded.model, folded.values, feeds).passed


@pytest.mark.parametrize(
    ("signature", "linear", "scale"),
    [
        ("float[B,3,4] x => float[B,3,5] y", "MatMul(n, w)", (4,)),
        ("float[B,4] x => float[B,5] y", "Gemm(n, w)", (4,)),
        ("float[4,B] x => float[B,5] y", "Gemm<transA=1>(n, w)", (4, 1)),
        ("float[B,4,6] x => float[B,5,6] y", "Conv(n, w)", (4, 1)),
        ("float[B,4,6] x => float[B,5,6] y", "ConvTranspose(n, w)", (4, 1)),
    ],
)
def test_channels_that_are_always_zero_are_blind(
    signature: str, linear: str, scale: tuple[int, ...]
) -> None:
    weight = {"Conv(n, w)": (5, 4, 1), "ConvTranspose(n, w)": (4, 5, 1)}.get(linear, (4, 5))
    original = build(signature, f"n = Mul(x, a) y = {linear}", a=scale, w=weight)
    folded = fold_graph(original.clone())
    feeds = feeds_for(original)
    axis = 0 if "transA" in linear else 1 if "Conv" in linear else -1
    np.moveaxis(feeds["x"], axis, 0)[1] = 0
    (blind,) = check_operators(original, folded.model, folded.values, feeds).blind
    assert (blind.constant, blind.rows, blind.of) == ("w", 1, 4)


def test_an_overridable_input_has_its_default() -> None:
    body = f"{NORM} p = MatMul(n, w) k = Mul(x, free) q = MatMul(k, w) y = Add(p, q)"
    original = build(SIGNATURE, body, **WEIGHTS, free=(4,))
    original.graph.inputs.append(original.graph.initializers["free"])
    assert checked(original, fold_graph(original.clone())).passed


def test_infinities_and_nans_agree_only_with_themselves() -> None:
    """A mask of minus infinity passes; a weight that became infinite does not."""
    body = f"{NORM} p = MatMul(n, w) y = Add(p, mask)"
    mask = np.float32([0, -np.inf, 0, 0, -np.inf])
    original = build(SIGNATURE, body, **WEIGHTS, mask=np.stack([mask] * 3))
    folded = fold_graph(original.clone())
    assert checked(original, folded).passed
    for bad in (np.inf, np.nan):
        broken = fold_graph(original.clone())
        weight = stored(broken.model.graph.initializers["w"])
        weight[0, 0] = bad
        set_constant(broken.model, "w", weight)
        assert not checked(original, broken).passed


def test_whole_numbers_must_be_equal() -> None:
    body = f"{NORM} y = MatMul(n, w) c = Cast<to=7>(x) i = Add(c, one)"
    signature = "float[B,3,4] x => float[B,3,5] y, int64[B,3,4] i"
    original = build(signature, body, **WEIGHTS, one=1)
    folded = fold_graph(original.clone())
    assert checked(original, folded).passed
    folded.model.graph.initializers["one"].const_value = ir.tensor(np.array(2))
    (failure,) = checked(original, folded).failures
    assert failure.output == "i" and failure.ratio == np.inf


def test_a_change_of_shape_is_seen() -> None:
    original = build(
        SIGNATURE,
        f"t = Transpose<perm=[0,2,1]>(x) u = Transpose<perm=[0,2,1]>(t) {NORM} y = MatMul(n, w)",
        **WEIGHTS,
    )
    folded = fold_graph(original.clone())
    transpose = folded.model.graph[0]
    transpose.attributes["perm"] = ir.AttrInt64s("perm", [1, 0, 2])
    assert any(failure.ratio == np.inf for failure in checked(original, folded).failures)


def test_a_missing_input_is_named() -> None:
    original = norm_and_matmul()
    folded = fold_graph(original.clone())
    with pytest.raises(InputError, match="no data for the graph input 'x'"):
        check_operators(original, folded.model, folded.values, {})


def test_a_fold_beside_an_if_is_checked_through_its_branches() -> None:
    """The branches read p, made by the operator that takes the norm in."""
    then, other = "() => (float[3,5] u) { u = Neg(p) }", "() => (float[3,5] v) { v = Abs(p) }"
    body = f"{NORM} p = MatMul(n, w) q = If(c) <then_branch = t {then}, else_branch = e {other}>"
    model = build("float[3,4] x, bool c => float[3,5] y", body + " y = Add(p, q)", **WEIGHTS)
    folded = assert_folds(model)
    assert folded.report.folded[0].into == ("MatMul_2",)
