"""LayerNormalization and its like give their scale and shift where asked, and stay whole else."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build, fold_and_prove, operators, stored, to_bytes
from un_deploy.errors import InputError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

ROWS, IMAGE = "float[B,3,4] x => float[B,3,5] y", "float[B,4,6] x => float[B,5,6] y"
LINEAR, CONV = "y = MatMul(n, w)", "y = Conv(n, w)"

OPERATORS = {
    "LayerNormalization": (ROWS, "n = LayerNormalization(x, a, b)", LINEAR, 17),
    "without a shift": (ROWS, "n = LayerNormalization(x, a)", LINEAR, 17),
    "RMSNormalization": (ROWS, "n = RMSNormalization(x, a)", LINEAR, 23),
    "GroupNormalization": (IMAGE, "n = GroupNormalization<num_groups=2>(x, a, b)", CONV, 21),
    "InstanceNormalization": (IMAGE, "n = InstanceNormalization(x, a, b)", CONV, 17),
}


def model(case: str, end: str = "") -> ir.Model:
    signature, norm, linear, opset = OPERATORS[case]
    weight = {"w": (5, 4, 1) if linear is CONV else (4, 5), "s": (4,)}
    body = f"{norm} {end or linear}"
    return build(signature, body, opset, a=(4,), b=(4,), **weight)


def parameters(folded: ir.Model) -> list[np.ndarray]:
    return [stored(value) for value in folded.graph[0].inputs[1:] if value is not None]


@pytest.mark.parametrize("case", OPERATORS)
def test_scale_and_shift_go_and_the_norm_stays(case: str) -> None:
    given = model(case)
    folded = fold_graph(given.clone(), fold_norm_affine=True)
    assert prove(given, folded).passed
    name = given.graph[0].name
    assert operators(folded.model)[0] == given.graph[0].op_type
    ones, *zeros = parameters(folded.model)
    assert np.all(ones == 1) and not np.any(zeros)
    (site,) = [site for site in folded.report.sites if site.node == name]
    assert (site.status, site.operators) == ("folded", (given.graph[0].op_type,))
    (norm,) = folded.report.measuring
    assert not norm.untried_affine
    assert (site.kind, site.part_of) == ("affine", norm.kind)
    assert folded.report.norms_gone == ()


@pytest.mark.parametrize("case", ["LayerNormalization", "RMSNormalization", "GroupNormalization"])
def test_unasked_not_a_bit_changes(case: str) -> None:
    given = model(case)
    folded = fold_graph(given.clone())
    assert to_bytes(folded.model) == to_bytes(given)
    (norm,) = folded.report.measuring
    assert norm.untried_affine and norm.operators == (given.graph[0].op_type,)


@pytest.mark.parametrize("case", ["LayerNormalization", "GroupNormalization"])
def test_where_they_fold_nowhere_the_norm_is_whole_and_says_why(case: str) -> None:
    signature, norm, _, opset = OPERATORS[case]
    signature = signature.replace("3,5", "3,4").replace("5,6", "4,6")
    given = build(signature, f"{norm} y = Tanh(n)", opset, a=(4,), b=(4,))
    folded = fold_graph(given.clone(), fold_norm_affine=True)
    assert to_bytes(folded.model) == to_bytes(given)
    (site,) = folded.report.sites
    assert (site.node, site.status, site.channels) == (given.graph[0].name, "stayed", 4)
    assert "Tanh_1 (Tanh) does not commute" in site.reason


def test_of_two_one_may_fold() -> None:
    body = "n = LayerNormalization(x, a, b) t = Tanh(n) m = LayerNormalization(t, a, b) "
    given = build(ROWS, body + "y = MatMul(m, w)", a=(4,), b=(4,), w=(4, 5))
    folded = fold_and_prove(given, fold_norm_affine=True, eps=2.0**-20)
    assert [site.status for site in folded.report.sites] == ["stayed", "folded"]
    kinds = ["LayerNormalization", "Tanh", "LayerNormalization", "MatMul", "Add"]
    assert operators(folded.model) == kinds
    first, second = (node for node in folded.model.graph if node.op_type == kinds[0])
    assert str(first.inputs[1].name) == "a" and str(second.inputs[1].name) != "a"


def test_what_stands_behind_is_a_site_of_its_own() -> None:
    given = model("LayerNormalization", "m = Mul(n, s) y = MatMul(m, w)")
    folded = fold_graph(given.clone(), fold_norm_affine=True)
    assert [(site.node, site.status) for site in folded.report.sites] == [
        ("LayerNormalization_0", "folded"),
        ("Mul_1", "folded"),
    ]
    assert [site.node for site in folded.report.norms_gone] == ["Mul_1"]


def test_where_nothing_reads_it_the_norm_stays_whole() -> None:
    one = build(
        "float[B,3,4] x => float[B,3,4] y", "y = LayerNormalization(x, a, b)", a=(4,), b=(4,)
    )
    assert to_bytes(fold_graph(one.clone(), fold_norm_affine=True).model) == to_bytes(one)


def test_in_float16() -> None:
    body = "n = LayerNormalization(x, a, b) y = MatMul(n, w)"
    given = build(
        "float16[B,3,4] x => float16[B,3,5] y", body, dtype=np.float16, a=(4,), b=(4,), w=(4, 5)
    )
    folded = fold_and_prove(given, fold_norm_affine=True, eps=2.0**-10)
    ones, *zeros = parameters(folded.model)
    assert np.all(ones == 1) and not np.any(zeros)
    assert folded.model.graph.initializers["w"].dtype == ir.DataType.FLOAT16


def test_in_the_body_of_an_if() -> None:
    body = """
        y = If(c) <
            then_branch = t () => (float[B,3,5] o) {
                n = LayerNormalization(x, a, b) o = MatMul(n, w)
            },
            else_branch = e () => (float[B,3,5] o2) { o2 = MatMul(x, w) }
        >
    """
    given = build("float[B,3,4] x, bool c => float[B,3,5] y", body, a=(4,), b=(4,), w=(4, 5))
    folded = fold_graph(given.clone(), fold_norm_affine=True)
    (site,) = folded.report.sites
    assert site.status == "folded" and site.operators == ("LayerNormalization",)
    assert site.kind == "affine"


@pytest.mark.parametrize("name", ["LayerNormalization_0", "n"])
def test_one_that_is_kept_is_whole_and_named(name: str) -> None:
    given = model("LayerNormalization")
    folded = fold_graph(given.clone(), keep=[name], fold_norm_affine=True)
    assert to_bytes(folded.model) == to_bytes(given)
    (site,) = folded.report.sites
    assert (site.status, site.reason, site.kind) == ("stayed", "kept, as asked", "affine")
    assert to_bytes(fold_graph(given.clone(), keep=[name]).model) == to_bytes(given)


def test_a_name_that_is_none_is_told_with_those_that_measure_too() -> None:
    told = r"'m' names no norm of this graph \(norms: LayerNormalization_0\)"
    for affines_too in (False, True):
        with pytest.raises(InputError, match=told):
            fold_graph(model("LayerNormalization"), keep=["m"], fold_norm_affine=affines_too)


def test_where_the_scale_alone_would_fold_both_stay_and_it_is_said() -> None:
    given = model("LayerNormalization", "r = Relu(n) y = MatMul(r, w)")
    folded = fold_graph(given.clone(), fold_norm_affine=True)
    assert to_bytes(folded.model) == to_bytes(given)
    (site,) = folded.report.sites
    assert site.reason.startswith("its shift folds nowhere, so its scale stays too (")
