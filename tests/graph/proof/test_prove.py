"""A fold is proven, and whatever is not as the original has it is refused, with its place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import NORM, assert_folds, build, exact, set_constant, stored
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.exact import Exact
from un_deploy.graph.fold.edits import SetConstant
from un_deploy.graph.fold.fold import Folded, fold_graph
from un_deploy.graph.fold.original_tensors import Claim
from un_deploy.graph.fold.rules.matmul import MatMul
from un_deploy.graph.proof.proof import Problem
from un_deploy.graph.proof.prove import prove

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


def norm_and_matmul() -> ir.Model:
    return build(SIGNATURE, f"{NORM} p = MatMul(n, w) y = Add(p, c)", **WEIGHTS, c=(5,))


def folded_and(original: ir.Model, **constants: np.ndarray) -> Folded:
    """The fold of a clone, some of whose constants were then spoilt."""
    folded = fold_graph(original.clone())
    for name, array in constants.items():
        set_constant(folded.model, name, array)
    return folded


def only_problem(original: ir.Model, folded: Folded) -> Problem:
    (problem,) = prove(original, folded).problems
    return problem


class TestARightFold:
    def test_it_is_proven_far_within_the_tolerance(self) -> None:
        original = norm_and_matmul()
        proof = prove(original, fold_graph(original.clone()))
        assert proof.passed and proof.problems == ()
        assert proof.regions == 3  # n, that x stands for; p, inside the product; and y
        assert proof.constants == 2  # w and c
        assert proof.worst < 1e-12

    def test_where_nothing_folds_every_operator_is_the_originals(self) -> None:
        original = build(f"{SIGNATURE}, float[B,3,4] n", f"{NORM} y = MatMul(n, w)", **WEIGHTS)
        proof = prove(original, fold_graph(original.clone()))
        assert proof.passed
        assert (proof.operators, proof.regions, proof.constants) == (3, 0, 0)

    def test_whatever_lies_outside_of_what_was_folded_need_not_be_known(self) -> None:
        """An operator of another domain, a body, a random number."""
        then, other = (
            "() => (float[B,3,5] u) { u = Neg(p) }",
            "() => (float[B,3,5] v) { v = k.F(p)}",
        )
        body = f"""{NORM} p = MatMul(n, w) r = RandomNormalLike(p) s = Add(p, r)
                   q = If(c) <then_branch = t {then}, else_branch = e {other}> y = Add(s, q)"""
        signature = "float[B,3,4] x, bool c => float[B,3,5] y"
        original = build(signature, body, **WEIGHTS)
        original.opset_imports["k"] = 1
        folded = fold_graph(original.clone())
        assert folded.report.folded and prove(original, folded).passed

    def test_a_norm_before_operators_that_stay_is_folded_backward(self) -> None:
        """They read another tensor than before, which holds the same numbers."""
        branch = "() => (float[3,5] u{0}) {{ u{0} = {1}(n) }}"
        body = f"""p = MatMul(x, w) m = Mul(p, a) n = Add(m, b) s = Sigmoid(n) g = Mul(n, s)
                   q = If(c) <then_branch = t {branch.format(1, "Neg")},
                              else_branch = e {branch.format(2, "Abs")}> y = Add(g, q)"""
        signature = "float[3,4] x, bool c => float[3,5] y"
        folded = assert_folds(build(signature, body, a=(5,), b=(5,), w=(4, 5)))
        assert folded.report.folded[0].into == ("MatMul_0",)

    def test_a_mask_that_nobody_reads_need_not_be_told(self) -> None:
        """TorchScript's Dropout has one, whose numbers differ between runtimes."""
        body = f"{NORM} d, mask = Dropout(n) y = MatMul(d, w)"
        assert_folds(build(SIGNATURE, body, **WEIGHTS))

    def test_minus_infinity_in_a_mask_is_the_same_as_before(self) -> None:
        body = f"{NORM} p = MatMul(n, w) y = Add(p, mask)"
        mask = np.tile(np.float32([0, -np.inf, 0, 0, -np.inf]), (3, 1))
        original = build(SIGNATURE, body, **WEIGHTS, mask=mask)
        folded = fold_graph(original.clone())
        assert folded.report.folded and prove(original, folded).passed

    def test_an_input_that_the_caller_may_override_is_no_constant(self) -> None:
        body = f"{NORM} p = MatMul(n, w) k = Mul(x, free) q = MatMul(k, w) y = Add(p, q)"
        original = build(SIGNATURE, body, **WEIGHTS, free=(4,))
        original.graph.inputs.append(original.graph.initializers["free"])
        folded = fold_graph(original.clone())
        assert folded.report.folded and prove(original, folded).passed
        set_constant(folded.model, "free", 2 * stored(original.graph.initializers["free"]))
        assert only_problem(original, folded).place == "free"


class TestConstants:
    def test_one_entry_of_one_weight_is_seen(self) -> None:
        original = norm_and_matmul()
        folded = fold_graph(original.clone())
        weight = stored(folded.model.graph.initializers["w"])
        weight[2, 3] *= 1 + 1e-6
        set_constant(folded.model, "w", weight)
        problem = only_problem(original, folded)
        assert problem.place == "w" and problem.differs
        assert "at [2, 3], the fold gives" in problem.text

    def test_a_zero_bias_that_is_no_longer_zero_is_seen(self) -> None:
        body = "p = MatMul(x, w) h = Add(p, c) y = Mul(h, a)"
        constants = {"w": (4, 5), "c": np.zeros(5, np.float32), "a": (5,)}
        original = build(SIGNATURE, body, **constants)
        folded = folded_and(original, c=np.full(5, 1e-30))
        assert only_problem(original, folded).place == "c"

    def test_a_row_of_a_table_that_no_input_would_reach_is_seen(self) -> None:
        body = "e = Gather(table, ids) m = Mul(e, a) n = Add(m, b) y = MatMul(n, w)"
        constants = {"a": (4,), "b": (4,), "table": (9, 4), "w": (4, 5)}
        original = build("int64[3] ids => float[3,4] n, float[3,5] y", body, **constants)
        folded = fold_graph(original.clone())
        assert "table" in folded.exact
        table = exact(folded, folded.model.graph.initializers["table"])
        table[7] *= 1.5
        set_constant(folded.model, "table", table)
        assert only_problem(original, folded).place == "table"
        as_if_meant = replace(folded, exact={**folded.exact, "table": Exact.held(table)})
        problem = prove(original, as_if_meant).problems[0]
        assert problem.differs and problem.place == "Gather_0"

    def test_a_branch_that_is_not_taken_is_read(self) -> None:
        then, other = (
            "() => (float[3,5] u) { u = Mul(p, k) }",
            "() => (float[3,5] v) { v = Abs(p) }",
        )
        body = f"""{NORM} p = MatMul(n, w) q = If(c) <then_branch = t {then},
                   else_branch = e {other}> y = Add(p, q)"""
        signature = "float[3,4] x, bool c => float[3,5] y"
        original = build(signature, body, **WEIGHTS, k=(5,))
        assert prove(original, fold_graph(original.clone())).passed
        spoilt = folded_and(original, k=2 * stored(original.graph.initializers["k"]))
        assert {problem.place for problem in prove(original, spoilt).problems} >= {"k"}

    def test_a_weight_that_became_infinite_or_nan_is_seen(self) -> None:
        original = norm_and_matmul()
        for bad in (np.inf, np.nan):
            folded = fold_graph(original.clone())
            weight = stored(folded.model.graph.initializers["w"])
            weight[0, 0] = bad
            set_constant(folded.model, "w", weight)
            assert only_problem(original, folded).place == "w"

    def test_a_constant_that_the_fold_did_not_touch_is_compared_bit_for_bit(self) -> None:
        body = f"{NORM} p = MatMul(n, w) g = Gelu(p) y = Add(g, k)"
        original = build(SIGNATURE, body, **WEIGHTS, k=(5,))
        folded = fold_graph(original.clone())
        k = original.graph.initializers["k"].const_value.numpy()
        set_constant(folded.model, "k", np.nextafter(k, np.float32(9)))
        assert "k" in {problem.place for problem in prove(original, folded).problems}

    def test_whole_numbers_must_be_equal(self) -> None:
        body = f"{NORM} y = MatMul(n, w) c = Cast<to=7>(x) i = Add(c, one)"
        signature = "float[B,3,4] x => float[B,3,5] y, int64[B,3,4] i"
        original = build(signature, body, **WEIGHTS, one=1)
        folded = fold_graph(original.clone())
        assert prove(original, folded).passed
        folded.model.graph.initializers["one"].const_value = ir.tensor(np.array(2))
        assert not prove(original, folded).passed


class TestClaims:
    def test_an_output_must_hold_what_it_held_whatever_is_claimed(self) -> None:
        original = norm_and_matmul()
        folded = fold_graph(original.clone())
        moved = 1 + folded.exact["c"]()
        set_constant(folded.model, "c", moved)
        shifted = Claim("y", Affine(np.ones((1, 1, 1)), -np.ones((1, 1, 1))))
        for claims in ((), (shifted,), (Claim("y", shape_only=True),)):
            spoilt = replace(
                folded,
                exact={**folded.exact, "c": Exact.held(moved)},
                claims={**folded.claims, "y": claims},
            )
            assert "y" in {problem.place for problem in prove(original, spoilt).problems}

    def test_a_wrong_claim_is_refused(self) -> None:
        """x is said to stand for n through another scale: y, which follows from it, is wrong."""
        original = norm_and_matmul()
        folded = fold_graph(original.clone())
        claims = [self.scaled(claim) for claim in folded.claims["x"]]
        problem = prove(original, replace(folded, claims={**folded.claims, "x": tuple(claims)}))
        assert problem.problems[0].differs

    def test_a_claim_without_its_gauge_is_refused(self) -> None:
        original = norm_and_matmul()
        folded = fold_graph(original.clone())
        claims = tuple(replace(claim, gauge=None) for claim in folded.claims["x"])
        proof = prove(original, replace(folded, claims={**folded.claims, "x": claims}))
        assert proof.problems[0].differs

    def test_a_claim_on_a_tensor_that_the_original_lacks_says_nothing(self) -> None:
        original = norm_and_matmul()
        folded = fold_graph(original.clone())
        claims = (*folded.claims["x"], Claim("no such tensor"))
        assert prove(original, replace(folded, claims={**folded.claims, "x": claims})).passed
        alone = {**folded.claims, "y": (Claim("no such tensor"),)}
        assert not prove(original, replace(folded, claims=alone)).passed

    def test_without_any_claims_a_fold_is_not_proven(self) -> None:
        original = norm_and_matmul()
        folded = replace(fold_graph(original.clone()), claims={})
        assert not prove(original, folded).passed

    @staticmethod
    def scaled(claim: Claim) -> Claim:
        if claim.gauge is None or claim.shape_only:
            return claim
        scale = claim.gauge.scale.copy()
        scale.flat[1] *= 1.01
        return replace(claim, gauge=Affine(scale, claim.gauge.shift))


class TestOperators:
    def test_a_rule_with_a_wrong_edit_passes_certify_and_fails_here(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two columns swapped: the gauges know nothing of it."""
        right = MatMul.edits

        def swapped(self, unit, known, view):  # type: ignore[no-untyped-def]
            for edit in right(self, unit, known, view):
                if edit.node.op_type == "MatMul" and isinstance(edit, SetConstant):
                    columns = [1, 0, *range(2, edit.shape[1])]
                    compute = edit.compute
                    edit = replace(edit, compute=lambda c=compute, k=columns: c()[:, k])
                yield edit

        monkeypatch.setattr(MatMul, "edits", swapped)
        original = norm_and_matmul()
        folded = fold_graph(original.clone())  # certify is part of it
        assert folded.report.folded
        assert prove(original, folded).problems[0].differs

    def test_an_operator_without_a_counterpart_is_named(self) -> None:
        original = norm_and_matmul()
        folded = fold_graph(original.clone())
        extra = ir.node("Neg", [folded.model.graph.inputs[0]], name="extra")
        extra.outputs[0].name = "extra_out"
        folded.model.graph.append(extra)
        problem = only_problem(original, folded)
        assert problem.place == "extra" and problem.text == "stands for nothing in the original"

    def test_a_graph_without_operators_proves_nothing(self) -> None:
        original = norm_and_matmul()
        folded = fold_graph(original.clone())
        empty = build(SIGNATURE, "y = Neg(x)")
        empty.graph.remove(empty.graph[0])
        assert "y" in {p.place for p in prove(original, replace(folded, model=empty)).problems}

    def test_a_changed_attribute_is_named(self) -> None:
        body = f"t = Softmax<axis=1>(x) {NORM.replace('(x', '(t')} y = MatMul(n, w)"
        original = build(SIGNATURE, body, **WEIGHTS)
        folded = fold_graph(original.clone())
        folded.model.graph[0].attributes["axis"] = ir.AttrInt64("axis", 2)
        problem = prove(original, folded).problems[0]
        assert problem.place == "Softmax_0"
        assert problem.text.startswith("has the attribute 'axis' 2, the original 1")

    def test_a_moved_edge_is_named(self) -> None:
        body = f"{NORM} y = MatMul(n, w) g = Gelu(y) h = Tanh(y) z = Sub(g, h)"
        original = build(f"{SIGNATURE}, float[B,3,5] z", body, **WEIGHTS)
        folded = fold_graph(original.clone())
        assert prove(original, folded).passed
        (sub,) = [node for node in folded.model.graph if node.op_type == "Sub"]
        sub.replace_input_with(0, sub.inputs[1])
        problem = prove(original, folded).problems[0]
        assert problem.place == sub.name
        assert problem.text.startswith("reads 'h', where the original reads 'g'")

    def test_a_changed_branch_is_named(self) -> None:
        then, other = "() => (float[3,5] u) { u = Neg(p) }", "() => (float[3,5] v) { v = Abs(p) }"
        body = f"""{NORM} p = MatMul(n, w) q = If(c) <then_branch = t {then},
                   else_branch = e {other}> y = Add(p, q)"""
        original = build("float[3,4] x, bool c => float[3,5] y", body, **WEIGHTS)
        folded = fold_graph(original.clone())
        (branches,) = [node for node in folded.model.graph if node.op_type == "If"]
        branches.attributes["else_branch"].as_graph()[0].op_type = "Exp"
        problem = prove(original, folded).problems[0]
        assert problem.place == branches.name and "is a Exp, the original has a Abs" in problem.text

    def test_a_transpose_with_another_order_is_seen(self) -> None:
        around = "t = Transpose<perm=[0,2,1]>(x) u = Transpose<perm=[0,2,1]>(t)"
        original = build(SIGNATURE, f"{around} {NORM} y = MatMul(n, w)", **WEIGHTS)
        folded = fold_graph(original.clone())
        folded.model.graph[0].attributes["perm"] = ir.AttrInt64s("perm", [1, 0, 2])
        assert not prove(original, folded).passed

    def test_a_square_weight_that_was_transposed_is_seen(self) -> None:
        body = f"{NORM} y = MatMul(n, w)"
        original = build("float[B,3,4] x => float[B,3,4] y", body, a=(4,), b=(4,), w=(4, 4))
        folded = fold_graph(original.clone())
        turned = stored(folded.model.graph.initializers["w"]).T
        set_constant(folded.model, "w", turned)
        assert only_problem(original, folded).place == "w"
