"""From a file to the time of its layers, and to trtexec's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.runtime.tensorrt.test_plan_runtime import make  # noqa: F401
from tests.support.doubles import tensorrt_double as double
from tests.support.doubles.reference_runtime import ReferenceRuntime
from tests.support.graphs import build
from un_deploy.cli import show
from un_deploy.engines.kernels.layer_info import parse_layer_info
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline import profile as module
from un_deploy.pipeline.profile import profile
from un_deploy.runtime.backends import runtime_of
from un_deploy.runtime.protocol import Runtime
from un_deploy.runtime.settings import RunSettings
from un_deploy.runtime.tensorrt.plan_runtime import PlanRuntime
from un_deploy.runtime.trtexec.profile_file import parse_profile
from un_deploy.runtime.trtexec.times_file import parse_times


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model = build(
        "float[batch,64] x => float[batch,64] y", "h = MatMul(x, w)  y = Tanh(h)", w=(64, 64)
    )
    save_model(model, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("backend", ["ort-cpu", pytest.param("torch", marks=pytest.mark.torch)])
def test_layers_of_a_file(file: Path, backend: str) -> None:
    report = profile(file, backend=backend, runs=4, warm_up=1, dims={"batch": 3}, threads=1)
    assert (report.runtime, report.inputs, report.tf32) == (backend, {"x": (3, 64)}, None)
    assert [layer.onnx_nodes for layer in report.layers] == [("MatMul_0",), ("Tanh_1",)]
    assert all(len(layer.seconds) == 4 for layer in report.layers)
    assert len(report.run_s) == 4
    assert min(report.run_s) > 0
    assert sum(map(report.share, report.layers)) == pytest.approx(1)
    assert report.slowest_first[0].median_s >= report.slowest_first[1].median_s
    assert report.layers_s == sum(layer.median_s for layer in report.layers)


def test_the_report_as_json(file: Path) -> None:
    report = profile(file, runs=2)
    told = json.loads(report.to_json())
    assert told["version"] == 1
    assert [layer["onnx_nodes"] for layer in told["layers"]] == [["MatMul_0"], ["Tanh_1"]]
    assert [layer["median_s"] for layer in told["layers"]] == [
        layer.median_s for layer in report.layers
    ]
    assert told["median_run_s"] == float(np.median(report.run_s))
    assert "layer_information" not in told


def test_trtexecs_files_of_any_runtime(file: Path) -> None:
    report = profile(file, runs=3)
    found = parse_profile(report.trtexec_profile())
    assert found.iterations == 3
    assert [layer.name for layer in found.layers] == [layer.name for layer in report.layers]
    assert [layer.total_s for layer in found.layers] == pytest.approx(
        [sum(layer.seconds) for layer in report.layers]
    )
    times = parse_times(report.trtexec_times())
    assert times.compute_s == pytest.approx(report.run_s)
    assert [one.start_s for one in times.inferences] == pytest.approx(
        [0, report.run_s[0], sum(report.run_s[:2])]
    )
    with pytest.raises(InputError, match=r"net.onnx is no plan: only TensorRT tells"):
        report.trtexec_layers()


def test_given_inputs_are_taken(file: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((5, 64), np.float32))
    assert profile(file, runs=1, inputs=str(tmp_path / "data.npz")).inputs == {"x": (5, 64)}
    with pytest.raises(InputError, match=r"^dims is of random inputs, and inputs gives"):
        profile(file, inputs=str(tmp_path / "data.npz"), dims={"batch": 2})


def test_a_runtime_that_cannot_tell(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "runtime_of", lambda *_, **__: ReferenceRuntime())
    with pytest.raises(InputError, match="ort-cpu cannot tell the times of its layers"):
        profile(file)


@pytest.mark.torch
@pytest.mark.parametrize("tf32", [True, False])
def test_a_profile_on_a_gpu_says_whether_tf32_was_allowed(
    file: Path, monkeypatch: pytest.MonkeyPatch, tf32: bool
) -> None:
    """A CPU stands for the GPU."""
    asked = []

    def on_the_cpu(settings: RunSettings) -> Runtime:
        asked.append(settings)
        return runtime_of(replace(settings, device="cpu"))

    monkeypatch.setattr(module, "runtime_of", on_the_cpu)
    report = profile(file, backend="torch", device="cuda", tf32=tf32, runs=1)
    assert (report.tf32, asked) == (tf32, [RunSettings("torch", None, "cuda", tf32=tf32)])


@pytest.mark.torch
class TestPlans:
    """On the double of TensorRT: see tests/runtime/tensorrt/test_plan_runtime.py."""

    @pytest.fixture(autouse=True)
    def on_cpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "PlanRuntime", lambda: PlanRuntime(device="cpu"))

    def test_layers_of_a_plan(self, make: Callable[..., Path]) -> None:  # noqa: F811
        report = profile(make(), runs=3, dims={"n": 2})
        assert (report.runtime, report.inputs) == ("tensorrt 10.16.1.11", {"x": (2, 4)})
        assert report.tf32 is True  # that of its manifest
        assert [layer.onnx_nodes for layer in report.layers] == [
            ("MatMul_0",),
            ("Add_1", "Relu"),
            ("Add_2",),
        ]
        assert report.layers_s == pytest.approx(8.75e-4)
        info = parse_layer_info(report.trtexec_layers())
        assert [layer.name for layer in info.layers] == ["gemm_1", "fused", "fused"]
        assert len(parse_profile(report.trtexec_profile()).layers) == 3
        assert len(parse_times(report.trtexec_times()).inferences) == 3

    def test_what_tensorrt_warns_of_is_told(
        self,
        make: Callable[..., Path],  # noqa: F811
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        report = profile(make(loading_warns_of=["Lazy loading is off"]), runs=1)
        assert report.warnings == ("Lazy loading is off",)
        assert json.loads(report.to_json())["warnings"] == ["Lazy loading is off"]
        show.profile(report, None)
        assert "Warning: Lazy loading is off" in capsys.readouterr().out

    def test_the_sizes_are_those_it_was_tuned_for(self, make: Callable[..., Path]) -> None:  # noqa: F811
        path = make()
        given = json.loads(path.with_name("net.plan.json").read_text())
        given["profiles"] = [{"x": {"min": [1, 4], "opt": [3, 4], "max": [3, 4]}}]
        path.with_name("net.plan.json").write_text(json.dumps(given))
        assert profile(path, runs=1).inputs == {"x": (3, 4)}
        assert profile(path, runs=1, dims={"n": 1}).inputs == {"x": (1, 4)}

    def test_a_plan_runs_in_tensorrt_alone(self, make: Callable[..., Path]) -> None:  # noqa: F811
        with pytest.raises(InputError, match=r"net.plan is a plan: TensorRT runs it, not torch"):
            profile(make(), backend="torch")
        assert double.calls == []
