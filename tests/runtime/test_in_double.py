"""A network in float64: every tensor is widened, in bodies too, and a runtime computes it."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build, to_bytes
from un_deploy.errors import InputError
from un_deploy.runtime import in_double
from un_deploy.runtime.in_double import InDouble, widened
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.torch_graph import TorchRuntime

pytest.importorskip("onnxruntime")

RUNTIMES = [OnnxRuntime(threads=1), *([TorchRuntime()] if find_spec("torch") else [])]
X = {"x": np.array([[0.1, 2.0, 3.0]], np.float32)}


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.name)
def only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One runtime is installed."""
    monkeypatch.setattr(in_double, "installed_runtimes", lambda: [request.param])


@pytest.mark.usefixtures("only")
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_sums_that_cancel(dtype: type) -> None:
    kind = np.dtype(dtype).name.replace("32", "")
    big = np.array(4096, dtype)
    model = build(f"{kind}[B,3] x => {kind}[B,3] y", "z = Add(x, c)  y = Sub(z, c)", c=big)
    before = to_bytes(model)
    feeds = {"x": X["x"].astype(dtype)}
    found = InDouble(model).run(feeds)["y"]
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, feeds["x"].astype(np.float64), rtol=0, atol=1e-12)
    assert to_bytes(model) == before


@pytest.mark.usefixtures("only")
def test_constants_of_every_form_and_a_cast() -> None:
    body = (
        "a = Constant<value_float = 0.1>()  b = Constant<value = float {0.2}>()  s = Shape(x)  "
        "z = ConstantOfShape(s)  h = Cast<to = 10>(x)  f = Cast<to = 1>(h)  "
        "u = Add(f, a)  v = Add(u, b)  y = Add(v, z)"
    )
    found = InDouble(build("float[B,3] x => float[B,3] y", body)).run(X, ["u", "y"])
    wanted = X["x"].astype(np.float64) + np.float64(np.float32(0.1))
    np.testing.assert_array_equal(found["u"], wanted)
    np.testing.assert_allclose(found["y"], wanted + np.float32(0.2), rtol=1e-15)


def test_bodies_are_widened_too() -> None:
    body = "y = If(c) <then_branch = t () => (float[2] p) { u = Constant<value_float = 0.1>() "
    body += "p = Mul(x, u) }, else_branch = e () => (float[2] q) { q = Neg(x) }>"
    model = widened(build("float[2] x, bool c => float[2] y", body))
    types = {value.dtype for graph in model.graphs() for value in (*graph.inputs, *graph.outputs)}
    assert types == {ir.DataType.DOUBLE, ir.DataType.BOOL}
    found = OnnxRuntime(threads=1).load(model).run({"x": np.ones(2), "c": np.array(True)})
    assert found["y"].tolist() == [float(np.float32(0.1))] * 2


def test_what_onnx_runtime_has_in_float32_alone_rounds_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has no Conv and no Erf in float64; the sum between them keeps what float32 would lose."""
    monkeypatch.setattr(in_double, "installed_runtimes", lambda: RUNTIMES[:1])
    body = "c = Conv(x, w) e = Add(c, tiny) f = Sub(e, c) g = Erf(c) y = Add(f, zero)"
    signature = "float[1,2,5] x => float[1,3,5] y, float[1,3,5] g"
    tiny, zero = np.array(1e-9, np.float32), np.array(0.0, np.float32)
    model = build(signature, body, w=(3, 2, 1), tiny=tiny, zero=zero)
    found = InDouble(model).run({"x": np.ones((1, 2, 5), np.float32)})
    assert {array.dtype for array in found.values()} == {np.dtype(np.float64)}
    np.testing.assert_allclose(found["y"], 1e-9, rtol=1e-5)


def test_a_runtime_that_has_it_not_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has an operator of that name."""
    monkeypatch.setattr(in_double, "installed_runtimes", lambda: RUNTIMES[:1])
    body = "y = QuickGelu(x)"
    model = build("float[2] x => float[2] y", body)
    model.graph[0].domain = "own"
    model.opset_imports["own"] = 1
    with pytest.raises(InputError, match="no runtime computes the network in float64: onnxruntime"):
        InDouble(model).run({"x": np.ones(2, np.float32)})


def test_without_a_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_double, "installed_runtimes", list)
    with pytest.raises(InputError, match="neither torch nor ONNX Runtime is installed"):
        InDouble(build("float[B,3] x => float[B,3] y", "y = Neg(x)")).run(X)
