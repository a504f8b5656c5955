"""The shell pipeline on a machine with trtexec: a double on PATH, whose engines compute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copyfile

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHECKPOINTS = ROOT / "models" / "checkpoints"
DOUBLE = ROOT / "tests" / "support" / "doubles" / "trtexec_evaluating.py"

SHELL = """#!/bin/sh
echo "$@" >> "$CALLS"
exec "{python}" "{double}" "$@"
"""


class Walk:
    """An empty folder with the script, the checkpoints and a trtexec, and runs of the script."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        (folder / "bin").mkdir()
        trtexec = folder / "bin" / "trtexec"
        trtexec.write_text(SHELL.format(python=sys.executable, double=DOUBLE))
        trtexec.chmod(0o755)
        copyfile(ROOT / "examples" / "pipeline.sh", folder / "pipeline.sh")
        for norm in ("un", "ln"):
            copyfile(CHECKPOINTS / f"vit_micro_{norm}_seed0.pt", folder / f"{norm}.pt")

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it; three builds and two rounds, as a sample in trtexec is a process."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {name: value for name, value in os.environ.items() if name != "TRTEXEC"}
        environment |= {"UN_DEPLOY": f"{sys.executable} -m un_deploy", "PYTHONPATH": str(ROOT)}
        environment |= {"PATH": path, "CALLS": str(self.calls), "BATCHES": "1", "BUILDS": "3"}
        environment |= {"ROUNDS": "2", "SHAPES": "pixel_values:8x1x28x28", **variables}
        return subprocess.run(
            ["bash", "pipeline.sh", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    for package in ("torch", "onnxruntime", "tensorrt_rtx", "tritonclient"):
        pytest.importorskip(package)
    return Walk(tmp_path_factory.mktemp("walk"))


@pytest.fixture(scope="module")
def done(walk: Walk) -> subprocess.CompletedProcess[str]:
    """By the line of the script's header; `make wheel-test` gives the recipe by its module."""
    return walk(f"{ROOT}/models/vit.py:vit_micro", "un.pt", "OUT", LN_CHECKPOINT="ln.pt")


def test_the_header_line_times_engines_in_trtexec(
    walk: Walk, done: subprocess.CompletedProcess[str]
) -> None:
    assert done.returncode == 0, done.stderr
    trtexec = walk.folder / "bin" / "trtexec"
    assert f"Comparing engines in fp16: trtexec 10.16.2 ({trtexec})" in done.stdout
    calls = walk.calls.read_text().splitlines()
    built = [line for line in calls if "--saveEngine=" in line]
    ran = [line for line in calls if "--loadEngine=" in line]
    assert built and ran
    assert all("--stronglyTyped" in line for line in built)
    report = json.loads((walk.folder / "OUT" / "compare.json").read_text())
    assert (report["backend"], report["precision"]) == ("trtexec", "fp16")
    assert report["runtime"] == f"trtexec 10.16.2 ({trtexec})"
    assert (walk.folder / "OUT" / "repository" / "network" / "config.pbtxt").is_file()


def test_a_gate_that_fails_stops_it(walk: Walk, done: subprocess.CompletedProcess[str]) -> None:
    """The other gates: tests/examples/test_examples.py, and what fails them: tests/cli."""
    missed = walk("out", UN="OUT/un.onnx", LN="OUT/ln.onnx", MAX_ERROR="1e-9")
    assert missed.returncode == 3, missed.stderr
    assert "trtexec in fp16: " in missed.stderr
    assert not (walk.folder / "out" / "repository").exists()  # nothing behind the gate ran
