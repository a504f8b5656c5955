"""Through all rounds, every tensor of the folded graph is known by what it was."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.support.float64 import run
from tests.support.graphs import NORM, build, feeds_for, fold_and_prove, stored
from un_deploy.graph.fold.fold import Folded

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"


def test_a_tensor_that_stands_for_itself_alone_is_not_in_it() -> None:
    body = "h = Relu(x) m = Mul(h, a) n = Add(m, b) p = MatMul(n, w) y = Add(p, c)"
    folded = fold_and_prove(build(SIGNATURE, body, a=(4,), b=(4,), w=(4, 5), c=(5,)))
    assert not {"x", "y"} & folded.claims.keys()


def test_old_is_the_gauge_of_new() -> None:
    body = f"{NORM} t = Neg(n) u = Transpose<perm=[0,2,1]>(t) v = Transpose<perm=[0,2,1]>(u) "
    model = build(SIGNATURE, body + "y = MatMul(v, w)", a=(4,), b=(4,), w=(4, 5))
    folded = fold_and_prove(model)
    assert_claims_hold(model, folded, ["t"])


def test_two_rounds_compose() -> None:
    """The parts of a concat fold one round after the other, through the same tensors."""
    body = f"""{NORM} k = Mul(z, a2) o = Add(k, b2) t = Concat<axis=2>(n, o) r = Neg(t)
               y = MatMul(r, w)"""
    model = build(
        "float[2,3,4] x, float[2,3,2] z => float[2,3,5] y",
        body,
        a=(4,),
        b=(4,),
        a2=(2,),
        b2=(2,),
        w=(6, 5),
    )
    folded = fold_and_prove(model)
    assert_claims_hold(model, folded, ["t", "r"])


def test_the_inside_of_a_linear_unit_stands_for_nothing() -> None:
    model = build(SIGNATURE, f"{NORM} y = MatMul(n, w)", a=(4,), b=(4,), w=(4, 5))
    folded = fold_and_prove(model)
    assert folded.claims["y_unbiased"] == ()


def test_a_norm_behind_its_producer_leaves_the_producers_tensor_under_its_own_name() -> None:
    body = "p = MatMul(x, w) m = Mul(p, a) y = Add(m, b)"
    folded = fold_and_prove(
        build("float[B,3,5] x => float[B,3,4] y", body, a=(4,), b=(4,), w=(5, 4))
    )
    names = {claim.original: claim for claim in folded.claims["y"]}
    assert names["p"].gauge is not None and names["y"].is_equality


def test_what_stood_inside_a_norm_is_known_by_its_shape_alone() -> None:
    model = build(SIGNATURE, f"{NORM} y = MatMul(n, w)", a=(4,), b=(4,), w=(4, 5))
    claims = {claim.original: claim for claim in fold_and_prove(model).claims["x"]}
    assert claims.keys() == {"x", "m", "n"}
    assert claims["m"].shape_only and not claims["n"].shape_only


def test_the_ends_of_a_cancelled_chain_are_one_tensor() -> None:
    body = """t = Transpose<perm=[0,2,1]>(x) k = Mul(t, a) o = Add(k, b)
               u = Transpose<perm=[0,2,1]>(o) y = MatMul(u, w)"""
    folded = fold_and_prove(build(SIGNATURE, body, a=(4, 1), b=(4, 1), w=(4, 5)))
    assert {"x", "u"} <= {claim.original for claim in folded.claims["x"]}


def assert_claims_hold(model: ir.Model, folded: Folded, names: list[str]) -> None:
    """Run both graphs: old = gauge(new) for every claim on these tensors."""
    feeds = feeds_for(model)
    old, new = traced(model, feeds), traced(folded.model, feeds)
    for name in names:
        assert any(claim.gauge is not None for claim in folded.claims[name])
        for claim in folded.claims[name]:
            found = new[name] if claim.gauge is None else claim.gauge(new[name])
            np.testing.assert_allclose(found, old[claim.original], rtol=1e-12, atol=1e-12)


def traced(model: ir.Model, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def note(node, values) -> None:  # type: ignore[no-untyped-def]
        found.update((str(v.name), values[v]) for v in node.outputs)

    run(model, feeds, stored, note)
    return found
