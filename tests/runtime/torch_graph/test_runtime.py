"""torch as a runtime: what it refuses, how often a timer runs, and CUDA graphs where there is one.

What it shares with all runtimes is in tests/runtime/test_session.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("torch")

import torch

from un_deploy.errors import InputError
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.torch_graph.runtime import Mode, TorchSession

pytestmark = pytest.mark.torch

MODEL = """
<ir_version: 8, opset_import: ["": 20]>
g (float[n, 4] x) => (float[n, 4] y)
<float[4, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 5, 7, 2, 4, 6, 8}, float[4] b = {0, 0, 0, 1}>
{ product = MatMul(x, w)  sum = Add(product, b)  y = Relu(sum) }
"""
X = np.array([[-1, 1, 2, 3], [1, 0, 0, 0]], np.float32)
Y = [[12, 22, 32, 43], [1, 2, 3, 5]]

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def load(**settings: Any) -> TorchSession:
    return TorchRuntime(**settings).load(ir.from_onnx_text(MODEL))


class TestRefusals:
    def test_a_cuda_graph_on_the_cpu(self) -> None:
        told = "^torch cannot load the graph: a CUDA graph needs a CUDA device, not cpu$"
        with pytest.raises(InputError, match=told):
            load(mode="cuda-graph")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    @pytest.mark.parametrize("mode", ["eager", "cuda-graph", "compile"])
    def test_cuda_without_a_device(self, mode: Mode) -> None:
        with pytest.raises(InputError, match=r"^torch cannot load the graph: .*(CUDA|NVIDIA).*$"):
            load(device="cuda", mode=mode)

    def test_a_device_that_does_not_exist(self) -> None:
        with pytest.raises(InputError, match=r"^torch cannot load the graph: .*nowhere.*$"):
            load(device="nowhere")

    def test_an_input_that_the_graph_has_not(self) -> None:
        with pytest.raises(InputError, match=r"^torch cannot run the graph: .* no input z$"):
            load().run({"x": X, "z": X})

    def test_feeds_that_do_not_fit_are_not_timed(self) -> None:
        for feeds, told in (
            ({}, "input x is missing"),
            ({"x": X[:, :3]}, r"input x: float32 \(n, 4\) got float32 \(2, 3\)"),
            ({"x": X.astype(np.float64)}, r"got float64 \(2, 4\)"),
        ):
            with pytest.raises(InputError, match=f"^torch cannot run the graph: .*{told}$"):
                load().timer(feeds)


class TestTimer:
    def test_it_runs_as_often_as_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[torch.Tensor] = []
        original = TorchSession.module

        def counting(self: TorchSession, *args: Any) -> Callable[..., Any]:
            module = original(self, *args)
            return lambda x: (calls.append(x), module(x))[1]

        monkeypatch.setattr(TorchSession, "module", counting)
        session = load()
        timer = session.timer({"x": X})
        assert len(calls) == 1  # whatever is made at the first run is not timed
        for runs in (1, 7, 0, 3):
            before = len(calls)
            seconds = timer(runs)
            assert len(calls) - before == runs
            assert isinstance(seconds, float)
            assert seconds >= 0
        # The inputs were moved once, and each run takes them.
        assert all(call is calls[0] for call in calls)
        assert calls[0].tolist() == X.tolist()

    def test_timers_of_one_session_keep_their_inputs_apart(self) -> None:
        session = load()
        session.timer({"x": X})
        session.timer({"x": X[:1]})(2)
        assert session.run({"x": X})["y"].tolist() == Y


@pytest.mark.gpu
@needs_cuda
class TestCuda:
    @pytest.mark.parametrize("mode", ["eager", "cuda-graph", "compile"])
    def test_agrees_and_takes_other_values(self, mode: Mode) -> None:
        session = load(device="cuda", mode=mode)
        for factor in (1, 2, 1):  # a captured graph reads its inputs anew
            feeds = {"x": factor * X}
            wanted = load().run(feeds)["y"]
            np.testing.assert_allclose(session.run(feeds)["y"], wanted, rtol=1e-6)

    def test_outputs_of_a_captured_graph_are_copies(self) -> None:
        session = load(device="cuda", mode="cuda-graph")
        first = session.run({"x": X})["y"]
        session.run({"x": 2 * X})
        assert first.tolist() == Y

    def test_each_shape_is_captured(self) -> None:
        session = load(device="cuda", mode="cuda-graph")
        for rows in (2, 1, 2):
            assert session.run({"x": X[:rows]})["y"].tolist() == Y[:rows]

    def test_a_timer_replays_as_often_as_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from un_deploy.runtime.torch_graph.cuda_graph import CudaGraph

        replays = []
        original = CudaGraph.replay
        monkeypatch.setattr(
            CudaGraph, "replay", lambda self: (replays.append(self), original(self))[1]
        )
        timer = load(device="cuda", mode="cuda-graph").timer({"x": X})
        before = len(replays)
        assert timer(5) > 0
        assert len(replays) - before == 5

    def test_activations_are_told(self) -> None:
        feeds = {"x": np.ones((1 << 18, 4), np.float32)}
        eager, captured = (
            load(device="cuda", mode=mode).run_memory(feeds).bytes
            for mode in ("eager", "cuda-graph")
        )
        # The sum and what Relu makes of it live at once.
        assert eager >= 2 * feeds["x"].nbytes
        assert captured >= 2 * feeds["x"].nbytes
        assert load(device="cuda").run_memory({"x": X}).bytes < eager


def test_another_gpu_than_the_current_one_is_refused() -> None:
    """Events and captures would be those of the current one, and the times wrong."""
    model = ir.from_onnx_text(
        '<ir_version: 8, opset_import: ["": 20]> g (float[4] x) => (float[4] y) {y = Relu(x)}'
    )
    with pytest.raises(InputError, match=r"cuda:1 cannot be timed: .*CUDA_VISIBLE_DEVICES"):
        TorchRuntime(device="cuda:1").load(model)
