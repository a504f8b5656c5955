"""Where one of the networks compared is quantised, that is told."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.errors import VerificationError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.pipeline.compare.check_folded import check_folded
from un_deploy.pipeline.compare.remarks import some_quantised

SIGNATURE = "float[2,4] x => float[2,4] y"
LINEAR = build(SIGNATURE, "y = MatMul(x, w)", w=(4, 4))


def quantised() -> ir.Model:
    body = "h = MatMul(x, w) k = QuantizeLinear(h, s) y = DequantizeLinear(k, s)"
    return build(SIGNATURE, body, w=(4, 4), s=np.array(0.5, np.float32))


def test_that_one_of_two_is_quantised_is_told() -> None:
    (told,) = some_quantised({"ln": LINEAR, "folded": quantised()})
    counts = "1 QuantizeLinear, 1 DequantizeLinear"
    assert told.startswith(f"quantised: UN folded ({counts}); not quantised: LN. Their ratios")
    assert list(some_quantised({"ln": LINEAR, "folded": LINEAR})) == []
    assert list(some_quantised({"ln": quantised(), "folded": quantised()})) == []


def test_it_stands_beside_not_equal() -> None:
    pytest.importorskip("onnxruntime")
    given = LINEAR, quantised(), fold_graph(LINEAR.clone()).report, ("a.onnx", "b.onnx")
    with pytest.raises(VerificationError, match=r"not equal: .*; quantised: UN folded"):
        check_folded(*given)
