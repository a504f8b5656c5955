"""A norm whose scale goes forward and whose shift goes backward, to one place of a residual stream.

Zeros that are put in behind it, a mask or a Relu let its scale through, and no shift. What reads
the stream elsewhere could not take its scale, and does not see its shift.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import assert_folds, build, fold_and_prove, operators, stored
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.solving.solve import solve

SCALE, SHIFT = np.float32([1, 2, 0.5, -4]), np.float32([3, -2, 1, 2])
NORM = "m = Mul(h, a) n = Add(m, b)"
PADDED = "p = Pad(n, pads) q = MatMul(p, v) r = Add(q, d) f = Slice(r, one, five, one)"
WEIGHTS = {"w": (4, 4), "c": (4,), "v": (4, 4), "d": (4,), "o": (4, 4), "a": SCALE, "b": SHIFT}
INTEGERS = {"pads": [0, 1, 0, 0, 2, 0], "one": [1], "five": [5]}


def stream(
    body: str = f"{NORM} {PADDED}",
    *,
    before: str = "g = MatMul(x, w) h = Add(g, c)",
    behind: str = "s = Add(h, f) t = Tanh(s) y = MatMul(t, o)",
    signature: str = "float[B,4,4] x => float[B,4,4] y",
    dtype: type = np.float32,
    **changed: object,
):
    """A linear operator makes the stream h, whose other reader is a sum, of which a Tanh reads."""
    given = {**WEIGHTS, **INTEGERS, **changed}
    text = f"{before} {body} {behind}"
    given = {name: one for name, one in given.items() if name in text}
    return build(signature, text, dtype=dtype, **given)


def initializer(model, name: str) -> np.ndarray:
    return next(stored(v) for n, v in model.graph.initializers.items() if n == name)


def test_behind_a_norm_zeros_are_padded_and_nothing_is_left() -> None:
    """The bias in front has the shift, the branch's takes it back, and a weight has the scale."""
    model = stream()
    old = {name: initializer(model, name) for name in ("c", "d", "v")}
    folded = assert_folds(model)
    assert operators(folded.model) == [
        *("MatMul", "Add", "Pad", "MatMul", "Add", "Slice", "Add", "Tanh", "MatMul")
    ]
    new = {change.old: initializer(folded.model, change.new) for change in folded.report.changes}
    assert new.keys() == {"c", "d", "v"}
    np.testing.assert_allclose(new["c"], old["c"] + SHIFT / SCALE, rtol=1e-6)
    np.testing.assert_allclose(new["d"], old["d"] - SHIFT / SCALE, rtol=1e-6)
    np.testing.assert_allclose(new["v"], SCALE[:, None] * old["v"], rtol=1e-6)


def test_every_block_of_a_stream_has_its_shift_for_itself() -> None:
    """Also where it is the first operand of every sum, and each norm has another shift."""
    body, weights = "", {}
    for i in range(3):
        body += f""" m{i} = Mul(h{i}, a{i}) n{i} = Add(m{i}, b{i}) p{i} = Pad(n{i}, pads)
            q{i} = MatMul(p{i}, v{i}) r{i} = Add(q{i}, d) f{i} = Slice(r{i}, one, five, one)
            s{i} = Add(h{i}, f{i}) t{i} = Tanh(s{i}) u{i} = MatMul(t{i}, w{i}) e{i} = Add(u{i}, c)
            h{i + 1} = Add(s{i}, e{i})"""
        weights |= {f"a{i}": (4,), f"b{i}": SHIFT * (i + 1) / 8, f"v{i}": (4, 4), f"w{i}": (4, 4)}
    signature = "float[B,4,4] x => float[B,4,4] y"
    body = f"h0 = MatMul(x, w) {body} y = Tanh(h3)"
    kept = {name: WEIGHTS[name] for name in "wcd"}
    folded = assert_folds(build(signature, body, **kept, **weights, **INTEGERS))
    assert operators(folded.model).count("Mul") == 0
    assert len(folded.report.gained_biases) == 1  # of what makes the stream
    changed = {change.old for change in folded.report.changes}
    assert changed == {None, "c", "d", "v0", "v1", "v2"}


PASSES = {
    "a mask": "p = Mul(n, mask) q = MatMul(p, v) f = Add(q, d)",
    "a Relu": "p = Relu(n) q = MatMul(p, v) f = Add(q, d)",
    "a padded Conv": "n1 = Transpose<perm=[0,2,1]>(n) q = Conv<pads=[1,1]>(n1, k, d)"
    " f = Transpose<perm=[0,2,1]>(q)",
    "zeros": PADDED,
}


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize(
    "sum_", ["s = Add(h, f)", "s = Add(f, h)", "s = Sub(h, f)", "s = Sub(f, h)"]
)
def test_whatever_lets_a_scale_through_and_no_shift(passes: str, sum_: str) -> None:
    model = stream(
        f"{NORM} {PASSES[passes]}",
        behind=f"{sum_} t = Tanh(s) y = MatMul(t, o)",
        signature="float[B,4,4] x, float[B,4,1] mask => float[B,4,4] y",
        a=np.abs(SCALE),
        k=(4, 4, 3),
    )
    folded = assert_folds(model)
    assert "Tanh" in operators(folded.model) and folded.report.gained_biases == ()


def test_a_table_ends_a_shift_for_nothing() -> None:
    """The positions added behind it take it back, and the branch is only scaled."""
    model = stream(behind="s = Add(h, table) t = Tanh(s) z = Add(t, f) y = MatMul(z, o)",
                   table=(1, 4, 4))  # fmt: skip
    folded = assert_folds(model)
    assert {change.old for change in folded.report.changes} == {"c", "v", "table"}


def test_a_channel_that_is_scaled_by_zero_has_no_shift_before_it() -> None:
    scale = np.float32([1, 2, 0, 4])
    (site,) = fold_and_prove(stream(a=scale)).report.stayed
    assert "channel 2 is scaled by 0: nothing before it makes its shift" in site.reason
    assert_folds(stream(a=scale, b=np.float32([3, -2, 0, 2])))


TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64}


@pytest.mark.parametrize(("type_", "most"), [("float", 256), ("float16", 12), ("double", 2e5)])
def test_a_shift_that_would_cost_digits_stays(type_: str, most: float) -> None:
    """A small scale makes it large: it may cost numbers of about 1 a third of their digits."""

    def model(before: float):
        dtype = TYPES[type_]
        return stream(
            signature=f"{type_}[B,4,4] x => {type_}[B,4,4] y",
            a=np.full(4, 0.25, dtype),
            b=np.full(4, 0.25 * before, dtype),
            dtype=dtype,
        )

    (site,) = fold_and_prove(model(1.1 * most)).report.stayed
    assert "added to it, and that subtracted again behind it: digits would be lost" in site.reason
    eps = float(np.finfo(TYPES[type_]).eps) ** (2 / 3)
    assert fold_and_prove(model(0.9 * most), eps=eps).report.stayed == ()


@pytest.mark.parametrize(
    ("before", "behind", "said"),
    [
        ("h = Identity(x)", "s = Add(h, f) y = Tanh(s)", "'x' is a graph input"),
        ("h = MatMul(x, w)", "s = Add(h, f) t = Tanh(h) y = Add(s, t)", "Tanh"),
    ],
)
def test_where_nothing_makes_up_for_the_shift_it_stays(before: str, behind: str, said: str) -> None:
    (site,) = fold_and_prove(stream(before=before, behind=behind)).report.stayed
    assert said in site.reason and "its shift stays as one Add" in site.reason


def test_sums_before_and_behind_see_no_shift() -> None:
    """Of the gauges: the shift is on the stream in front of the norm, and on no other sum."""
    model = stream()
    view = GraphView(model, Constants(model), Shapes(model))
    (site,) = view.sites
    gauges = {value.name: gauge for value, gauge in solve(view, "apart").assignment.tensors.items()}
    np.testing.assert_allclose(gauges["h"].shift.ravel(), -SHIFT / SCALE)
    assert gauges["h"].keeps_scale and gauges["s"].is_identity
    np.testing.assert_allclose(gauges["f"].shift.ravel(), SHIFT / SCALE)
    np.testing.assert_allclose(gauges["p"].scale.ravel(), SCALE)
    assert np.all(gauges["p"].shift == 0) and site.y.name == "n"
