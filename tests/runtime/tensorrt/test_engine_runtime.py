"""Engines of graphs as a runtime: one for each set of shapes; without a GPU one clear line."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build as graph
from un_deploy.errors import InputError
from un_deploy.runtime.layer_times import TellsLayers
from un_deploy.runtime.tensorrt import engine_runtime
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime, with_shapes

MODEL = graph("float[batch,4] x => float[batch,2] y", "y = MatMul(x, w)", w=(4, 2))


def feeds(batch: int) -> dict[str, np.ndarray]:
    return {"x": np.ones((batch, 4), np.float32)}


def test_sizes_are_those_of_the_inputs() -> None:
    fixed = with_shapes(MODEL.clone(), feeds(3))
    assert fixed.graph.inputs[0].shape == ir.Shape((3, 4))
    assert MODEL.graph.inputs[0].shape != ir.Shape((3, 4))


def test_an_engine_is_built_once_for_each_set_of_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[str, str, tuple[int, ...], ir.DataType]] = []

    class Session:
        def __init__(self, runtime: engine_runtime.PlanRuntime, model: ir.Model) -> None:
            value, weight = model.graph.inputs[0], model.graph.initializers["w"]
            shape = tuple(int(dim) for dim in value.shape or ())
            built.append((runtime.flavor, runtime.mode, shape, weight.const_value.dtype))

        def run(self, feeds, fetch):
            return {"y": feeds["x"]}

        def timer(self, feeds):
            return lambda runs: float(runs)

        def layer_times(self, feeds, runs, warm_up):
            return (feeds["x"].shape, runs, warm_up)

    monkeypatch.setattr(
        engine_runtime.PlanRuntime, "load", lambda self, model: Session(self, model)
    )
    session = EngineRuntime("tensorrt", "fp16").load(MODEL)
    assert [spec.name for spec in session.inputs] == ["x"]
    session.run(feeds(2))
    assert session.timer(feeds(2))(7) == 7
    session.run(feeds(5))
    assert isinstance(session, TellsLayers)
    assert session.layer_times(feeds(5), 3, 1) == ((5, 4), 3, 1)
    assert built == [
        ("tensorrt", "cuda-graph", (2, 4), ir.DataType.FLOAT16),
        ("tensorrt", "cuda-graph", (5, 4), ir.DataType.FLOAT16),
    ]


def test_without_a_gpu_a_real_engine_is_built_and_not_run() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    session = EngineRuntime("tensorrt-rtx", "fp16").load(MODEL)
    with pytest.raises(InputError, match=r"TensorRT-RTX|NVIDIA GPU"):
        session.run(feeds(2))
