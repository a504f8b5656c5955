"""A network's own rounding error: in float64, and where there is none, by moving what it reads."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.measure.equality.own_error import OwnError
from un_deploy.runtime import in_double
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

pytest.importorskip("onnxruntime")

ORT = OnnxRuntime(threads=1)
FEEDS = {"x": np.random.default_rng(0).standard_normal((20, 16), np.float32)}


def own(model: ir.Model) -> float:
    found = ORT.load(model).run(FEEDS)
    return OwnError(model, ORT).of(FEEDS, found, ["y"])["y"]


def product(signature: str = "float[B,16] x => float[B,8] y", dtype: type = np.float32) -> ir.Model:
    return build(signature, "y = MatMul(x, w)", w=(16, 8), dtype=dtype)


def cancelling() -> ir.Model:
    body = "z = MatMul(x, w)  u = MatMul(x, v)  y = Sub(z, u)"
    model = build("float[B,16] x => float[B,8] y", body, w=(16, 8), v=(16, 8))
    w, v = (model.graph.initializers[name] for name in "wv")
    v.const_value = ir.tensor(w.const_value.numpy() * np.float32(1 + 1e-5), name="v")
    return model


@pytest.mark.parametrize("in_float64", [True, False])
def test_rounding_of_a_product_and_of_two_that_cancel(
    in_float64: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_float64:
        monkeypatch.setattr(in_double, "installed_runtimes", list)
    assert 1e-8 < own(product()) < 1e-6
    assert 1e-3 < own(cancelling()) < 1


def test_a_network_in_float64_is_moved() -> None:
    feeds = {"x": FEEDS["x"].astype(np.float64)}
    model = product("double[B,16] x => double[B,8] y", np.float64)
    found = ORT.load(model).run(feeds)
    assert 1e-17 < OwnError(model, ORT).of(feeds, found, ["y"])["y"] < 1e-14


def test_exponents_and_sizes_are_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    """(-2) to the power of 2.0000002 is NaN."""
    monkeypatch.setattr(in_double, "installed_runtimes", list)
    model = build(
        "float[B,16] x => float[B,16] y", "y = Pow(x, two)", two=np.full(1, 2, np.float32)
    )
    assert 1e-8 < own(model) < 1e-6
