"""n * (1 + s) + t, with s and t of one linear operator: a norm in front goes into its columns."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import NORM, assert_stays, build, fold_and_prove, operators
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Refuse, into

SIGNATURE = "float[B,3,4] x, float[B,2] c => float[B,3,5] y"
UNIT = {"unit": np.ones(1, np.float32)}
SPLIT = "s, t = Split<axis=1, num_outputs=2>(e)"
MADE = {
    "Gemm": ("e = Gemm(c, k, d)", {"k": (2, 8), "d": (8,)}),
    "Gemm, transposed": ("e = Gemm<transB=1>(c, k, d)", {"k": (8, 2), "d": (8,)}),
    "MatMul and Add": ("m0 = MatMul(c, k) e = Add(d, m0)", {"k": (2, 8), "d": (8,)}),
}
END = "q = Mul(n, o) r = Add(q, t1) y = MatMul(r, w)"
ENDS = {
    "as written": END,
    "the other way round": "q = Mul(o, n) r = Add(t1, q) y = MatMul(r, w)",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("made", MADE)
def test_the_norm_is_gone_and_nothing_is_gained(made: str, end: str) -> None:
    linear, weights = MADE[made]
    body = (
        f"{linear} {SPLIT} s1 = Unsqueeze(s, one) t1 = Unsqueeze(t, one) o = Add(s1, unit)"
        f" {NORM} {ENDS[end]}"
    )
    model = build(SIGNATURE, body, one=[1], a=(4,), b=(4,), w=(4, 5), **weights, **UNIT)
    folded = fold_and_prove(model)
    assert len(folded.report.folded) == 1 and not folded.report.gained_biases
    assert len(operators(folded.model)) == len(operators(model)) - 2


@pytest.mark.parametrize(
    "moves", ["o = Unsqueeze(h, one)", "g = Identity(h) o = Unsqueeze(g, one)"]
)
@pytest.mark.parametrize("unit", [(1,), (4,), (1, 4)])
def test_the_one_may_be_added_before_the_factor_is_moved(moves: str, unit: tuple[int, ...]) -> None:
    body = f"e = Gemm(c, k, d) {SPLIT} h = Add(s, unit) t1 = Unsqueeze(t, one) {moves} {NORM} {END}"
    weights = {"a": (4,), "b": (4,), "w": (4, 5), "k": (2, 8), "d": (8,), "unit": unit}
    folded = fold_and_prove(build(SIGNATURE, body, one=[1], **weights))
    assert len(folded.report.folded) == 1 and not folded.report.gained_biases


SLICED = {
    "at constant places": "s = Slice(e, i0, i4, i1) t = Slice(e, i4, i8, i1)",
    "as TorchScript halves": """
        sh = Shape(e) whole = Gather(sh, i1) more = Add(whole, i1) half = Div(more, i2)
        end = Mul(half, i2) s = Slice(e, i0, half, i1) t = Slice(e, half, end, i1)
    """,
}


@pytest.mark.parametrize("batch", ["B", "2"])
@pytest.mark.parametrize("how", SLICED)
def test_parts_that_are_sliced(how: str, batch: str) -> None:
    body = (
        f"e = Gemm(c, k, d) {SLICED[how]} s1 = Unsqueeze(s, i1) t1 = Unsqueeze(t, i1)"
        f" o = Add(s1, unit) {NORM} {END}"
    )
    places = {"i0": [0], "i1": [1], "i2": [2], "i4": [4], "i8": [8]}
    model = build(
        SIGNATURE.replace("B", batch), body, a=(4,), b=(4,), w=(4, 5), k=(2, 8), d=(8,),
        **{name: at for name, at in places.items() if name in body.replace("=", " ")}, **UNIT,
    )  # fmt: skip
    folded = fold_and_prove(model)
    assert len(folded.report.folded) == 1 and not folded.report.gained_biases
    assert len(operators(folded.model)) == len(operators(model)) - 2


def test_two_norms_of_one_block_and_its_gates() -> None:
    """As in a DiT block: six parts, two of them gates that multiply what is added to the stream."""
    body = f"""
        e = Gemm(c, k, d)
        t, s, g, t2, s2, g2 = Split<axis=1, num_outputs=6>(e)
        su = Unsqueeze(s, one) tu = Unsqueeze(t, one) gu = Unsqueeze(g, one)
        su2 = Unsqueeze(s2, one) tu2 = Unsqueeze(t2, one) gu2 = Unsqueeze(g2, one)
        o = Add(su, unit) o2 = Add(su2, unit)
        {NORM} q = Mul(n, o) r = Add(q, tu) f = MatMul(r, w) gf = Mul(gu, f) h = Add(x, gf)
        m2 = Mul(h, a2) n2 = Add(m2, b2) q2 = Mul(n2, o2) r2 = Add(q2, tu2)
        f2 = MatMul(r2, w2) gf2 = Mul(gu2, f2) y = Add(h, gf2)
    """
    model = build(
        "float[B,3,4] x, float[B,2] c => float[B,3,4] y", body, k=(2, 24), d=(24,), one=[1],
        a=(4,), b=(4,), a2=(4,), b2=(4,), w=(4, 4), w2=(4, 4), **UNIT,
    )  # fmt: skip
    folded = fold_and_prove(model)
    assert len(folded.report.folded) == 2 and not folded.report.stayed
    assert len(operators(folded.model)) == len(operators(model)) - 4


def test_the_numbers() -> None:
    """s is 3 c + 1 and t is 5 c + 2; n is 2 x + 7: t' = t + 7 (1 + s), o' = 2 (1 + s)."""
    body = (
        f"e = Gemm(c, k, d) {SPLIT} s1 = Unsqueeze(s, one) t1 = Unsqueeze(t, one)"
        f" o = Add(s1, unit) {NORM} q = Mul(n, o) y = Add(q, t1)"
    )
    model = build(
        "float[B,3,2] x, float[B,1] c => float[B,3,2] y", body, one=[1], **UNIT,
        k=np.float32([[3, 3, 5, 5]]), d=np.float32([1, 1, 2, 2]),
        a=np.float32([2, 4]), b=np.float32([7, 0]),
    )  # fmt: skip
    exact = fold_and_prove(model).exact
    assert exact["k"]().tolist() == [[6, 12, 5 + 7 * 3, 5]]
    assert exact["d"]().tolist() == [2, 4, 2 + 7 * (1 + 1), 2]


BODY = f"e = Gemm(c, k, d) {SPLIT} s1 = Unsqueeze(s, one) t1 = Unsqueeze(t, one) o = Add(s1, unit)"
OTHERS = {
    "what is added is read elsewhere": (
        "float[B,3,4] x, float[B,2] c => float[B,3,5] y, float[B,4] z",
        f"{BODY} {NORM} {END} z = Relu(t)",
    ),
    "all that the linear operator makes is read elsewhere": (
        "float[B,3,4] x, float[B,2] c => float[B,3,5] y, float[B,8] z",
        f"{BODY} {NORM} {END} z = Relu(e)",
    ),
    "what is added is an output": (
        "float[B,3,4] x, float[B,2] c => float[B,3,5] y, float[B,1,4] t1",
        f"{BODY} {NORM} {END}",
    ),
    "the factor is what is added": (
        SIGNATURE,
        f"{BODY} {NORM} q = Mul(n, o) r = Add(q, s1) y = MatMul(r, w)",
    ),
    "two linear operators": (
        SIGNATURE,
        f"{BODY} e2 = Gemm(c, k, d) s2, t2 = Split<axis=1, num_outputs=2>(e2)"
        f" u2 = Unsqueeze(t2, one) {NORM} q = Mul(n, o) r = Add(q, u2) y = MatMul(r, w)",
    ),
}

#: Here the factor cannot be scaled either.
ALSO_NO_SCALE = (
    "all that the linear operator makes is read elsewhere",
    "the factor is what is added",
)


@pytest.mark.parametrize("case", OTHERS)
def test_where_the_columns_are_not_free_an_add_of_the_shift_stays(case: str) -> None:
    signature, body = OTHERS[case]
    model = build(signature, body, k=(2, 8), d=(8,), one=[1], a=(4,), b=(4,), w=(4, 5), **UNIT)
    folded = fold_and_prove(model)
    (site,) = folded.report.stayed
    assert "a shift would be multiplied by a tensor" in site.reason
    shortened = "stays as one Add" in site.reason
    assert shortened == (case not in ALSO_NO_SCALE)
    assert len(operators(folded.model)) == len(operators(model)) - shortened


def test_a_dead_channel_is_named() -> None:
    scale = np.float32([1, 0, 1, 1])
    model = build(SIGNATURE, f"{BODY} {NORM} {END}", k=(2, 8), d=(8,), one=[1], a=scale, b=(4,),
                  w=(4, 5), **UNIT)  # fmt: skip
    (site,) = fold_and_prove(model).report.stayed
    assert "by the scale of channel 1" in site.reason


def test_more_rows_than_an_integer_counts_are_left_alone() -> None:
    """A damaged file may state any sizes."""
    rows = f"{2**32},{2**32}"
    signature = f"float[{rows},2] c, float[{rows},4] x => float[{rows},4] y"
    body = f"m0 = MatMul(c, k) e = Add(d, m0) s, t = Split<axis=2, num_outputs=2>(e) {NORM}"
    body += " q = Mul(n, s) y = Add(q, t)"
    model = build(signature, body, a=(4,), b=(4,), k=(2, 8), d=(8,))
    assert len(fold_graph(model).report.stayed) == 1


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_shift_that_no_column_could_hold() -> None:
    """Divided by the scale it is more than float64 holds."""
    body = (
        f"e = Gemm(c, k, d) {SPLIT} s1 = Unsqueeze(s, one) t1 = Unsqueeze(t, one)"
        f" o = Add(s1, unit) {NORM} {END}"
    )
    model = build(
        "double[B,3,2] x, double[B,1] c => double[B,3,5] y", body, one=[1], dtype=np.float64,
        unit=np.ones(1), k=(1, 4), d=(4,), w=(2, 5), a=np.array([1e-17, 1]), b=np.full(2, 1e300),
    )  # fmt: skip
    assert_stays(model, "a modulation would take in a shift without bounds")


ROWS, CHANNELS = np.array([[[1.0], [2.0], [3.0]]]), np.array([[[1.0, 2.0, 3.0, 4.0]]])


@pytest.mark.parametrize(
    ("port", "scale", "reason"),
    [
        (0, ROWS, "the scale and shift vary along another axis than the last"),
        (1, CHANNELS, "what a modulation multiplies by is scaled, and nothing makes up for it"),
        (2, CHANNELS, "what a modulation adds and gives is not scaled nor shifted"),
    ],
)
def test_what_the_rule_refuses(port: int, scale: np.ndarray, reason: str) -> None:
    linear, weights = MADE["Gemm"]
    body = f"{linear} {SPLIT} s1 = Unsqueeze(s, one) t1 = Unsqueeze(t, one) o = Add(s1, unit)"
    end = "r = Relu(x) q = Mul(r, o) u = Add(q, t1) y = MatMul(u, w)"
    model = build(SIGNATURE, f"{body} {end}", one=[1], w=(4, 5), **weights, **UNIT)
    view = GraphView(model, Constants(model), Shapes(model))
    (unit,) = (unit for unit in view.units if unit.mixing is not None)
    assert unit.rule is not None
    with pytest.raises(Refuse, match=reason):
        list(unit.rule.transport(unit, {into(port): Affine(scale, np.zeros((1, 1, 1)))}, view))
