"""Less memory than a command needs is warned of, and the command runs all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.made_groups import V1, V2, made_groups
from un_deploy import control_groups
from un_deploy.memory_needs import needed

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


def test_enough_memory(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"memory.max": "600000000", "memory.current": "10000000"}
    root = made_groups(tmp_path / "root", V2.format("/"), files)
    monkeypatch.setattr(control_groups, "ROOT", root)
    assert run("fold", "model.onnx", "-o", "folded.onnx").stderr == ""


def test_what_is_expected_is_near_what_was_measured() -> None:
    measured = json.loads(RESULTS.read_text(encoding="utf-8"))["entries"]
    assert len({one["file"] for one in measured}) >= 5
    for one in measured:
        sizes = [1e6 * one["file_mb"]] * (2 if one["command"] == "verify" else 1)
        expected = needed(one["command"], map(int, sizes))
        assert expected is not None
        assert 0.7 <= expected / (1e6 * one["peak_mb"]) <= 1.5, one
