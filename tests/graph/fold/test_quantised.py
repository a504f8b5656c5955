"""A network that was quantised before its fold: the report says what to do."""

from __future__ import annotations

import pytest

from tests.graph.fold.test_quantised_weights import model
from tests.support.graphs import NORM, build
from un_deploy.errors import ThresholdError
from un_deploy.graph.fold.fold import fold_graph

QDQ = "k = QuantizeLinear(n, s, z) d = DequantizeLinear(k, s, z)"
WHOLE = f"{QDQ} w = DequantizeLinear<axis=1>(q, s) y = MatMul(d, w)"
DYNAMIC = "k, t, o = DynamicQuantizeLinear(n) y0 = MatMulInteger(k, q, o) y = Cast<to=1>(y0)"


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        (WHOLE, "2 DequantizeLinear, 1 QuantizeLinear"),
        (DYNAMIC, "1 DynamicQuantizeLinear, 1 MatMulInteger"),
    ],
)
def test_the_remedy_is_told_with_the_operators(body: str, counts: str) -> None:
    report = fold_graph(model(body, "INT8", ())).report
    assert report.remedy.startswith(f"the network is quantised ({counts}), and no scale passes")
    assert str(report).startswith("The network is quantised")
    with pytest.raises(ThresholdError, match=r"stays: .*; .*fold the float network, then quantise"):
        report.require("all")


def test_nothing_is_told_where_all_norms_fold_or_nothing_is_quantised() -> None:
    folds = f"{NORM} h = MatMul(n, w) k, t, o = DynamicQuantizeLinear(h) y = Cast<to=1>(k)"
    report = fold_graph(
        build("float[B,3,4] x => float[B,3,5] y", folds, a=(4,), b=(4,), w=(4, 5))
    ).report
    assert (len(report.folded), report.remedy) == (1, "")
    stays = fold_graph(
        build("float[B,3,4] x => float[B,3,4] y", f"{NORM} y = Tanh(n)", a=(4,), b=(4,))
    ).report
    assert (len(stays.stayed), stays.remedy) == (1, "")
