"""Less memory than a command needs is warned of, and the command runs all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import onnx_ir
import pytest

from benchmarks.command_memory import COMMANDS
from tests.cli.conftest import Run
from tests.support.made_groups import V1, V2, made_groups
from un_deploy import control_groups
from un_deploy.graph.model.model_file import load_model
from un_deploy.memory_needs import needed

Limit = Callable[[int], None]
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "command_memory.json"

GROUPS = {
    "version 2": (V2, {"memory.max": "60000000", "memory.current": "10000000"}),
    "version 1": (
        V1,
        {"memory/memory.limit_in_bytes": "60000000", "memory/memory.usage_in_bytes": "10000000"},
    ),
}


@pytest.mark.parametrize("version", GROUPS)
def test_a_limit_below_what_a_fold_needs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    belongs, files = GROUPS[version]
    root = made_groups(tmp_path / "root", belongs.format("/"), files)
    monkeypatch.setattr(control_groups, "ROOT", root)
    result = run("fold", "model.onnx", "-o", "folded.onnx")
    assert result.exit_code == 0 and Path("folded.onnx").is_file()
    assert result.stderr == (
        "warning: fold takes some 0.08 GB of memory for these files, and 0.05 are free: the "
        "system may end it\n"
    )
    assert run("doctor", "--no-load").stderr == ""


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Sets how many bytes are free."""

    def free(count: int) -> None:
        files = {"memory.max": str(count), "memory.current": "0"}
        root = made_groups(tmp_path / "root", V2.format("/"), files)
        monkeypatch.setattr(control_groups, "ROOT", root)

    return free


def test_enough_memory(run: Run, limit: Limit) -> None:
    limit(600_000_000)
    assert run("fold", "model.onnx", "-o", "folded.onnx").stderr == ""


def test_of_an_export_the_checkpoint_counts(run: Run, tmp_path: Path, limit: Limit) -> None:
    limit(200_000_000)
    Path("weights.pt").write_bytes(b"no weights")
    Path("a.py").write_text("b = None")
    result = run("export", "a.py:b", "-o", "a.onnx", "--checkpoint", "weights.pt")
    warning, error = result.stderr.splitlines()
    assert warning.startswith("warning: export takes some 0.33 GB of memory")
    assert error.startswith("error: ") and result.exit_code == 1
    assert not run("export", "a.py:b", "-o", "a.onnx").stderr.startswith("warning")


def test_of_a_file_its_weights_count(run: Run, limit: Limit) -> None:
    model = load_model("model.onnx")
    onnx_ir.save(model, "apart.onnx", external_data="weights", size_threshold_bytes=0)
    with Path("weights").open("ab") as file:
        file.truncate(100_000_000)  # of which the model reads a part
    limit(200_000_000)
    assert "fold takes some 0.29 GB" in run("fold", "apart.onnx", "-o", "f.onnx").stderr
    assert run("fold", "model.onnx", "-o", "g.onnx").stderr == ""


def test_what_is_expected_is_near_what_was_measured() -> None:
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))["entries"]
    for one in measured:
        sizes = [1e6 * one["file_mb"]] * (2 if one["command"] == "verify" else 1)
        expected = needed(one["command"].split()[0], map(int, sizes))
        assert expected is not None
        assert 0.7 <= expected / (1e6 * one["peak_mb"]) <= 1.5, one


@pytest.mark.parametrize("command", COMMANDS)
def test_five_files_of_each_command_were_measured(command: str) -> None:
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))["entries"]
    files = {one["file"]: one["file_mb"] for one in measured if one["command"] == command}
    assert len(files) >= 5
    assert min(files.values()) < 2 and max(files.values()) > 300
    if command != "export":  # which reads a checkpoint
        assert "vit_tiny_external" in files
        assert "vit_small_fp16" in files or command == "compare --engines"  # built in fp32


def test_a_comparison_of_vit_small_takes_at_most_900_mb() -> None:
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))["entries"]
    peaks = {
        one["command"]: one["peak_mb"]
        for one in measured
        if one["file"] == "vit_small" and one["command"].startswith("compare")
    }
    assert peaks.keys() == {"compare", "compare --engines"}
    assert max(peaks.values()) <= 900
