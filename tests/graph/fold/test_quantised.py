"""A network that was quantised before its fold: the report says what to do."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.graph.fold.test_quantised_weights import model
from tests.support.graphs import NORM, build
from un_deploy.errors import ThresholdError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_kinds import to_ir

QDQ = "k = QuantizeLinear(n, s, z) d = DequantizeLinear(k, s, z)"
WHOLE = f"{QDQ} w = DequantizeLinear<axis=1>(q, s) y = MatMul(d, w)"
DYNAMIC = "k, t, o = DynamicQuantizeLinear(n) y0 = MatMulInteger(k, q, o) y = Cast<to=1>(y0)"


QLINEAR = """
    h = QLinearMatMul(k, s, z, q, s, z, s, z) g = com.microsoft.QLinearMul(h, s, z, c, s, z, s, z)
    o = com.microsoft.QLinearAdd(g, s, z, c, s, z, s, z) y = DequantizeLinear(o, s, z)
"""
QOPERATOR = f"k = QuantizeLinear(x, s, z) {QLINEAR}"
"""What ONNX Runtime's quantize_static makes of a norm between a MatMul and what reads it."""

HIDDEN = "norms may hide in its operators, and no scale passes the rounding between them."
FLOAT = " Fold the float network, then quantise what comes out."


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        (WHOLE, "2 DequantizeLinear, 1 QuantizeLinear"),
        (DYNAMIC, "1 DynamicQuantizeLinear, 1 MatMulInteger"),
    ],
)
def test_the_remedy_is_told_with_the_operators(body: str, counts: str) -> None:
    report = fold_graph(model(body, "INT8", ())).report
    assert report.remedy.startswith(f"the network is quantised ({counts}): {HIDDEN}{FLOAT}")
    assert report.notes == (report.remedy,)
    assert str(report).startswith("The network is quantised")
    assert str(report).count("is quantised") == 1
    with pytest.raises(ThresholdError, match=r"stays: .*; .*Fold the float network, then quantise"):
        report.require("all")


def qoperator() -> onnx.ModelProto:
    proto = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 21, "com.microsoft": 1]>'
        f"g (float[B,3,4] x) => (float[B,3,6] y) {{ {QOPERATOR} }}"
    )
    rng = np.random.default_rng(0)
    constants = {
        "s": np.float32(0.1),
        "z": np.int8(0),
        "q": rng.integers(-9, 9, (4, 6), np.int8),
        "c": rng.integers(-9, 9, 6, np.int8),
    }
    tensors = (onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items())
    proto.graph.initializer.extend(tensors)
    return proto


def test_a_norm_in_integers_is_not_said_to_be_gone() -> None:
    report = fold_graph(to_ir(qoperator())[0]).report
    assert not report.sites and report.may_hide_norms
    assert set(report.quantised) == {
        "QuantizeLinear",
        "QLinearMatMul",
        "QLinearMul",
        "QLinearAdd",
        "DequantizeLinear",
    }
    assert "There is no norm outside its quantised operators; 5 operators" in str(report)
    with pytest.raises(ThresholdError, match="whether one does cannot be told; the network is qu"):
        report.require("all")
    with pytest.raises(ThresholdError, match="0 of 1 required norms folded; the network is qu"):
        report.require(1)


def test_a_gate_stays_shut_where_all_that_is_seen_folds() -> None:
    folds = f"{NORM} h = MatMul(n, w) k, t, o = DynamicQuantizeLinear(h) y = Cast<to=1>(k)"
    report = fold_graph(
        build("float[B,3,4] x => float[B,3,5] y", folds, a=(4,), b=(4,), w=(4, 5))
    ).report
    assert (len(report.norms_gone), report.may_hide_norms) == (1, True)
    report.require(1)
    with pytest.raises(ThresholdError, match="cannot be told; the network is quantised"):
        report.require("all")


def test_quantised_weights_alone_hide_no_norm() -> None:
    body = f"{NORM} h = MatMul(n, v) w = DequantizeLinear(q, s) y = MatMul(h, w)"
    signature, q = "float[B,3,4] x => float[B,3,6] y", np.ones((4, 6), np.int8)
    given = build(signature, body, 21, a=(4,), b=(4,), v=(4, 4), q=q, s=SCALE)
    report = fold_graph(given).report
    assert (len(report.norms_gone), report.may_hide_norms) == (1, False)
    assert report.remedy.startswith("the weights are quantised (1 DequantizeLinear), and such")
    report.require("all")


def test_nothing_is_told_where_nothing_is_quantised() -> None:
    stays = fold_graph(
        build("float[B,3,4] x => float[B,3,4] y", f"{NORM} y = Tanh(n)", a=(4,), b=(4,))
    ).report
    assert (len(stays.stayed), stays.remedy, stays.notes) == (1, "", ())


LN = "n = LayerNormalization(x, a, b)"
WRITTEN = """m0 = ReduceMean(x, last) d0 = Sub(x, m0) d2 = Mul(d0, d0) v = ReduceMean(d2, last)
             v2 = Add(v, eps) r = Sqrt(v2) u = Div(d0, r) t0 = Mul(u, a) n = Add(t0, b)"""
SCALE, ZERO = np.array(0.1, np.float32), np.array(0, np.int8)
BEHIND = {
    "float": ("y = MatMul(n, w)", True),
    "QDQ": (f"{QDQ} w0 = DequantizeLinear(q, s, z) y = MatMul(d, w0)", False),
    "QOperator": (f"k = QuantizeLinear(n, s, z) {QLINEAR}", False),
    "dynamic": (DYNAMIC, False),
    "float in front of what is quantised": (
        f"n2 = MatMul(n, w) {QDQ.replace('(n', '(n2')} y = Identity(d)",
        True,
    ),
}


@pytest.mark.parametrize("norm", [LN, WRITTEN], ids=["operator", "written out"])
@pytest.mark.parametrize("case", BEHIND)
def test_scale_and_shift_are_offered_where_they_fold(case: str, norm: str) -> None:
    body, folds = BEHIND[case]
    given = build(
        "float[B,3,4] x => float[B,3,6] y",
        f"{norm} {body}",
        21,
        a=(4,),
        b=(4,),
        w=(4, 6),
        s=SCALE,
        z=ZERO,
        q=np.ones((4, 6), np.int8),
        c=np.ones(6, np.int8),
        last=np.array([-1]),
        eps=np.array(1e-5, np.float32),
    )
    report = fold_graph(given.clone()).report
    (stays,) = report.measuring
    assert stays.untried_affine == folds
    assert ("fold_norm_affine=True" in str(report)) == folds
    assert len(fold_graph(given, fold_norm_affine=True).report.folded) == folds
