"""The commands that look: inspect and doctor; and strip, which takes norms out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import pynvml
import pytest

from tests.cli.conftest import Run
from tests.runtime.trtexec.conftest import executable
from tests.support.doubles.nvml_double import (
    A100,
    UUIDS,
    Driver,
    gpu,
    with_broken_driver,
    without_driver,
)
from tests.support.graphs import NORM, build
from tests.support.odd_files import WAYS
from un_deploy.graph.model.model_file import save_model
from un_deploy.runtime.loads import Load

LAYER_NORM = "n = LayerNormalization(x, a, b)  y = MatMul(n, w)"
WRITTEN_OUT = """
    mean = ReduceMean(x, axis)  centred = Sub(x, mean)  square = Mul(centred, centred)
    variance = ReduceMean(square, axis)  safe = Add(variance, eps)  deviation = Sqrt(safe)
    n = Div(centred, deviation)  y = MatMul(n, w)
"""
EPS = np.array(1e-5, np.float32)


class TestInspect:
    def test_what_folds_and_where(self, folder: Path, run: Run) -> None:
        result = run("inspect", "model.onnx")
        assert result.exit_code == 0
        assert "input  x: float32 (batch, 3, 6)\noutput y: float32 (batch, 3, 4)" in result.stdout
        assert "MatMul_2" in result.stdout
        assert "1 of 1 norms would fold; 4 operators before, 2 after." in result.stdout
        assert [path.name for path in folder.iterdir()] == ["model.onnx"]

    def test_what_was_odd_about_the_file(self, run: Run) -> None:
        onnx.save(WAYS["a_domain_without_an_import"]().model, "odd.onnx")
        for command in (("inspect", "odd.onnx"), ("fold", "odd.onnx", "-o", "folded.onnx")):
            said = " ".join(run(*command).stdout.split())
            assert "About the file: onnx's checker refuses it, and it was read" in said
            assert "No opset import for domain 'com.microsoft'" in said

    def test_why_one_stays(self, run: Run) -> None:
        model = build("float[2,6] x => float[2,6] y", f"{NORM}  y = Softmax(n)", a=(6,), b=(6,))
        save_model(model, "stays.onnx")
        result = run("inspect", "stays.onnx")
        assert "stays: forward: Softmax_2 (Softmax) does not commute" in " ".join(
            result.stdout.split()
        )

    def test_a_norm_of_unknown_size(self, run: Run) -> None:
        model = build(
            "float[2,N] x => float[2,6] y", f"{NORM}  y = MatMul(n, w)", a=(6,), b=(6,), w=(6, 6)
        )
        save_model(model, "nearly.onnx")
        data = json.loads(run("inspect", "nearly.onnx", "--json").stdout)
        (site,) = data["fold"]["sites"]
        assert site["node"] == "Mul_0" and "might widen it" in site["reason"]

    @pytest.mark.parametrize(
        ("body", "operators"),
        [
            (LAYER_NORM, ["LayerNormalization"]),
            (
                WRITTEN_OUT,
                ["ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div"],
            ),
        ],
    )
    def test_layer_norms(self, body: str, operators: list[str], run: Run) -> None:
        used = {"axis": [-1], "eps": EPS} if body is WRITTEN_OUT else {"a": (6,), "b": (6,)}
        save_model(build("float[2,6] x => float[2,4] y", body, w=(6, 4), **used), "ln.onnx")
        assert "and so stay" in run("inspect", "ln.onnx").stdout
        data = json.loads(run("inspect", "ln.onnx", "--json").stdout)
        (norm,) = data["fold"]["measuring"]
        assert (norm["kind"], norm["operators"]) == ("LayerNormalization", operators)
        assert data["operators"]["MatMul"] == 1


class TestStrip:
    def test_layer_norm_goes(self, run: Run) -> None:
        save_model(
            build("float[2,6] x => float[2,4] y", LAYER_NORM, w=(6, 4), a=(6,), b=(6,)), "ln.onnx"
        )
        result = run("strip", "ln.onnx", "-o", "stripped.onnx")
        assert result.exit_code == 0
        assert [node.op_type for node in onnx.load("stripped.onnx").graph.node] == ["MatMul"]
        assert "1 norms taken out" in result.stdout
        assert "computes something else" in result.stdout

    def test_nothing_taken_out_is_said(self, run: Run) -> None:
        told = " ".join(run("strip", "model.onnx", "-o", "a.onnx").stdout.split())
        end = "Wrote a.onnx: nothing was taken out, and it is the network as it was."
        assert "0 norms taken out" in told and told.endswith(end)

    def test_an_affine_goes_when_named(self, run: Run) -> None:
        result = run("strip", "model.onnx", "-o", "a.onnx", "--json")
        data = json.loads(result.stdout)
        assert data["stripped"] == [] and len(data["left"]) == 1
        assert run("strip", "model.onnx", "-o", "b.onnx", "--node", "Mul_0").exit_code == 0
        assert [node.op_type for node in onnx.load("b.onnx").graph.node] == ["MatMul", "Add"]

    def test_existing_target(self, run: Run) -> None:
        Path("old.onnx").write_bytes(b"old")
        result = run("strip", "model.onnx", "-o", "old.onnx")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: old.onnx exists already")


class TestDoctor:
    @pytest.fixture(autouse=True)
    def loads(self, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """What becomes of loading the runtimes, and whether they were to reach a GPU."""
        asked: list[bool] = []

        def load_each(*, cuda: bool, packages: Sequence[str]) -> tuple[Load, ...]:
            asked.append(cuda)
            assert {"numpy", "onnx"} <= set(packages)
            return Load("onnxruntime", "1.30.0", ""), Load("torch", "2.0", "")

        monkeypatch.setattr("un_deploy.pipeline.doctor.load_each", load_each)
        monkeypatch.setattr("un_deploy.pipeline.doctor.driver_crash", lambda: "")
        return asked

    def test_versions(self, run: Run) -> None:
        result = run("doctor")
        assert result.exit_code == 0
        assert metadata.version("onnx-ir") in result.stdout
        extras = json.loads(run("doctor", "--json").stdout)["extras"]
        assert [extra["name"] for extra in extras] == [
            "",
            "torch",
            "cpu",
            "gpu",
            "rtx",
            "tensorrt",
            "transformers",
            "timm",
            "triton",
            "report",
        ]
        assert set(extras[1]["packages"]) >= {"torch", "onnxscript"}

    @pytest.mark.parametrize(
        ("missing", "code", "advice"),
        [
            ("torch", 0, 'For UnifiedNorm, export:\n    pip install "un-deploy[torch]"\n'),
            ("sympy", 1, 'For fold, strip, verify, inspect:\n    pip install "un-deploy"\n'),
            (
                "transformers",
                0,
                "For export and compare of Hugging Face folders:\n"
                '    pip install "un-deploy[transformers]"\n',
            ),
        ],
    )
    def test_what_is_missing_and_how_to_get_it(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, missing: str, code: int, advice: str
    ) -> None:
        def version(package: str) -> str:
            if package == missing:
                raise metadata.PackageNotFoundError(package)
            return "1.0"

        monkeypatch.setattr(metadata, "version", version)
        result = run("doctor")
        assert result.exit_code == code
        assert advice in result.stdout
        assert run("doctor", "--json").exit_code == code

    def test_gpus(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        Driver(monkeypatch, A100)
        assert "GPU: NVIDIA A100, 40960 MiB, 550.1" in run("doctor").stdout
        without_driver(monkeypatch)
        assert "No NVIDIA GPU" in run("doctor").stdout

    def test_what_loads_and_what_does_not(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        loads: list[bool] = []

        def load_each(*, cuda: bool, packages: Sequence[str]) -> tuple[Load, ...]:
            loads.append(cuda)
            broken = Load("torch", "2.0", "crashes with SIGSEGV")
            return Load("onnxruntime", "1.30.0", ""), broken

        monkeypatch.setattr("un_deploy.pipeline.doctor.load_each", load_each)
        result = run("doctor")
        assert result.exit_code == 1
        assert "onnxruntime 1.30.0 loads\n" in result.stdout
        assert "torch 2.0 does not work: crashes with SIGSEGV\n" in result.stdout
        assert json.loads(run("doctor", "--json").stdout)["loads"][1]["name"] == "torch"
        unloaded = run("doctor", "--no-load")
        assert (unloaded.exit_code, "crashes" in unloaded.stdout) == (0, False)
        assert len(loads) == 2

    def test_runtimes_reach_a_gpu_where_there_is_one(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, loads: list[bool]
    ) -> None:
        without_driver(monkeypatch)
        run("doctor")
        with_broken_driver(monkeypatch, pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)
        said = run("doctor").stdout
        Driver(monkeypatch, A100)
        run("doctor")
        assert loads == [False, True, True]
        assert "NVIDIA's driver: RM has detected an NVML/RM version mismatch: rest" in said

    def test_a_health_check_leaves_the_gpu_alone(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, loads: list[bool]
    ) -> None:
        Driver(monkeypatch, A100)
        said = run("doctor", "--no-gpu").stdout
        assert (loads, "A100" in said, "No NVIDIA GPU" in said) == ([False], False, False)

    def test_the_gpus_that_cuda_computes_on(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Driver(monkeypatch, gpu("A", UUIDS[0]), gpu("B", UUIDS[1]))
        for chosen, named in (("1", ["GPU: B, "]), ("1,0", ["GPU: B, ", "GPU: A, "]), ("", [])):
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
            lines = run("doctor").stdout.splitlines()
            assert [line[:8] for line in lines if line.startswith("GPU: ")] == named
            assert (
                f"Note: CUDA_VISIBLE_DEVICES={chosen}: CUDA computes on {len(named)} of 2." in lines
            )
        assert any("CUDA_DEVICE_ORDER=PCI_BUS_ID" in line for line in lines)

    def test_a_driver_that_crashes(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        crash = "libnvidia-ml crashes with SIGSEGV"
        monkeypatch.setattr("un_deploy.pipeline.doctor.driver_crash", lambda: crash)
        result = run("doctor")
        assert result.exit_code == 0 and f"driver: {crash}" in result.stdout

    def test_a_lost_gpu(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        Driver(monkeypatch, A100, pynvml.NVML_ERROR_GPU_IS_LOST)
        said = run("doctor").stdout
        assert "GPU: NVIDIA A100" in said
        assert "NVIDIA's driver: GPU 1: GPU is lost: restart the machine." in said

    def test_trtexec(self, run: Run, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        first = "&&&& RUNNING TensorRT.trtexec [TensorRT v101602] [b10] # trtexec --help"
        monkeypatch.setenv("TRTEXEC", str(executable(folder / "trtexec", f"echo '{first}'")))
        assert json.loads(run("doctor", "--json").stdout)["trtexec"] == f"10.16.2, {folder}/trtexec"
        assert "trtexec: 10.16.2, " in run("doctor").stdout
        newer = first.replace("101602", "120000")
        executable(folder / "trtexec", f"echo '{newer}'")
        told = " ".join(run("doctor").stdout.split())
        assert "trtexec: 12.0.0, " in told and "not used, since trtexec 12 is not known" in told
        executable(folder / "trtexec", "exit 1")
        assert "says no version of TensorRT" in " ".join(run("doctor").stdout.split())
        monkeypatch.setenv("TRTEXEC", "nowhere/trtexec")
        assert "nowhere/trtexec (from $TRTEXEC) is no" in " ".join(run("doctor").stdout.split())
