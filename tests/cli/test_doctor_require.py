"""un-deploy doctor --require: 1 where something is missing, and which; and what is served where."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.cli.conftest import Run
from tests.support.doubles.nvml_double import A100, Driver, without_driver
from un_deploy.runtime.loads import Load

H200 = {
    **A100,
    "nvmlDeviceGetName": "NVIDIA H200",
    "nvmlDeviceGetCudaComputeCapability": (9, 0),
}
RTX = ("75", "80", "86", "89", "120", "121")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine with a GPU and every package; the problems of what it loads, by name."""
    problems: dict[str, str] = {}

    def load_each(*, cuda: bool, packages: Sequence[str]) -> tuple[Load, ...]:
        names = ("packages", "onnxruntime", "torch", "tensorrt", "tensorrt_rtx")
        builds_for = {"tensorrt_rtx": RTX}
        return tuple(
            Load(name, "1.0", problems.get(name, ""), builds_for.get(name, ())) for name in names
        )

    Driver(monkeypatch, A100)
    monkeypatch.setattr("un_deploy.pipeline.doctor.load_each", load_each)
    monkeypatch.setattr("un_deploy.pipeline.doctor.driver_crash", lambda: "")
    monkeypatch.setattr("un_deploy.pipeline.doctor.version_of", lambda package: "1.0")
    return problems


ALL = ("--require", "gpu,tensorrt,rtx,ort-cuda,triton")


def test_nothing_is_missing(run: Run) -> None:
    result = run("doctor", *ALL)
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(run("doctor", "--json").stdout)["lacks"] == {}


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_is_missing_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...]
) -> None:
    without_driver(monkeypatch)
    result = run("doctor", *ALL, *form)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --require is not met: gpu: no driver here tells")
    assert "tensorrt: " in result.stderr and "rtx: " not in result.stderr
    assert result.stdout  # the report comes all the same
    assert run("doctor", "--require", "rtx, triton").exit_code == 0
    assert run("doctor").exit_code == 0


def test_what_does_not_load_is_missing(run: Run, machine: dict[str, str]) -> None:
    machine["tensorrt_rtx"] = "crashes with SIGSEGV"
    result = run("doctor", "--require", "rtx")
    assert result.exit_code == 1 and "rtx: crashes with SIGSEGV" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--require hopper", "'hopper' is none of gpu, tensorrt, rtx, ort-cuda, triton"),
        ("--require rtx --no-load", "leave out --no-load"),
        ("--require gpu --no-gpu", "leave out --no-gpu"),
    ],
)
def test_wrong_usage(run: Run, words: str, said: str) -> None:
    result = run("doctor", *words.split())
    assert result.exit_code == 2 and said in " ".join(result.stderr.split())


def test_what_is_served_where(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    told = " ".join(run("doctor").stdout.split())
    for words in ("ONNX file", "TensorRT plan", "TensorRT-RTX plan", "not Hopper (90)"):
        assert words in told
    assert "builds no plan for" not in told
    Driver(monkeypatch, H200)
    told = " ".join(run("doctor").stdout.split())
    assert "TensorRT-RTX builds no plan for NVIDIA H200 (90): take TensorRT" in told
