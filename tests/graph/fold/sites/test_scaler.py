"""The Scaler of scikit-learn's pipelines is a norm like others, where it keeps the type."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from tests.support.graphs import assert_folds, assert_stays, build, fold_and_prove, operators
from un_deploy.graph.fold.fold import fold_graph

ROWS = "float[B,4] x => float[B,5] y"
#: Not all of these are float32 numbers: an attribute is rounded, and so is what runtimes compute.
OFFSET, SCALE = [1.0, 2.0, 3.0, 4.1], [0.5, 2.0, 0.7, 1.5]


def scaler(
    signature: str,
    body: str,
    offset: list[float] = OFFSET,
    scale: list[float] = SCALE,
    **constants: tuple[int, ...],
) -> ir.Model:
    """A graph whose Neg is a Scaler instead."""
    model = build(signature, body, **constants)
    (node,) = (node for node in model.graph if node.op_type == "Neg")
    node.op_type, node.domain = "Scaler", "ai.onnx.ml"
    node.attributes["offset"] = ir.AttrFloat32s("offset", offset)
    node.attributes["scale"] = ir.AttrFloat32s("scale", scale)
    model.graph.opset_imports["ai.onnx.ml"] = 1
    return model


FOLDED = {
    "forward": (ROWS, "n = Neg(x) y = Gemm(n, w, c)", {"w": (4, 5), "c": (5,)}, ["Gemm"]),
    "backward": (
        "float[B,5] x => float[B,4] y",
        "p = Gemm(x, w) y = Neg(p)",
        {"w": (5, 4)},
        ["Gemm"],
    ),
    "of one row": (
        "float[4] x => float[5] y",
        "n = Neg(x) y = MatMul(n, w)",
        {"w": (4, 5)},
        ["MatMul", "Add"],
    ),
    "with a norm behind it": (
        ROWS,
        "n = Neg(x) m = Mul(n, a) o = Add(m, b) y = Gemm(o, w)",
        {"a": (4,), "b": (4,), "w": (4, 5)},
        ["Gemm"],
    ),
}


@pytest.mark.parametrize("case", FOLDED)
def test_it_folds(case: str) -> None:
    signature, body, constants, left = FOLDED[case]
    folded = assert_folds(scaler(signature, body, **constants))
    assert operators(folded.model) == left
    assert folded.report.sites[0].channels == 4


def test_one_of_a_single_number_folds() -> None:
    model = scaler(ROWS, "n = Neg(x) y = Gemm(n, w, c)", [1.5], [2.0], w=(4, 5), c=(5,))
    assert operators(assert_folds(model).model) == ["Gemm"]


def test_one_that_stays_takes_in_its_neighbours() -> None:
    body = "n = Neg(x) m = Mul(n, a) y = Add(m, b)"
    model = scaler("float[B,4] x => float[B,4] y", body, a=(4,), b=(4,))
    folded = fold_and_prove(model)
    assert operators(folded.model) == ["Mul", "Add"]
    assert "shortened to Mul and Add" in folded.report.stayed[0].reason


@pytest.mark.parametrize("kind", ["double", "int64"])
def test_one_that_changes_the_type_stays(kind: str) -> None:
    model = scaler(f"{kind}[B,4] x => float[B,5] y", "n = Neg(x) y = MatMul(n, w)", w=(4, 5))
    assert_stays(model, f"it reads {kind} and makes float32")


def test_one_of_another_number_of_features_stays() -> None:
    model = scaler(ROWS, "n = Neg(x) y = MatMul(n, w)", OFFSET[:3], SCALE[:3], w=(4, 5))
    assert_stays(model, "'x' is not known to have 3 features")


@pytest.mark.parametrize(
    ("signature", "scale", "reason"),
    [
        ("float[2,3,4] x => float[] y", SCALE, "the features of 'x' are unknown"),
        ("float[B,4] x => float[B,4] y", [1, 2, 3, float("inf")], "its parameters are not finite"),
    ],
)
def test_what_no_site_can_be(signature: str, scale: list[float], reason: str) -> None:
    report = fold_graph(scaler(signature, "y = Neg(x)", scale=scale)).report
    told = [*(site.reason for site in report.stayed), *(m.reason for m in report.near_misses)]
    assert told == [reason]
