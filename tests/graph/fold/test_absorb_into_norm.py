"""A norm that stays can take others in, if it has a factor and a summand to hold them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build, fold_and_prove, stored
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold import absorb_into_norm
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Refuse

FIRST = "m = Mul(h, a) n = Add(m, b)"
SHAPES = dict.fromkeys(("a", "b", "a2", "b2", "a3", "a4", "b4"), (4,))
SHAPES |= dict.fromkeys(("w0", "w", "v"), (4, 4)) | {"c": ()}


def between_two_outputs(second: str, third: str, kind: str = "float") -> tuple[str, str]:
    """A stream whose ends n and y are outputs; inside it the second norm makes o from s."""
    body = f"""h = MatMul(x, w0) {FIRST} f = MatMul(n, w) s = Add(n, f) {second}
               e = MatMul(o, v) t = Add(o, e) {third}"""
    return f"{kind}[B,4] x => {kind}[B,4] n, {kind}[B,4] y", body


def stream(second: str, third: str) -> ir.Model:
    signature, body = between_two_outputs(second, third)
    used = {k: v for k, v in SHAPES.items() if f" {k})" in body or f" {k}," in body}
    return build(signature, body, **used)


SECOND = {
    "a product and a sum": ("k = Mul(s, a2) o = Add(k, b2)", "a2", "Mul"),
    "a quotient and a sum": ("k = Div(s, a2) o = Add(k, b2)", "a2", "Div"),
    "a scalar factor first": ("j = Mul(s, c) k = Mul(j, a2) o = Add(k, b2)", "a2", "Mul"),
}
SEVERAL = {
    "several factors": "j = Div(s, a3) k = Mul(j, a2) o = Add(k, b2)",
    "a scalar factor last": "j = Mul(s, a2) k = Mul(j, c) o = Add(k, b2)",
}


@pytest.mark.parametrize("case", SECOND)
def test_the_second_norm_takes_the_third_in(case: str) -> None:
    second, changed, op = SECOND[case]
    model = stream(second, "y = Mul(t, a4)")
    folded = fold_and_prove(model)
    assert [site.status for site in folded.report.sites] == ["folded", "stayed", "folded"]
    (change,) = [c for c in folded.report.changes if c.old == changed]
    before, a4 = (stored(model.graph.initializers[name]) for name in (changed, "a4"))
    after = stored(folded.model.graph.initializers[change.new])
    np.testing.assert_allclose(after, before / a4 if op == "Div" else before * a4, rtol=1e-6)


@pytest.mark.parametrize("case", SEVERAL)
def test_a_norm_of_several_factors_takes_it_in_and_becomes_one(case: str) -> None:
    model = stream(SEVERAL[case], "y = Mul(t, a4)")
    folded = fold_and_prove(model)
    assert [site.status for site in folded.report.sites] == ["folded", "stayed", "folded"]
    given = {name: stored(value) for name, value in model.graph.initializers.items()}
    factor = given["a2"] * (1 / given["a3"] if "a3" in given else given["c"])
    (mul,) = [node for node in folded.model.graph if node.op_type == "Mul"]
    np.testing.assert_allclose(stored(mul.inputs[1]), factor * given["a4"], rtol=1e-6)


def test_the_third_norm_takes_the_second_in() -> None:
    folded = fold_and_prove(stream("o = Mul(s, a2)", "l = Mul(t, a4) y = Add(l, b4)"))
    assert [site.status for site in folded.report.sites] == ["folded", "folded", "stayed"]


CANNOT = {
    "a scale alone": "o = Mul(s, a2)",
    "the sum first": "k = Add(s, b2) o = Mul(k, a2)",
    "a difference": "k = Mul(s, a2) o = Sub(k, b2)",
    "a batch norm": "o = BatchNormalization(s, a2, b2, b2, a2)",
}


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_take_another_in(case: str) -> None:
    folded = fold_and_prove(stream(CANNOT[case], "y = Mul(t, a4)"))
    assert [site.status for site in folded.report.sites] == ["folded", "stayed", "stayed"]
    view = GraphView(folded.model, Constants(folded.model), Shapes(folded.model))
    with pytest.raises(Refuse, match="is not a product and a sum that could take in another norm"):
        absorb_into_norm.check(view.sites[0], view)


def test_a_norm_that_is_kept_takes_nothing_in() -> None:
    model = stream("k = Mul(s, a2) o = Add(k, b2)", "y = Mul(t, a4)")
    folded = fold_and_prove(model, keep=("o",))
    assert [site.status for site in folded.report.sites] == ["folded", "stayed", "stayed"]
    view = GraphView(folded.model, Constants(folded.model), Shapes(folded.model), keep=("o",))
    with pytest.raises(Refuse, match="is kept, so its input and output must stay"):
        absorb_into_norm.check(view.sites[0], view)


def test_a_constant_that_would_leave_its_types_range_is_refused() -> None:
    """Each scale is small enough, their product is too large for float16."""
    second = "k = Mul(s, a2) o = Add(k, b2)"
    signature, body = between_two_outputs(second, "y = Mul(t, a4)", "float16")
    ones = dict.fromkeys(("a", "b", "b2"), np.ones(4, np.float16))
    large = {"a2": np.full(4, 1000, np.float16), "a4": np.full(4, 200, np.float16)}
    squares = dict.fromkeys(("w0", "w", "v"), np.eye(4, dtype=np.float16))
    folded = fold_and_prove(build(signature, body, **ones, **large, **squares), eps=2.0**-10)
    assert [site.status for site in folded.report.sites] == ["folded", "stayed", "stayed"]
