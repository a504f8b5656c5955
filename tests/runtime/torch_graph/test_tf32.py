"""TF32 in torch: the process's setting while something is computed on CUDA, and only then.

A CPU stands for the GPU: what is looked at is the setting, which torch has without a GPU too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx_ir as ir
import pytest

pytest.importorskip("torch")

import torch
from torch import backends

from tests.runtime.torch_graph.test_runtime import MODEL, X
from un_deploy.errors import InputError
from un_deploy.runtime.torch_graph import TorchRuntime, runtime
from un_deploy.runtime.torch_graph.runtime import Mode, TorchSession
from un_deploy.runtime.torch_graph.tf32 import tf32

pytestmark = pytest.mark.torch

Seen = list[tuple[bool, bool]]

BY_ITSELF = (False, True)
"""What torch allows by itself: TF32 in convolutions, not in matrix products."""


def flags() -> tuple[bool, bool]:
    """Of matrix products and of convolutions, as the older names and inductor read them."""
    newer = (backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision)
    found = (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32)
    assert tuple(one == "tf32" for one in newer) == found
    return found


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    assert flags() == BY_ITSELF
    yield
    assert flags() == BY_ITSELF


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """The setting whenever a graph runs, and whenever one is imported."""
    found: Seen = []
    real = TorchSession.module

    def module(self, *given):
        found.append(flags())
        made = real(self, *given)

        def run(*tensors):
            found.append(flags())
            return made(*tensors)

        return run

    monkeypatch.setattr(TorchSession, "module", module)
    return found


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[..., TorchSession]:
    """Loads the model of a runtime on the CPU, which says that it is a GPU from then on."""

    def load(**settings: bool) -> TorchSession:
        session = TorchRuntime(**settings).load(ir.from_onnx_text(MODEL))
        monkeypatch.setattr(TorchSession, "_on_cuda", True)
        monkeypatch.setattr(runtime, "device_timer", runtime.host_timer)
        return session

    return load


@pytest.mark.parametrize("allowed", [True, False])
def test_runs_and_timed_runs(
    on_cuda: Callable[..., TorchSession], seen: Seen, allowed: bool
) -> None:
    session = on_cuda(tf32=allowed)
    session.run({"x": X})
    timer = session.timer({"x": X})
    assert flags() == BY_ITSELF
    assert timer(3) > 0
    assert seen == [(allowed, allowed)] * 6  # imported once, run once, warmed up, timed 3 times


def test_it_is_allowed_by_default(on_cuda: Callable[..., TorchSession], seen: Seen) -> None:
    on_cuda().run({"x": X})
    assert seen == [(True, True)] * 2


def test_on_the_cpu_nothing_is_set(seen: Seen) -> None:
    session = TorchRuntime(tf32=True).load(ir.from_onnx_text(MODEL))
    session.run({"x": X})
    session.timer({"x": X})(2)
    assert seen == [BY_ITSELF] * 5


def test_it_is_set_back_after_a_failure(on_cuda: Callable[..., TorchSession]) -> None:
    with pytest.raises(InputError, match="no input z"):
        on_cuda(tf32=True).run({"x": X, "z": X})


def test_a_setting_by_the_newer_names_lasts() -> None:
    """A user's Python may have made it; the older names cannot be read then."""
    try:
        backends.cuda.matmul.fp32_precision = "tf32"
        backends.cudnn.conv.fp32_precision = "ieee"
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            flags()
        with tf32(False):
            assert flags() == (False, False)
        assert flags() == (True, False)
    finally:
        backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32 = BY_ITSELF


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", ["eager", "cuda-graph", "compile"])
def test_products_are_rounded_where_it_is_allowed(mode: Mode) -> None:
    text = "<ir_version: 8, opset_import: ['': 20]> g (float[256, 256] x) => (float[256, 256] y)"
    model = ir.from_onnx_text(text.replace("'", '"') + " { y = MatMul(x, x) }")
    x = torch.rand(256, 256, dtype=torch.float32)
    exact = (x.double() @ x.double()).numpy()
    errors = {}
    for allowed in (True, False):
        session = TorchRuntime("cuda", mode, tf32=allowed).load(model)
        errors[allowed] = abs(session.run({"x": x.numpy()})["y"] - exact).max() / exact.max()
    assert errors[False] < 1e-6 < 2e-5 < errors[True] < 1e-2
