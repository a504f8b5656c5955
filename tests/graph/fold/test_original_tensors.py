"""Through all rounds, every tensor of the folded graph is known by what it was."""

from __future__ import annotations

import numpy as np

from tests.support.float64 import run
from tests.support.graphs import NORM, build, feeds_for, fold_and_prove, stored

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"


def test_a_tensor_that_kept_its_value_is_not_in_it() -> None:
    body = "h = Relu(x) m = Mul(h, a) n = Add(m, b) p = MatMul(n, w) y = Add(p, c)"
    folded = fold_and_prove(build(SIGNATURE, body, a=(4,), b=(4,), w=(4, 5), c=(5,)))
    assert not {"x", "h", "y"} & folded.values.keys()


def test_old_is_the_gauge_of_new() -> None:
    body = f"{NORM} t = Neg(n) u = Transpose<perm=[0,2,1]>(t) v = Transpose<perm=[0,2,1]>(u) "
    model = build(SIGNATURE, body + "y = MatMul(v, w)", a=(4,), b=(4,), w=(4, 5))
    folded = fold_and_prove(model)
    feeds = feeds_for(model)
    old, new = traced(model, feeds), traced(folded.model, feeds)
    for name in ("t", "u", "v"):
        if name in new:
            entry = folded.values[name]
            assert entry is not None
            first, gauge = entry
            np.testing.assert_allclose(gauge(new[name]), old[first], rtol=1e-12, atol=1e-12)


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
    feeds = feeds_for(model)
    old, new = traced(model, feeds), traced(folded.model, feeds)
    for name in ("t", "r"):
        entry = folded.values[name]
        assert entry is not None
        np.testing.assert_allclose(entry[1](new[name]), old[entry[0]], rtol=1e-12, atol=1e-12)


def test_the_inside_of_a_linear_unit_stands_for_nothing() -> None:
    model = build(SIGNATURE, f"{NORM} y = MatMul(n, w)", a=(4,), b=(4,), w=(4, 5))
    folded = fold_and_prove(model)
    assert folded.values["y_unbiased"] is None


def test_a_norm_behind_its_producer_leaves_the_producers_tensor_under_its_own_name() -> None:
    body = "p = MatMul(x, w) m = Mul(p, a) y = Add(m, b)"
    folded = fold_and_prove(
        build("float[B,3,5] x => float[B,3,4] y", body, a=(4,), b=(4,), w=(5, 4))
    )
    entry = folded.values["y"]
    assert entry is not None and entry[0] == "p"


def traced(model, feeds) -> dict[str, np.ndarray]:  # type: ignore[no-untyped-def]
    found: dict[str, np.ndarray] = {}

    def note(node, values) -> None:  # type: ignore[no-untyped-def]
        found.update((str(v.name), values[v]) for v in node.outputs)

    run(model, feeds, stored, note)
    return found
