"""un-deploy build: trtexec's spellings, what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")

SHAPES = ("--shapes", "x:8x3x6")


def test_builds_and_says_what(run: Run, folder: Path) -> None:
    result = run("build", "model.onnx", "-o", "m.plan", "--precision", "fp16", *SHAPES)
    assert result.exit_code == 0
    assert "tensorrt-rtx 1." in result.stdout
    assert "1 in Half; asked for fp16" in result.stdout
    assert "Wrote m.plan and its manifest" in result.stdout
    assert (folder / "m.plan").stat().st_size == json.loads((folder / "m.plan.json").read_text())[
        "bytes"
    ]


def test_json_alone(run: Run) -> None:
    result = run("build", "model.onnx", "-o", "m.plan", "--json", *SHAPES)
    report = json.loads(result.stdout)
    assert report["version"] == 1
    assert report["manifest"]["profiles"][0]["x"]["max"] == [8, 3, 6]


@pytest.mark.parametrize(
    "spelling",
    [
        ("--minShapes", "--optShapes", "--maxShapes"),
        ("--min-shapes", "--opt-shapes", "--max-shapes"),
    ],
)
def test_profiles_in_either_spelling(run: Run, folder: Path, spelling: tuple[str, ...]) -> None:
    sizes = ("x:1x3x6", "x:4x3x6", "x:8x3x6", "x:8x3x6", "x:16x3x6", "x:32x3x6")
    flags = [part for pair in zip(spelling * 2, sizes, strict=True) for part in pair]
    assert run("build", "model.onnx", "-o", "m.plan", *flags).exit_code == 0
    manifest = json.loads((folder / "m.plan.json").read_text())
    assert [p["x"]["opt"] for p in manifest["profiles"]] == [[4, 3, 6], [16, 3, 6]]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 1, "has sizes that are open: give --shapes"),
        (("--shapes", "y:1x3x6"), 1, "profile 0 names y; the inputs are x"),
        (("--minShapes", "x:1x3x6"), 1, "profile 0 needs --minShapes, --optShapes and --maxShapes"),
        (
            ("--minShapes", "x:4x3x6", "--optShapes", "x:2x3x6", "--maxShapes", "x:8x3x6"),
            1,
            "axis 0 of input x: float32 (batch, 3, 6) has min 4, opt 2, max 8",
        ),
        ((*SHAPES, "--timingCacheFile", "cache"), 1, "does not take --timingCacheFile"),
        ((*SHAPES, "--builderOptimizationLevel", "3"), 1, "TensorRT-RTX ignores"),
        ((*SHAPES, "--memPoolSize", "workspace"), 1, "'' is no size"),
        ((*SHAPES, "--computeCapability", "90"), 1, "does not build for compute capability 90"),
        ((*SHAPES, "--flavor", "tensorrt"), 1, 'pip install "un-deploy[tensorrt]"'),
        ((*SHAPES, "--precision", "int8"), 2, "'int8' is not one of"),
        ((*SHAPES, "--builderOptimizationLevel", "9"), 2, "9 is not in the range"),
    ],
)
def test_refusals(
    run: Run, folder: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = run("build", "model.onnx", "-o", "m.plan", "--flavor", "tensorrt-rtx", *arguments)
    assert result.exit_code == code
    assert message in " ".join(result.stderr.split())
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx"]


def test_the_help_says_that_plans_are_untested(run: Run) -> None:
    assert "untested on hardware" in " ".join(run("build", "--help").stdout.split())
