"""Times of layers: positive, complete, and told by the names of the ONNX nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from models.vit import vit_micro
from tests.support.graphs import build
from tests.support.networks.exports import exported
from un_deploy.errors import InputError
from un_deploy.measure.equality.random_inputs import random_inputs
from un_deploy.runtime.layer_times import TellsLayers, TimedLayer, nodes_between
from un_deploy.runtime.onnxruntime import profile
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.protocol import Runtime
from un_deploy.runtime.torch_graph import TorchRuntime

RUNTIMES = [
    pytest.param(OnnxRuntime(threads=1), id="onnxruntime"),
    pytest.param(TorchRuntime(), id="torch", marks=pytest.mark.torch),
]


def times(
    runtime: Runtime, model: ir.Model, runs: int = 3, warm_up: int = 1
) -> tuple[TimedLayer, ...]:
    session = runtime.load(model)
    assert isinstance(session, TellsLayers)
    return session.layer_times(random_inputs(model), runs, warm_up)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("form", ["un", "ln"])
def test_every_node_of_a_network_is_in_a_layer(runtime: Runtime, form: str) -> None:
    """All that depend on the inputs, and none that is not of the graph."""
    model = exported(vit_micro, form, dynamic=False)
    layers = times(runtime, model)
    assert all(len(layer.seconds) == 3 and min(layer.seconds) >= 0 for layer in layers)
    assert sum(layer.median_s for layer in layers) > 0
    told = {node for layer in layers for node in layer.onnx_nodes}
    assert told <= {node.name for node in model.graph}
    assert told >= {n.name for n in model.graph if n.op_type in ("MatMul", "Softmax", "Add")}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_fused_nodes_are_named_together(runtime: Runtime) -> None:
    """A product and the sum behind it are one call in both."""
    model = build("float[2,4] x => float[2,3] y", "h = MatMul(x, w)  y = Add(h, c)", w=(4, 3), c=3)
    model.graph.initializers["c"].const_value = ir.tensor(np.ones(3, np.float32))
    [layer] = times(runtime, model)
    assert layer.kind in ("Gemm", "linear")
    assert layer.onnx_nodes == ("MatMul_0", "Add_1")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_is_computed_once_is_in_no_layer(runtime: Runtime) -> None:
    model = build("float[2,4] x => float[2,4] y", "v = Mul(w, w)  y = Add(x, v)", w=(4,))
    [layer] = times(runtime, model)
    assert layer.onnx_nodes == ("Add_1",)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_node_without_a_name_is_called_by_its_output(runtime: Runtime) -> None:
    model = build("float[2,4] x => float[2,4] y", "h = Tanh(x)  y = Erf(h)")
    for node in model.graph:
        node.name = None
    layers = times(runtime, model)
    assert [layer.onnx_nodes for layer in layers] == [("h",), ("y",)]
    assert [node.name for node in model.graph] == [None, None]  # as it was


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_feeds_that_do_not_fit_are_refused(runtime: Runtime) -> None:
    session = runtime.load(build("float[2,4] x => float[2,4] y", "y = Tanh(x)"))
    assert isinstance(session, TellsLayers)
    with pytest.raises(InputError, match=f"{runtime.name} cannot run the graph: "):
        session.layer_times({"x": np.zeros((2, 5), np.float32)}, 1, 0)


@pytest.mark.torch
@pytest.mark.parametrize("recognize", [True, False])
def test_attention_in_torch_is_all_of_its_nodes(recognize: bool) -> None:
    model = build(
        "float[2,3,4] q, float[2,4,3] k, float[2,3,4] v => float[2,3,4] y",
        "p = MatMul(q, k)  s = Softmax(p)  y = MatMul(s, v)",
    )
    layers = times(TorchRuntime(recognize=recognize), model)
    nodes = [layer.onnx_nodes for layer in layers]
    if recognize:
        assert nodes == [("MatMul_0", "Softmax_1", "MatMul_2")]
    else:
        assert nodes == [("MatMul_0",), ("Softmax_1",), ("MatMul_2",)]


@pytest.mark.torch
def test_a_compiled_graph_has_no_layers_to_time() -> None:
    session = TorchRuntime(mode="compile").load(build("float[2] x => float[2] y", "y = Tanh(x)"))
    with pytest.raises(InputError, match="in the mode compile does not run node by node"):
        session.layer_times({"x": np.zeros(2, np.float32)}, 1, 0)


def test_the_launch_of_cuda_kernels_is_not_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    session = OnnxRuntime().load(build("float[2] x => float[2] y", "y = Tanh(x)"))
    monkeypatch.setattr(session, "_onnx_runtime", OnnxRuntime(device="cuda"))
    with pytest.raises(InputError, match="times the launch of CUDA kernels, not the kernels"):
        session.layer_times({"x": np.zeros(2, np.float32)}, 1, 0)


def test_the_body_of_a_loop_is_counted_in_the_loop_alone() -> None:
    def event(name: str, start: int, lasting: int, kind: str = "Node") -> dict[str, object]:
        return {"cat": kind, "name": name, "ts": start, "dur": lasting, "args": {}}

    events = [
        event("model_run", 0, 100, "Session"),
        event("Loop_kernel_time", 10, 50),
        event("Add_kernel_time", 20, 5),
        event("Mul_kernel_time", 60, 7),
        event("Mul_fence_before", 59, 1),
        event("model_run", 200, 100, "Session"),
        event("Loop_kernel_time", 210, 40),
    ]
    first, second = profile._runs(events)
    assert [one["name"] for one in first] == ["Loop_kernel_time", "Mul_kernel_time"]
    assert [one["name"] for one in second] == ["Loop_kernel_time"]


def test_a_profile_of_another_form() -> None:
    with pytest.raises(InputError, match="profile has an event without 'ts'"):
        list(profile._runs([{"cat": "Session", "name": "model_run"}]))


def test_onnx_runtime_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    times(OnnxRuntime(), build("float[2] x => float[2] y", "y = Tanh(x)"))
    assert list(tmp_path.iterdir()) == []


def test_nodes_between_values() -> None:
    graph = build(
        "float[2] x => float[2] y",
        "a = Sin(x)  b = Cos(a)  c = Tan(a)  d = Add(b, c)  y = Neg(d)",
    ).graph
    values = {value.name: value for node in graph for value in node.outputs}

    def names(end: str, *there: str) -> list[str | None]:
        found = nodes_between([values[end]], {values[name] for name in there})
        return [node.name for node in found]

    assert names("d", "a") == ["Cos_1", "Tan_2", "Add_3"]
    assert names("d", "b", "c") == ["Add_3"]
    assert names("y") == ["Sin_0", "Cos_1", "Tan_2", "Add_3", "Neg_4"]
    assert nodes_between([graph.inputs[0]], set()) == ()
