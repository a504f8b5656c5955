"""un-deploy compare as a gate: at least so fast, at most so far off, not worse than it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import QUICK
from un_deploy.runtime import in_double

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("in_this_process", "stripped")


@pytest.mark.parametrize(("least", "code"), [("1e-30", 0), ("1e30", 3)])
def test_min_speedup(run: Run, least: str, code: int) -> None:
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--min-speedup", least)
    result = run("compare", *given, *QUICK)
    assert result.exit_code == code
    assert "UN folded" in result.stdout  # the report comes in either case
    assert ("1e+30x is not reached" in result.stderr) == (code == 3)


def test_min_speedup_without_ln_is_refused(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--min-speedup", "1", *QUICK)
    assert result.exit_code == 1
    assert "LN over UN folded was not measured" in result.stderr


def test_accuracy_comes_first_and_can_be_a_threshold(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--max-error", "1e-5", *QUICK)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert text.index("Largest error against float64") < text.index("median ms")
    missed = run("compare", "--unfolded", "model.onnx", "--max-error", "0", *QUICK)
    assert missed.exit_code == 3
    assert "is off by" in missed.stderr


def test_an_error_that_nobody_can_judge_misses_every_threshold(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_double, "installed_runtimes", list)
    result = run("compare", "--unfolded", "model.onnx", "--max-error", "1", *QUICK)
    assert result.exit_code == 3
    shown = " ".join(result.stdout.split())
    assert "Errors are not judged of UN unfolded, UN folded: no runtime computes" in shown
    assert "the error of UN unfolded was not judged" in result.stderr


def test_against_an_older_report(run: Run, folder: Path) -> None:
    given = ("compare", "--unfolded", "model.onnx", "--dim", "batch=4", *QUICK)
    assert run(*given, "-o", "old.json").exit_code == 0
    _change(folder / "old.json", ratio=1.0, low=1e-30, high=1e30)  # nothing is worse than this
    assert run(*given, "--against", "old.json").exit_code == 0
    _change(folder / "old.json", ratio=1e31, low=1e30, high=1e32)  # as if folding had gained that
    worse = run(*given, "--against", "old.json")
    assert worse.exit_code == 3
    assert "error: ort-cpu in the types of the graphs: UN unfolded over UN " in worse.stderr


def _change(report: Path, **interval: float) -> None:
    data = json.loads(report.read_text())
    for one in data["ratios"]:
        one["interval"] |= interval
    report.write_text(json.dumps(data))


def test_an_older_report_of_something_else(run: Run, folder: Path) -> None:
    given = ("compare", "--unfolded", "model.onnx", *QUICK)
    assert run(*given, "--dim", "batch=4", "-o", "old.json").exit_code == 0
    other = run(*given, "--dim", "batch=5", "--against", "old.json")
    assert other.exit_code == 1
    assert "the old report has inputs" in other.stderr
    (folder / "old.json").write_text("{}")
    assert run(*given, "--against", "old.json").exit_code == 1
