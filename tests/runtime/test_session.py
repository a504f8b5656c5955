"""Every runtime keeps the same Protocol; onnx's reference evaluator is the oracle."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx_ir
import pytest

from tests.support.doubles.reference_runtime import ReferenceRuntime
from un_deploy.errors import InputError, MissingPackageError
from un_deploy.graph.model.input_specs import TensorSpec, input_specs
from un_deploy.runtime.backends import installed_runtimes
from un_deploy.runtime.layer_times import TellsLayers
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.protocol import Runtime
from un_deploy.runtime.run_memory import TellsMemory
from un_deploy.runtime.session import FileSession
from un_deploy.runtime.settings import Fusions
from un_deploy.runtime.torch_graph import TorchRuntime

pytest.importorskip("onnxruntime")

MODEL = """
<ir_version: 8, opset_import: ["": 20]>
g (float[batch, 4] x, float[4] bias) => (float[batch, 4] y)
<float[4] w = {1, -2, 3, 4}, float[4] bias = {0, 0, 0, 1}>
{ positive = Relu(x)  scaled = Mul(positive, w)  y = Add(scaled, bias) }
"""
X = np.array([[-1, 1, 2, 3]], np.float32)


@pytest.fixture
def model() -> onnx_ir.Model:
    return onnx_ir.from_onnx_text(MODEL)


RUNTIMES = [OnnxRuntime(threads=1), ReferenceRuntime()]
if find_spec("torch"):
    RUNTIMES.append(TorchRuntime())


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    return request.param


def test_inputs_with_a_default_need_not_be_fed(runtime: Runtime, model: onnx_ir.Model) -> None:
    session = runtime.load(model)
    assert session.inputs == (TensorSpec("x", np.dtype(np.float32), ("batch", 4)),)
    assert str(session.inputs[0]) == "x: float32 (batch, 4)"
    np.testing.assert_array_equal(session.run({"x": X})["y"], [[0, -2, 6, 13]])
    default_replaced = session.run({"x": X, "bias": np.zeros(4, np.float32)})
    np.testing.assert_array_equal(default_replaced["y"], [[0, -2, 6, 12]])


def test_nothing_can_be_fetched(runtime: Runtime, model: onnx_ir.Model) -> None:
    """As where every output is random; ONNX Runtime takes no name for all names."""
    assert runtime.load(model).run({"x": X}, []) == {}


def test_any_tensor_can_be_fetched(runtime: Runtime, model: onnx_ir.Model) -> None:
    session = runtime.load(model)
    fetched = session.run({"x": X}, ["scaled", "w", "x", "y"])
    assert list(fetched) == ["scaled", "w", "x", "y"]
    np.testing.assert_array_equal(fetched["scaled"], [[0, -2, 6, 12]])
    np.testing.assert_array_equal(fetched["w"], [1, -2, 3, 4])
    assert list(session.run({"x": X})) == ["y"]


def test_a_file_is_opened_where_it_lies(
    runtime: Runtime, model: onnx_ir.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only inner tensors ask for a file more, since they must be outputs."""
    for node in model.graph:
        node.name = f"make_{node.outputs[0].name}"  # without one, a profile would not tell it
    path = tmp_path / "model.onnx"
    onnx_ir.save(model, path)
    before, saved, save = path.read_bytes(), [], onnx_ir.save
    monkeypatch.setattr(onnx_ir, "save", lambda *a, **given: saved.append(a) or save(*a, **given))
    session = runtime.load(path)
    assert session.inputs == (TensorSpec("x", np.dtype(np.float32), ("batch", 4)),)
    np.testing.assert_array_equal(session.run({"x": X})["y"], [[0, -2, 6, 13]])
    if isinstance(session, TellsMemory):
        session.run_memory({"x": X})
    if isinstance(session, TellsLayers):
        session.layer_times({"x": X}, 1, 0)
    assert saved == []
    np.testing.assert_array_equal(session.run({"x": X}, ["scaled"])["scaled"], [[0, -2, 6, 12]])
    assert len(saved) == (0 if runtime.name == "torch" else 1)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]
    with pytest.raises(InputError, match=r"absent\.onnx does not exist: check the name"):
        runtime.load(tmp_path / "absent.onnx")


def test_model_is_left_as_it_was(runtime: Runtime, model: onnx_ir.Model) -> None:
    before = onnx_ir.to_onnx_text(model)
    runtime.load(model).run({"x": X}, ["scaled"])
    assert onnx_ir.to_onnx_text(model) == before


def test_unfit_feeds_are_refused(runtime: Runtime, model: onnx_ir.Model) -> None:
    session = runtime.load(model)
    with pytest.raises(InputError, match=rf"^{runtime.name} cannot run the graph: .*'?x'?"):
        session.run({})
    with pytest.raises(InputError, match=f"^{runtime.name} cannot run the graph"):
        session.run({"x": X[:, :3]})
    with pytest.raises(InputError, match="the graph has no tensor absent"):
        session.run({"x": X}, ["absent"])


def test_unfit_feeds_have_no_timer(runtime: Runtime, model: onnx_ir.Model) -> None:
    with pytest.raises(InputError, match="cannot run the graph"):
        runtime.load(model).timer({"x": X[:, :3]})


def test_a_timer_runs_as_often_as_asked(model: onnx_ir.Model) -> None:
    class Engine:
        runs = 0

        def run(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            self.runs += 1
            return [X for _ in names]

    engine = Engine()
    timer = FileSession(model, "counting", lambda path: engine).timer({"x": X})
    assert engine.runs == 1  # what is made at the first run is not timed
    assert timer(7) > 0
    assert engine.runs == 8


def test_broken_graph_is_refused(runtime: Runtime) -> None:
    text = '<ir_version: 8, opset_import: ["": 20]> g (float[4] x) => (float[4] y) {y = Huh(x)}'
    with pytest.raises(InputError, match=f"^{runtime.name} cannot load the graph: .*Huh"):
        runtime.load(onnx_ir.from_onnx_text(text))


def test_refusals_are_one_line_and_log_nothing(
    model: onnx_ir.Model, capfd: pytest.CaptureFixture[str]
) -> None:
    session = OnnxRuntime(threads=1).load(model)
    with pytest.raises(InputError) as caught:
        session.run({"x": X[:, :3]})
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_weights_in_an_external_file(
    runtime: Runtime, model: onnx_ir.Model, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    onnx_ir.save(model, path, external_data="model.data", size_threshold_bytes=0)
    loaded = onnx_ir.load(path)
    np.testing.assert_array_equal(runtime.load(loaded).run({"x": X})["y"], [[0, -2, 6, 13]])


def test_input_without_a_tensor_type_is_refused() -> None:
    graph = onnx_ir.Graph([onnx_ir.Value(name="x")], [], nodes=[])
    with pytest.raises(InputError, match=r"input x: \? \(\?\) is no tensor, and cannot be fed"):
        input_specs(onnx_ir.Model(graph, ir_version=8))


def test_a_size_of_minus_one_is_unknown() -> None:
    x = onnx_ir.Value(name="x", type=onnx_ir.TensorType(onnx_ir.DataType.FLOAT))
    x.shape = onnx_ir.Shape([-1, 3, "H", 0])
    graph = onnx_ir.Graph([x], [], nodes=[])
    (spec,) = input_specs(onnx_ir.Model(graph, ir_version=8))
    assert spec.shape == (None, 3, "H", 0)


def test_installed_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"onnxruntime", "torch"}
    monkeypatch.setattr("un_deploy.runtime.backends.find_spec", lambda name: name in there)
    assert installed_runtimes() == [OnnxRuntime(), TorchRuntime()]
    there.remove("onnxruntime")
    assert installed_runtimes() == [TorchRuntime()]
    there.clear()
    assert installed_runtimes() == []


def test_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, model: onnx_ir.Model) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackageError, match=r'pip install "un-deploy\[cpu\]"'):
        OnnxRuntime().load(model)


@pytest.mark.parametrize("fusions", ["all", "no-skip-norm", "no-norm"])
def test_fusions_change_no_answer(fusions: Fusions, model: onnx_ir.Model) -> None:
    session = OnnxRuntime(threads=1, fusions=fusions).load(model)
    np.testing.assert_array_equal(session.run({"x": X})["y"], [[0, -2, 6, 13]])


def test_cuda_without_a_gpu_is_refused(model: onnx_ir.Model) -> None:
    """The package for CPUs has no such provider; onnxruntime itself would fall back silently."""
    with pytest.raises(InputError, match=r"has no CUDAExecutionProvider: .*un-deploy\[gpu\]"):
        OnnxRuntime(device="cuda").load(model)


def test_a_fall_back_to_the_cpu_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: onnx_ir.Model
) -> None:
    """What onnxruntime-gpu does where it finds no GPU: it lists the provider and leaves it out."""
    import onnxruntime

    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    told = pytest.warns(UserWarning, match="not in available provider names")
    with told, pytest.raises(InputError, match="fell back to CPUExecutionProvider"):
        OnnxRuntime(device="cuda").load(model)


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_an_option_of_the_provider_on_cuda(
    monkeypatch: pytest.MonkeyPatch, model: onnx_ir.Model, tf32: bool
) -> None:
    """This package computes on the CPU, whatever it is asked for."""
    import onnxruntime

    real, asked = onnxruntime.InferenceSession, []

    class Session(real):
        def __init__(self, path, options, providers, **settings) -> None:
            asked.append(providers)
            super().__init__(path, options, providers=["CPUExecutionProvider"], **settings)

        def get_providers(self) -> list[str]:
            return [name for name, _ in asked[-1]]

    there = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    found = OnnxRuntime(device="cuda", tf32=tf32).load(model).run({"x": X})
    np.testing.assert_array_equal(found["y"], [[0, -2, 6, 13]])
    OnnxRuntime().load(model)
    told = {"use_tf32": "1" if tf32 else "0"}
    assert asked == [[("CUDAExecutionProvider", told)], [("CPUExecutionProvider", {})]]


@pytest.mark.slow
def test_weights_beyond_two_gigabytes() -> None:
    side = 2**14  # two matrices of 2^28 floats are 2 GiB, more than a protobuf holds
    x = onnx_ir.Value(
        name="x",
        shape=onnx_ir.Shape([1, side]),
        type=onnx_ir.TensorType(onnx_ir.DataType.FLOAT),
    )
    identity = onnx_ir.Tensor(np.eye(side, dtype=np.float32), name="identity")
    double = onnx_ir.Tensor(2 * np.eye(side, dtype=np.float32), name="double")
    weights = [onnx_ir.Value(name=tensor.name, const_value=tensor) for tensor in (identity, double)]
    first = onnx_ir.node("MatMul", [x, weights[0]])
    second = onnx_ir.node("MatMul", [first.outputs[0], weights[1]])
    y = second.outputs[0]
    y.name, y.type = "y", x.type
    graph = onnx_ir.Graph(
        [x], [y], nodes=[first, second], initializers=weights, opset_imports={"": 20}
    )
    session = OnnxRuntime(threads=1).load(onnx_ir.Model(graph, ir_version=10))
    feed = np.arange(side, dtype=np.float32)[None]
    np.testing.assert_array_equal(session.run({"x": feed})["y"], 2 * feed)


def test_a_run_that_fails_prints_nothing(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch.fx has a traceback of its own for it."""
    text = '<ir_version: 8, opset_import: ["": 20]> g (float[n] x, int64[1] i) => (float[1] y) '
    session = runtime.load(onnx_ir.from_onnx_text(f"{text} {{ y = Gather(x, i) }}"))
    with pytest.raises(InputError):
        session.run({"x": X[0], "i": np.array([9])})
    assert capsys.readouterr() == ("", "")


def test_what_was_released_is_loaded_again_by_the_next_run(
    model: onnx_ir.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []
    opens = OnnxRuntime.open

    def counted(runtime: OnnxRuntime, path: Path, *given: Path) -> object:
        loads.append(path)
        return opens(runtime, path, *given)

    monkeypatch.setattr(OnnxRuntime, "open", counted)
    session = OnnxRuntime(threads=1).load(model)
    feeds = {"x": X, "bias": np.zeros(4, np.float32)}
    before = session.run(feeds)["y"]
    assert len(loads) == 1
    session.release()
    session.release()
    assert len(loads) == 1
    np.testing.assert_array_equal(session.run(feeds)["y"], before)
    np.testing.assert_array_equal(session.run(feeds)["y"], [[0, -2, 6, 12]])
    assert len(loads) == 2
