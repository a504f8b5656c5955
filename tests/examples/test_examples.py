"""The example pipelines: the shell one is run, the other held against its schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CHECKPOINTS = ROOT / "models" / "checkpoints"


def pipeline(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "UN_DEPLOY": f"{sys.executable} -m un_deploy", **variables}
    command = ["examples/pipeline.sh", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def recipe(out: Path, **gates: str) -> subprocess.CompletedProcess[str]:
    return pipeline(
        "models/vit.py:vit_micro",
        str(CHECKPOINTS / "vit_micro_un_seed0.pt"),
        str(out),
        LN_CHECKPOINT=str(CHECKPOINTS / "vit_micro_ln_seed0.pt"),
        SHAPES="pixel_values:8x1x28x28",
        BATCHES="1",
        BUILDS="3",
        ROUNDS="2",
        **gates,
    )


@pytest.mark.slow
def test_the_shell_pipeline_runs_and_its_gates_hold(tmp_path: Path) -> None:
    for package in ("torch", "onnxruntime", "tensorrt_rtx", "tritonclient"):
        pytest.importorskip(package)
    done = recipe(tmp_path / "out", TRTEXEC="/nowhere/trtexec")
    assert done.returncode == 0, done.stderr
    assert "/nowhere/trtexec" in done.stderr  # why no engine runs
    assert "Comparing the graphs in ONNX Runtime on the CPU in fp32 instead" in done.stdout
    out = tmp_path / "out"
    sites = json.loads((out / "fold.json").read_text())["fold"]["sites"]
    assert {site["status"] for site in sites} == {"folded"}
    report = json.loads((out / "compare.json").read_text())
    engines = {one["kind"]: one["same_as_none"] for one in report["engines"]}
    assert engines == {"ln": False, "unfolded": False, "folded": True, "none": True}
    assert (out / "folded.plan.json").is_file()
    assert (out / "repository" / "network" / "config.pbtxt").is_file()

    files = {"UN": str(out / "un.onnx"), "LN": str(out / "ln.onnx"), "TRTEXEC": "/nowhere/trtexec"}
    files |= {"SHAPES": "pixel_values:8x1x28x28", "BATCHES": "1", "BUILDS": "3", "ROUNDS": "2"}
    missed = pipeline(str(tmp_path / "gated"), **files, MIN_SPEEDUP="100")
    assert missed.returncode == 3
    assert "ort-cpu in the types of the graphs: " in missed.stderr
    refused = ("100x is not reached", "unsteady, so no speed-up is judged")  # as the machine is
    assert any(one in missed.stderr for one in refused)
    assert not (tmp_path / "gated" / "repository").exists()  # nothing behind the gate ran


RECORDER = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$1 $2" in
  "trtexec-compare --which") echo "$WHICH"; exit "$CODE" ;;
  "trtexec-compare --engines") exit "${COMPARED:-0}" ;;
esac
"""


def recorded(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The pipeline from ONNX files with a double, which writes its calls to ``calls``."""
    double = tmp_path / "un-deploy"
    double.write_text(RECORDER)
    double.chmod(0o755)
    told = {"UN": "un.onnx", "LN": "ln.onnx", "UN_DEPLOY": str(double)}
    return pipeline(str(tmp_path / "out"), **told, CALLS=str(tmp_path / "calls"), **variables)


@pytest.mark.parametrize(
    ("precision", "error"), [("fp32", "1e-2"), ("fp16", "1e-2"), ("bf16", "5e-2")]
)
@pytest.mark.parametrize("there", [True, False])
def test_what_the_pipeline_calls(tmp_path: Path, there: bool, precision: str, error: str) -> None:
    """From ONNX files, so without an export; a double records what it is called with.

    Engines of fp32 may use TF32, whose mantissa is that of fp16; graphs on the CPU have none.
    """
    done = recorded(
        tmp_path,
        PRECISION=precision,
        WHICH="trtexec 10.16.2" if there else "error: no TensorRT engine can be run here",
        CODE="0" if there else "1",
    )
    assert done.returncode == 0, done.stderr
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    verbs = [call[0] for call in calls]
    compare = calls[4]
    assert verbs[:4] == ["fold", "verify", "build", "trtexec-compare"]
    assert verbs[4:] == ["trtexec-compare" if there else "compare", "triton"]
    assert "--require-folded all" in " ".join(calls[0])
    assert "--require proven" in " ".join(calls[1])
    assert f"--engines --precision {precision}" in " ".join(compare)
    assert f"--max-error {error if there else '1e-4'}" in " ".join(compare)
    assert "--min-speedup" not in compare
    assert ("--backend ort-cpu" in " ".join(compare)) == (not there)
    assert ("no TensorRT engine can be run here" in done.stderr) == (not there)


def test_the_comparison_is_told_the_gates_and_its_failure_is_the_end(tmp_path: Path) -> None:
    done = recorded(
        tmp_path,
        WHICH="trtexec 10.16.2",
        CODE="0",
        COMPARED="3",
        MIN_SPEEDUP="1.5",
        MAX_ERROR="0.25",
        BASELINE="old.json",
    )
    assert done.returncode == 3
    last = (tmp_path / "calls").read_text().splitlines()[-1]
    assert last.startswith("trtexec-compare --engines ")
    assert "--max-error 0.25 --min-speedup 1.5 --against old.json -o " in last


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.name)
def test_no_example_lets_a_norm_stay(path: Path) -> None:
    """*Proven* alone does not mean folded."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        if "un-deploy fold " in line:
            assert "--require-folded all" in line
        if "un-deploy verify " in line:
            assert "--require proven" in line


def test_the_pipeline_says_what_it_needs(tmp_path: Path) -> None:
    done = pipeline(str(tmp_path / "out"), UN="un.onnx", UN_DEPLOY="false")
    assert done.returncode != 0
    assert "give LN=ln.onnx beside UN" in done.stderr
    done = pipeline("models/vit.py:vit_micro", UN_DEPLOY="false")
    assert done.returncode != 0
    assert "usage: pipeline.sh SPEC CHECKPOINT OUT" in done.stderr


def test_the_github_job_is_one() -> None:
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema: the dev extra")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    command += ["vendor.github-workflows", str(ROOT / "examples" / "github-actions.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
