"""The example pipelines: the shell one is run, the other held against its schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKPOINTS = ROOT / "models" / "checkpoints"


def pipeline(out: Path, **gates: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "UN_DEPLOY": f"{sys.executable} -m un_deploy",
        "LN_CHECKPOINT": str(CHECKPOINTS / "vit_micro_ln_seed0.pt"),
        "SHAPES": "pixel_values:8x1x28x28",
        "MIN_SPEEDUP": "0.1",
        **gates,
    }
    checkpoint = str(CHECKPOINTS / "vit_micro_un_seed0.pt")
    command = ["examples/pipeline.sh", "models/vit.py:vit_micro", checkpoint, str(out)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_shell_pipeline_runs_and_its_gates_hold(tmp_path: Path) -> None:
    for package in ("torch", "onnxruntime", "tensorrt_rtx", "tritonclient"):
        pytest.importorskip(package)
    done = pipeline(tmp_path / "out")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    sites = json.loads((out / "fold.json").read_text())["fold"]["sites"]
    assert {site["status"] for site in sites} == {"folded"}
    report = json.loads((out / "compare.json").read_text())
    engines = {one["kind"]: one["same_as_none"] for one in report["engines"]}
    assert engines == {"ln": False, "unfolded": False, "folded": True, "none": True}
    assert (out / "folded.plan.json").is_file()
    assert (out / "repository" / "network" / "config.pbtxt").is_file()

    missed = pipeline(tmp_path / "gated", MIN_SPEEDUP="100")
    assert missed.returncode == 3
    assert "100x is not reached" in missed.stderr
    assert not (tmp_path / "gated" / "repository").exists()  # nothing behind the gate ran


def test_the_github_job_is_one() -> None:
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema: the dev extra")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    command += ["vendor.github-workflows", str(ROOT / "examples" / "github-actions.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
