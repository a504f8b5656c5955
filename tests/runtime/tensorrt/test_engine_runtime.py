"""Engines of graphs as a runtime: one for each set of shapes; without a GPU one clear line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build as graph
from un_deploy.engines.building import from_graph
from un_deploy.engines.building.builder import Built
from un_deploy.engines.building.from_graph import Engine
from un_deploy.errors import InputError
from un_deploy.runtime.how_it_ran import HowItRan
from un_deploy.runtime.layer_times import TellsLayers
from un_deploy.runtime.tensorrt import engine_runtime
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime
from un_deploy.runtime.tensorrt.plan_runtime import PlanRuntime

FIXED = graph("float[2,4] x => float[2,2] y", "y = MatMul(x, w)", w=(4, 2))
MODEL = graph("float[batch,4] x => float[batch,2] y", "y = MatMul(x, w)", w=(4, 2))


def feeds(batch: int) -> dict[str, np.ndarray]:
    return {"x": np.ones((batch, 4), np.float32)}


def test_an_engine_is_built_once_for_each_set_of_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[str, dict[str, tuple[int, ...]], ir.DataType, bool]] = []

    def engine_of(graph, *, origin, flavor, shapes, options):
        dtype = graph.model.graph.initializers["w"].const_value.dtype
        built.append((flavor, shapes, dtype, options.tf32))
        return Engine(Built(b"plan", (), {}, (), 0.0), graph.with_shapes(shapes), None)

    class Session:
        def __init__(self, plan, inputs, runtime: PlanRuntime) -> None:
            assert (plan, runtime.mode) == ((b"plan", "the graph", "tensorrt"), "cuda-graph")
            self.inputs = inputs

        def run(self, feeds, fetch):
            return {"y": feeds["x"]}

        def timer(self, feeds):
            return lambda runs: float(runs)

        def layer_times(self, feeds, runs, warm_up):
            return (self.inputs[0].shape, runs, warm_up)

    monkeypatch.setattr(engine_runtime, "engine_of", engine_of)
    monkeypatch.setattr(engine_runtime, "deserialized", lambda *given: given)
    monkeypatch.setattr(engine_runtime, "PlanSession", Session)
    session = EngineRuntime("tensorrt", "fp16", tf32=False).load(MODEL)
    assert [spec.name for spec in session.inputs] == ["x"]
    session.run(feeds(2))
    assert session.timer(feeds(2))(7) == 7
    session.run(feeds(5))
    assert isinstance(session, TellsLayers)
    assert session.layer_times(feeds(5), 3, 1) == ((5, 4), 3, 1)
    assert built == [
        ("tensorrt", {"x": (2, 4)}, ir.DataType.FLOAT16, False),
        ("tensorrt", {"x": (5, 4)}, ir.DataType.FLOAT16, False),
    ]


def test_an_engine_of_another_precision_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The engine is a real one, in fp32: what was to be fp16 is held against its kernels."""
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    real, other = from_graph.build_engine, tmp_path / "fixed.onnx"
    ir.save(FIXED, other)
    monkeypatch.setattr(from_graph, "build_engine", lambda path, **given: real(other, **given))
    session = EngineRuntime("tensorrt-rtx", "fp16").load(MODEL)
    with pytest.raises(InputError, match=r"^fp16 was asked for, but 1 kernels .* in Float"):
        session.timer(feeds(2))


def test_without_a_gpu_a_real_engine_is_built_and_not_run() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    session = EngineRuntime("tensorrt-rtx", "fp16").load(MODEL)
    with pytest.raises(InputError, match=r"TensorRT-RTX|NVIDIA GPU"):
        session.run(feeds(2))


def test_of_how_many_products_the_type_is_shown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is a real one; a session that needs no GPU stands for its runs."""
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")

    class Session:
        def __init__(self, plan, inputs, runtime: PlanRuntime) -> None:
            self.inputs = inputs

        def run(self, feeds, fetch):
            return {}

        def how_it_ran(self) -> HowItRan:
            return HowItRan(("it is slow",))

    monkeypatch.setattr(engine_runtime, "deserialized", lambda *given: given)
    monkeypatch.setattr(engine_runtime, "PlanSession", Session)
    session = EngineRuntime("tensorrt-rtx", "fp16").load(MODEL)
    session.run(feeds(2))
    told = session.how_it_ran()
    assert told.types == ("the type is shown for 1 of 1 products",)
    assert "it is slow" in told.warnings


def test_it_says_what_it_is_and_how_it_times() -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    runtime = EngineRuntime("tensorrt-rtx")
    assert runtime.title() == f"TensorRT-RTX {trt.__version__} through Python"
    assert runtime.describe().startswith(f"{runtime.title()} (captured as a CUDA graph, CUDA ev")


def test_an_opset_that_bf16_lifts_is_told_of_the_variant() -> None:
    conv = graph("float[1,1,4,4] x => float[1,1,2,2] y", "y = Conv(x, w)", w=(1, 1, 3, 3))
    told = "bf16 lifts the graph from opset 20 to 22, where more of its operators take bf16"
    assert EngineRuntime("tensorrt", "bf16").load(conv).how_it_ran().warnings == (told,)
    assert EngineRuntime("tensorrt", "fp32").load(conv).how_it_ran().warnings == ()
