"""A norm in the body of an If, a Loop or a Scan is named, with the reason why it stays."""

from __future__ import annotations

import pytest

from tests.support.graphs import NORM, build, fold_and_prove, operators
from un_deploy.graph.fold.fold import fold_graph
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
    "If": ("float[B,3,4] x, bool c => float[B,3,4] y", IF, "'then_branch' of If_0"),
    "Loop": ("float[B,3,4] x, int64 trips => float[B,3,4] y", LOOP, "'body' of Loop_1"),
    "Scan": ("float[B,3,4] x, float[4] s => float[4] z, float[B,3,4] y", SCAN, "'body' of Scan_0"),
    "an If in an If": ("float[B,3,4] x, bool c => float[B,3,4] y", NESTED, "'then_branch' of o"),
}


@pytest.mark.parametrize("case", BODIES)
def test_it_is_named(case: str) -> None:
    signature, body, where = BODIES[case]
    model = build(signature, body, **WEIGHTS)
    folded = fold_graph(model.clone())
    (site,) = folded.report.stayed
    assert site.operators == ("Mul", "Add") and site.channels == 4
    assert f"it is in the body {where}" in site.reason
    assert prove(model, folded).passed


def test_what_a_body_computes_of_folded_tensors_is_told_behind_what_folded() -> None:
    head = "m0 = Mul(z, a) n0 = Add(m0, b) x = MatMul(n0, w)"
    model = build("float[B,3,4] z, bool c => float[B,3,4] y", f"{head} {IF}", **WEIGHTS)
    folded = fold_graph(model.clone())
    assert [site.status for site in folded.report.sites] == ["folded", "stayed"]
    assert operators(folded.model) == ["MatMul", "Add", "If"]


def test_factors_and_biases_in_a_body_are_not_told() -> None:
    body = """y = If (c) <
        then_branch = t () => (float[B,3,4] o) { h = Mul(x, k) o = MatMul(h, w) },
        else_branch = e () => (float[B,3,4] p) { p = Identity(x) }>"""
    model = build("float[B,3,4] x, bool c => float[B,3,4] y", body, k=(), w=(4, 4))
    assert fold_and_prove(model).report.sites == ()
