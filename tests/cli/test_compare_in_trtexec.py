"""un-deploy compare in trtexec: what it warns of, what it does not capture, what it fails with."""

# ruff: noqa: F811

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_compare import ONCE, stripped, trtexec, without_processes  # noqa: F401
from un_deploy.measure.speed.compare_report import CompareReport

pytest.importorskip("onnxruntime")


@pytest.fixture
def without_graph(trtexec: Path) -> None:
    """Of what still has UN's Mul, the double does not capture a graph."""
    script = trtexec.read_text().replace(
        "exec ",
        'for a in "$@"; do case "$a" in --loadEngine=*)\n'
        '  if grep -qaw Mul "${a#*=}"; then export TRTEXEC_DOUBLE_MODE=no-graph; fi;;\n'
        "esac; done\nexec ",
    )
    trtexec.write_text(script)


GATES = {
    "--min-speedup": "1e-9",
    "--max-error": "1",
    "--against": "old.json",
}


def test_what_was_not_captured_is_no_speed_up(run: Run, folder: Path, without_graph: None) -> None:
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--backend", "trtexec")
    given += ("--dim", "batch=4", *ONCE)
    result = run("compare", *given, "-o", "old.json", "--html", "page.html")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "UN unfolded ran without its CUDA graph, whose capture failed" in text
    assert "Warning of UN unfolded: The specified --useCudaGraph flag has been ignored." in text
    report = CompareReport.read(folder / "old.json")
    assert [(one.of, one.to) for one in report.ratios] == [("ln", "folded"), ("folded", "none")]
    assert {one.kind for one in report.timed if one.warnings} == {"unfolded"}
    page = (folder / "page.html").read_text()
    assert "Not comparable: UN unfolded ran without its CUDA graph" in page
    assert "flag has been ignored" in page
    for gate, value in GATES.items():
        missed = run("compare", *given, gate, value)
        assert missed.exit_code == 3, gate
        assert "trtexec in fp32" in missed.stderr


def test_doubts_stand_beside_the_ratio(
    run: Run, trtexec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTEXEC_DOUBLE_MODE", "doubts")
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=4")
    result = run("compare", *given, "--min-speedup", "1", "--json", *ONCE)
    assert result.exit_code == 1  # LN is missing; doubts alone refuse nothing
    timed = json.loads(result.stdout)["timed"]
    assert {tuple(one["doubts"]) for one in timed} == {("unstable", "bound by enqueue time")}
    text = " ".join(run("compare", *given, *ONCE).stdout.replace("│", " ").split())
    assert "unstable" in text and "bound by enqueue time" in text


def test_a_variant_that_does_not_build_is_named_and_its_log_is_kept(
    run: Run, folder: Path, trtexec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTEXEC_DOUBLE_MODE", "fail")
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=4")
    result = run("compare", *given, "--keep-logs", "kept", *ONCE)
    assert result.exit_code == 1
    assert "error: unfolded: trtexec failed" in result.stderr
    assert "No importer registered for op: Huh" in result.stderr
    assert "(its log is in kept)" in result.stderr
    log = folder / "kept" / "accuracy" / "unfolded" / "trtexec.log"
    assert "No importer registered" in log.read_text()
    monkeypatch.setenv("TRTEXEC_DOUBLE_MODE", "pass")
    assert run("compare", *given, "--keep-logs", "kept", "--force", *ONCE).exit_code == 0
