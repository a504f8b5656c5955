"""The report says what became of every norm and every number."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build, fold_and_prove, stored
from un_deploy.graph.fold.report import FoldReport

#: The first norm folds, the second ends in the output, the third may widen its tensor; what is
#: added behind it is no number.
BODY = """m = Mul(x, a) n = Add(m, b) p = MatMul(n, w) r = Sigmoid(p) l = Mul(r, a2) y = Add(l, b2)
          k = Mul(q, a3) z = Add(k, nan)"""
SIGNATURE = "float[B,3,4] x, float[B,3,N] q => float[B,3,5] y, float[B,3,M] z"
CONSTANTS = {"a": (4,), "b": (4,), "w": (4, 5), "a2": (5,), "b2": (5,), "a3": (2,)}
CONSTANTS["nan"] = np.float32([np.nan, np.nan])


def three_norms() -> ir.Model:
    return build(SIGNATURE, BODY, **CONSTANTS)


@pytest.fixture(scope="module")
def report() -> FoldReport:
    return fold_and_prove(three_norms()).report


def test_every_norm_is_there_in_the_graphs_order(report: FoldReport) -> None:
    first, second, third = report.sites
    assert (first.label, first.node, first.operators) == ("Mul_0", "Add_1", ("Mul", "Add"))
    assert (first.status, first.channels, first.into) == ("folded", 4, ("MatMul_2",))
    assert first.reason == ""
    assert (second.node, second.status, second.into) == ("Add_5", "stayed", ())
    assert "forward: 'y' is a graph output" in second.reason
    assert "backward: Sigmoid_3 (Sigmoid) does not commute" in second.reason
    assert (third.node, third.status, third.channels) == ("Mul_6", "stayed", 2)
    assert "is not known to be that of" in third.reason
    assert (report.folded, report.stayed) == ((first,), (second, third))


def test_near_misses_are_there(report: FoldReport) -> None:
    (miss,) = report.near_misses
    assert miss.node == "Add_7" and "'nan' is not finite" in miss.reason


def test_numbers_before_and_after(report: FoldReport) -> None:
    assert (report.operators_before, report.operators_after) == (8, 7)
    assert report.gained_biases == ("p",)
    assert report.cancelled == ()


def test_changed_initializers_are_named_with_their_relative_change() -> None:
    model = three_norms()
    folded = fold_and_prove(model)
    weight, bias = folded.report.changes
    assert (weight.node, weight.old, weight.new) == ("MatMul_2", "w", "w")
    a, w = (stored(model.graph.initializers[name]) for name in "aw")
    expected = np.max(np.abs(a[:, None] * w - w)) / np.max(np.abs(w))
    assert weight.relative == pytest.approx(expected, rel=1e-12)
    assert (bias.node, bias.old, bias.relative) == ("MatMul_2", None, None)
    assert bias.new in folded.model.graph.initializers


def test_a_bias_that_was_zero_has_no_relative_change() -> None:
    body = "m = Mul(x, a) n = Add(m, b) p = MatMul(n, w) y = Add(p, c)"
    constants = {"a": (4,), "b": (4,), "w": (4, 5), "c": np.zeros(5, np.float32)}
    folded = fold_and_prove(build("float[B,4] x => float[B,5] y", body, **constants))
    assert [change.relative is None for change in folded.report.changes] == [False, True]


def test_initializers_that_are_not_named_are_bit_identical() -> None:
    model = three_norms()
    folded = fold_and_prove(model)
    named = {change.new for change in folded.report.changes}
    others = set(folded.model.graph.initializers) - named
    assert others == {"a2", "b2", "a3", "nan"}
    for name in others:
        before, after = (m.graph.initializers[name].const_value for m in (model, folded.model))
        assert before is not None and after is not None
        assert before.tobytes() == after.tobytes()


def test_json_is_the_report_and_its_version(report: FoldReport) -> None:
    read = json.loads(report.to_json())
    assert read["version"] == 1
    assert read["sites"][0]["into"] == ["MatMul_2"]
    assert read["near_misses"][0]["node"] == "Add_7"
    assert set(read) == set(report.to_dict())


def test_norms_in_a_row_are_one_and_both_are_named() -> None:
    """As behind the last block of a post-norm encoder. The last one's name keeps them, too."""
    body = "m = Mul(x, a) n = Add(m, b) k = Mul(n, a2) l = Add(k, b2) p = MatMul(l, w) y = Tanh(p)"
    sizes = {"a": (4,), "b": (4,), "a2": (4,), "b2": (4,), "w": (4, 5)}
    model = build("float[B,4] x => float[B,5] y", body, **sizes)
    for node, name in zip(
        model.graph, ("block/norm2/Mul", "block/norm2/Add", "norm/Mul"), strict=False
    ):
        node.name = f"/{name}"
    report = fold_and_prove(model).report
    (site,) = report.folded
    assert (site.label, site.others) == ("block.norm2", ("norm",))
    said = str(report)
    assert "block.norm2, norm Mul Add Mul Add 4" in " ".join(said.split())
    assert "1 of 1 norms folded (those in a row count as one); 6 operators before, 3" in said
    assert fold_and_prove(model, keep=("norm",)).report.stayed[0].reason == "kept, as asked"
    assert "in a row" not in str(fold_and_prove(three_norms()).report)
