"""Masks and bounds beyond the range of fp16: attention stays the same to the last row."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.graph.precision.conversion import (
    EPS,
    HALF,
    LOWEST,
    SIGNATURE,
    compute,
    converted,
    reasons,
    types_of,
)
from tests.support.graphs import build, feeds_for
from un_deploy.errors import InputError
from un_deploy.graph.precision.convert import Precision, to_precision


class TestMasks:
    """The lowest float32, added to the scores where there is nothing to attend to."""

    SIGNATURE = "float[1,2,3] q, float[3,3] k, int64[1,3] m => float[1,2,3] y"
    BODY = """
        f = Cast<to=1>(m)  i = Sub(one, f)  bias = Mul(i, lowest)
        s = MatMul(q, k)  t = Add(s, bias)  p = Softmax(t)  y = MatMul(p, k)
    """

    def model(self, lowest: float = LOWEST, body: str = BODY) -> ir.Model:
        constants = {"one": np.float32(1)[...], "lowest": np.float32(lowest)[...]}
        return build(self.SIGNATURE, body, **constants)

    @pytest.mark.parametrize("mask", [[1, 1, 0], [0, 0, 0], [1, 1, 1]], ids=str)
    def test_stay_the_same_to_the_last_row(self, mask: list[int], precision: Precision):
        model = self.model()
        result, report = converted(model, precision)
        assert "'lowest' holds -3.40282e+38" in reasons(report)["Softmax_5"]
        assert types_of(result)["MatMul_3"] == types_of(result)["MatMul_6"] == HALF[precision].name
        feeds = feeds_for(model) | {"m": np.array([mask])}
        got, wanted = compute(result, feeds), compute(model, feeds)
        scale = np.abs(feeds["q"]).max() * np.abs(feeds["k"]).max() * 3
        np.testing.assert_allclose(got, wanted, rtol=0, atol=4 * scale * EPS[precision])

    def test_within_the_range_softmax_goes_along(self):
        result, report = converted(self.model(-1e4))
        assert set(reasons(report)) == {"Cast_0", "Sub_1", "Mul_2"}
        assert types_of(result)["Softmax_5"] == "FLOAT16"

    def test_minus_infinity_goes_along(self):
        body = "c = Greater(q, zero) b = Where(c, zero, low) p = Softmax(b) y = MatMul(p, k)"
        constants = {"zero": np.float32(0)[...], "low": np.float32(-np.inf)[...]}
        _, report = converted(build(self.SIGNATURE, body, **constants))
        assert report.kept == ()

    @pytest.mark.parametrize(("low", "high"), [(LOWEST, 6), (0, -LOWEST), (-1e5, 1e5)])
    def test_a_bound_that_bounds_nothing_becomes_infinite(self, low: float, high: float):
        constants = {"low": np.float32(low)[...], "high": np.float32(high)[...]}
        model = build("float[2,3] x => float[2,2] y", "c = Clip(x, low, high) y = MatMul(c, w)",
                      w=(3, 2), **constants)  # fmt: skip
        result, report = converted(model)
        assert report.kept == ()
        held = [result.graph.initializers[name].const_value.numpy() for name in ("low", "high")]
        assert held == [low if low > -6e4 else -np.inf, high if high < 6e4 else np.inf]

    def test_a_bound_that_bounds_all_is_refused(self):
        constants = {"low": np.float32(1e5)[...]}
        model = build(SIGNATURE, "c = Clip(x, low) y = Relu(c)", **constants)
        with pytest.raises(InputError, match="'low' holds 100000"):
            to_precision(model, "fp16")

    def test_what_the_user_keeps_is_the_users_care(self):
        body = self.BODY.replace("Softmax", "Relu")
        _, report = converted(self.model(body=body), keep=["lowest"])
        assert list(reasons(report)) == ["Cast_0", "Sub_1", "Mul_2"]

    def test_without_a_softmax_they_are_refused(self):
        with pytest.raises(InputError, match=r"'lowest' holds -3.40282e\+38.*no Softmax bounds it"):
            to_precision(self.model(body=self.BODY.replace("Softmax", "Relu")), "fp16")
