"""Nothing leaves the machine: no connection, no file under HOME, no thread that tells of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.graphs import build
from un_deploy.graph.model.model_file import save_model

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[1]

LOOK = """
import json, os, sys
from pathlib import Path
seen = {"connected": [], "looked_up": []}
def hook(event, arguments):
    if event == "socket.connect":
        seen["connected"].append(str(arguments[1]))
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        seen["looked_up"].append(str(arguments[0]))
sys.addaudithook(hook)
def threads():
    return len(os.listdir("/proc/self/task"))
"""

SESSION = """
from un_deploy.runtime.backends import load_file
from un_deploy.runtime.settings import RunSettings
session = load_file(Path("a.onnx"), RunSettings("ort-cpu", threads=1))
seen["threads"] = threads()
"""

VERIFY = """
import un_deploy
verdict = un_deploy.verify("a.onnx", "b.onnx")
seen["verdict"] = verdict.verdict
seen["runtimes"] = "onnxruntime" in sys.modules
"""

DIRECTLY = "import un_deploy, onnxruntime"
"""As tests and the code of users do it."""

# Where one of these is set, ONNX Runtime 1.32 takes the machine for one that runs tests and is
# silent by itself: there these tests would pass whatever we did.
CI_SERVERS = (
    *("CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "TRAVIS", "JENKINS_URL"),
    *("CODEBUILD_BUILD_ID", "BUILDKITE", "TEAMCITY_VERSION", "APPVEYOR", "BITBUCKET_BUILD_NUMBER"),
)


def look(folder: Path, code: str, **environment: str) -> dict[str, Any]:
    """What a fresh Python saw of itself, and the files that it left under an empty HOME."""
    home = folder / "home"
    home.mkdir()
    dropped = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", *CI_SERVERS)
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    tell = "\nfrom onnxruntime import __version__\nprint(json.dumps(seen))"
    done = subprocess.run(
        [sys.executable, "-c", LOOK + code + tell],
        cwd=folder,
        env={**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    files = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    return {**json.loads(done.stdout), "files": files}


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Two files that are equal, though neither is a fold of the other."""
    for name, text in (("a", "y = Sigmoid(x)"), ("b", "e = Neg(x) f = Neg(e) y = Sigmoid(f)")):
        save_model(build("float[2,3] x => float[2,3] y", text), tmp_path / f"{name}.onnx")
    return tmp_path


def test_a_session_and_what_imports_onnx_runtime_itself(pair: Path) -> None:
    seen = look(pair, SESSION)
    assert seen == {"connected": [], "looked_up": [], "threads": 1, "files": []}


def test_a_verification_in_a_runtime(pair: Path) -> None:
    seen = look(pair, VERIFY)
    assert (seen["verdict"], seen["runtimes"]) == ("equal on these inputs", True)
    assert (seen["connected"], seen["looked_up"], seen["files"]) == ([], [], [])


def test_code_that_imports_un_deploy_first(pair: Path) -> None:
    assert look(pair, DIRECTLY)["files"] == []


def test_what_the_user_sets_stands(pair: Path) -> None:
    """And these tests can fail: 1.32, told to, leaves a device id and a database, and a thread."""
    seen = look(pair, SESSION, ORT_DISABLE_TELEMETRY="0")
    import onnxruntime

    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 32):
        pytest.skip("this onnxruntime has no telemetry on Linux")
    assert {Path(file).name for file in seen["files"]} >= {"deviceid"}
    assert seen["threads"] == 2


def test_whatever_imports_onnx_runtime_by_itself_imports_un_deploy_too() -> None:
    """Benchmarks and models: tests have it from tests/conftest.py."""
    for folder in ("benchmarks", "models", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "import onnxruntime" in text:
                assert "from un_deploy" in text or "import un_deploy" in text, path
