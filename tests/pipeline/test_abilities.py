"""What a machine lacks, and what is served where: the facts that docs/engines.md has too."""

from __future__ import annotations

import pytest

from un_deploy.engines.building.config import compute_capabilities
from un_deploy.errors import InputError
from un_deploy.gpu import Driver, Gpu
from un_deploy.pipeline.abilities import (
    REQUIREMENTS,
    Requirement,
    lacking,
    require,
    servings,
    unbuilt_for,
)
from un_deploy.runtime.loads import Load

H200 = Gpu("NVIDIA H200", "550.1", *[None] * 8, compute_capability="90")
A100 = Gpu("NVIDIA A100", "550.1", *[None] * 8, compute_capability="80")
NAMES = ("tensorrt", "tensorrt-rtx-cu13", "onnxruntime-gpu", "tritonclient")
ALL = dict.fromkeys(NAMES, "1.0")
RTX = ("75", "80", "86", "89", "120", "121")


def test_a_machine_with_everything_lacks_nothing() -> None:
    assert lacking(ALL, (), Driver(gpus=(A100,))) == {}


@pytest.mark.parametrize(
    ("missing", "wanted"),
    [
        ("tensorrt", {"tensorrt": 'pip install "un-deploy[tensorrt]"'}),
        ("tensorrt-rtx-cu13", {"rtx": 'pip install "un-deploy[rtx]"'}),
        ("onnxruntime-gpu", {"ort-cuda": 'pip install "un-deploy[gpu]"'}),
        ("tritonclient", {"triton": 'pip install "un-deploy[triton]"'}),
    ],
)
def test_a_package_that_is_missing(missing: str, wanted: dict[str, str]) -> None:
    assert lacking({**ALL, missing: None}, (), Driver(gpus=(A100,))) == wanted


def test_a_package_that_does_not_load() -> None:
    loads = (Load("tensorrt_rtx", "1.7", "crashes with SIGSEGV"), Load("onnxruntime", "1.3", ""))
    assert lacking(ALL, loads, Driver(gpus=(A100,))) == {"rtx": "crashes with SIGSEGV"}


def test_without_a_gpu() -> None:
    lacks = lacking(ALL, (), Driver())
    assert set(lacks) == {"gpu", "tensorrt", "ort-cuda"}  # TensorRT-RTX builds without one
    broken = lacking(ALL, (), Driver(problems=("GPU is lost: restart the machine",)))
    assert broken["gpu"] == "GPU is lost: restart the machine"
    assert lacking(ALL, (), None) == {}  # it was not asked


def test_require_names_all_that_is_missing_and_no_more() -> None:
    lacks: dict[Requirement, str] = {"gpu": "none", "rtx": "pip install it"}
    require(lacks, ("triton", "tensorrt"))
    with pytest.raises(InputError, match=r"^require is not met: rtx: pip install it; gpu: none$"):
        require(lacks, ("rtx", "triton", "gpu"))
    assert set(lacks) < set(REQUIREMENTS)


def test_what_is_served_where() -> None:
    onnx, plan, rtx = servings({"tensorrt": "no GPU"}, RTX)
    assert (onnx.lacks, plan.lacks, rtx.lacks) == ("", "no GPU", "")
    assert "Triton's onnxruntime backend" in onnx.by and "Triton's tensorrt backend" in plan.by
    assert "not Triton" in rtx.by
    assert rtx.on == "compute capability 75 (fp16 alone), 80, 86, 89, 120, 121; not Hopper (90)"
    assert "Hopper" not in servings({}, (*RTX, "90"))[2].on


def test_the_gpus_that_nothing_is_built_for() -> None:
    assert unbuilt_for((H200, A100), RTX) == ["NVIDIA H200 (90)"]
    assert unbuilt_for((H200,), ()) == []  # TensorRT-RTX is not here
    assert unbuilt_for((Gpu("GRID", "550.1", *[None] * 8),), RTX) == []  # which tells nothing


def test_tensorrt_rtx_builds_for_what_is_said_here() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    known = [name for name in compute_capabilities("tensorrt-rtx") if name != "current"]
    assert tuple(known) == RTX
