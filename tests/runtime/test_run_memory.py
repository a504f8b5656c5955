"""What a run holds: the figures of real runs on the CPU against those added up by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from models.vit import vit_micro
from tests.support.graphs import NORM, build
from tests.support.networks.exports import forms
from un_deploy.errors import InputError
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.measure.equality.random_inputs import random_inputs
from un_deploy.runtime.onnxruntime.memory import of_events
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.protocol import Runtime
from un_deploy.runtime.run_memory import TellsMemory
from un_deploy.runtime.torch_graph import TorchRuntime

RUNTIMES = [
    pytest.param(OnnxRuntime(threads=1), id="onnxruntime"),
    pytest.param(TorchRuntime(), id="torch", marks=pytest.mark.torch),
]
H, G, Y = (4 * 64 * columns for columns in (64, 128, 16))
"""Bytes of the tensors of `chain`, multiples of 256, to which ONNX Runtime rounds."""


def chain() -> ir.Model:
    """Three products, none of which can be computed in place."""
    return build(
        "float[64,32] x => float[64,16] y",
        "h = MatMul(x, w)  g = MatMul(h, v)  y = MatMul(g, u)",
        w=(32, 64),
        v=(64, 128),
        u=(128, 16),
    )


def told(runtime: Runtime, model: ir.Model) -> int:
    session = runtime.load(model)
    assert isinstance(session, TellsMemory)
    found = session.run_memory(random_inputs(model))
    assert found.bytes is not None, found.what
    return found.bytes


@pytest.mark.torch
def test_torch_holds_what_is_live_at_once() -> None:
    """Weights and the input are not counted; h is gone when y is made."""
    pytest.importorskip("torch")
    assert told(TorchRuntime(), chain()) == max(H + G, G + Y)


def test_onnx_runtime_holds_its_planned_block_and_the_output() -> None:
    """From the second run on h and g lie in one block, which stays until the run ends."""
    pytest.importorskip("onnxruntime")
    assert told(OnnxRuntime(threads=1), chain()) == H + G + Y


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_norm_that_is_not_folded_holds_more(runtime: Runtime) -> None:
    """Its product or its sum is one tensor more than the folded graph has, where it is the peak."""
    pytest.importorskip("torch" if isinstance(runtime, TorchRuntime) else "onnxruntime")
    unfolded = build(
        "float[64,64] x => float[64,16] y",
        f"{NORM}  h = MatMul(n, w)  g = Relu(h)  y = MatMul(g, v)",
        a=(64,),
        b=(64,),
        w=(64, 16),
        v=(16, 16),
    )
    folded = fold_graph(unfolded.clone()).model
    assert told(runtime, unfolded) >= told(runtime, folded) + 4 * 64 * 64 - 2 * Y


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_folding_a_network_takes_no_more(runtime: Runtime) -> None:
    pytest.importorskip("torch" if isinstance(runtime, TorchRuntime) else "onnxruntime")
    made = forms(vit_micro, dynamic=False)
    bare = told(runtime, made["none"])
    assert told(runtime, made["folded"]) == bare
    assert told(runtime, made["un"]) >= bare


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_a_run_holds_is_the_same_every_time(runtime: Runtime) -> None:
    pytest.importorskip("torch" if isinstance(runtime, TorchRuntime) else "onnxruntime")
    session = runtime.load(chain())
    feeds = random_inputs(chain())
    assert len({session.run_memory(feeds) for _ in range(3)}) == 1
    with pytest.raises(InputError):
        session.run_memory({})


def event(ts: int, provider: str, **args: object) -> dict[str, Any]:
    return {"cat": "Node", "ts": ts, "args": {"provider": provider, **args}}


def node(ts: int, in_use: int, delta: int, provider: str = "CUDAExecutionProvider") -> dict:
    said = {"mem_bytes_requested_in_use": str(in_use), "mem_requested_in_use_delta": str(delta)}
    return event(ts, provider, **said)


RUN = {"cat": "Session", "name": "model_run"}
CUDA = "CUDAExecutionProvider"


def test_only_the_devices_own_memory_in_the_last_run_counts() -> None:
    """1000 bytes of weights; the host's tensors and the first run's are left out."""
    events = [
        {**RUN, "ts": 10},
        node(12, 1600, 600),
        node(14, 9000, 7400),
        {**RUN, "ts": 20},
        node(22, 3000, 0),
        node(24, 99_000, 0, "CPUExecutionProvider"),
        node(26, 3500, 500),
    ]
    found = of_events(events, CUDA)
    assert found.bytes == 2500
    assert "ONNX Runtime's allocator" in found.what


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([{**RUN, "ts": 1}, event(2, CUDA)], "that of 1.32 does"),
        ([{**RUN, "ts": 1}, node(2, 1, 1, "CPUExecutionProvider")], "no node ran on CUDA"),
        ([], "no node ran on CUDA"),
    ],
)
def test_a_profile_that_tells_nothing(events: list[dict], reason: str) -> None:
    found = of_events(events, CUDA)
    assert found.bytes is None
    assert reason in found.what


def test_a_profile_of_another_form_is_refused() -> None:
    with pytest.raises(InputError, match="profile is not in the known form"):
        of_events([{"cat": "Node"}], CUDA)


@pytest.mark.torch
class TestCudaWithoutCuda:
    """torch's functions replaced: what is asked of them, and in which order."""

    def test_the_peak_is_above_what_was_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        torch = pytest.importorskip("torch")
        from un_deploy.runtime.torch_graph.memory import peak_bytes

        calls: list[str] = []
        doubles = {
            "synchronize": lambda: calls.append("synchronize"),
            "reset_peak_memory_stats": lambda: calls.append("reset"),
            "memory_allocated": lambda: calls.append("before") or 1000,
            "max_memory_allocated": lambda: calls.append("peak") or 4500,
        }
        for name, double in doubles.items():
            monkeypatch.setattr(torch.cuda, name, double)
        assert peak_bytes(lambda: calls.append("run"), "cuda") == 3500
        assert calls == ["run", "synchronize", "reset", "before", "run", "synchronize", "peak"]

    def test_a_captured_graph_holds_its_own_pool(self, monkeypatch: pytest.MonkeyPatch) -> None:
        torch = pytest.importorskip("torch")
        from un_deploy.runtime.torch_graph.cuda_graph import CudaGraph

        segments = [
            {"segment_pool_id": pool, "total_size": size}
            for pool, size in (((0, 0), 1 << 30), ((0, 7), 2 << 20), ((0, 7), 1 << 20))
        ]
        monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda: segments)
        captured = object.__new__(CudaGraph)
        captured._graph = SimpleNamespace(pool=lambda: (0, 7))  # type: ignore[assignment]
        session = TorchRuntime().load(chain())
        monkeypatch.setattr(session, "_call", lambda *_: captured)
        found = session.run_memory(random_inputs(chain()))
        assert found.bytes == 3 << 20
        assert "pool of the CUDA graph" in found.what


def test_feeds_of_other_sizes_hold_more() -> None:
    """Twice the rows, twice the memory: sizes are multiples of what allocators round to."""
    pytest.importorskip("onnxruntime")
    model = build("float[n,64] x => float[n,64] y", "h = Exp(x)  y = MatMul(h, w)", w=(64, 64))
    session = OnnxRuntime(threads=1).load(model)
    small, large = (
        session.run_memory({"x": np.ones((rows, 64), np.float32)}).bytes for rows in (64, 128)
    )
    assert small == 2 * 4 * 64 * 64
    assert large == 2 * small
