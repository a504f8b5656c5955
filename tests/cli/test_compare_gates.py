"""un-deploy compare as a gate: at least so fast, at most so far off, not worse than it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import QUICK
from tests.support.reports import report, restless
from un_deploy.runtime import in_double

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("in_this_process", "stripped")


@pytest.mark.parametrize(("least", "code"), [("1.05", 0), ("1.1", 3)])
def test_min_speedup(run: Run, monkeypatch: pytest.MonkeyPatch, least: str, code: int) -> None:
    """Of times that were made up, 1.08x: how steady this machine is must not matter here."""
    monkeypatch.setattr("un_deploy.pipeline.compare.compare.compare", lambda *_, **__: report())
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--min-speedup", least)
    result = run("compare", *given)
    assert result.exit_code == code
    assert result.stdout.startswith("UN folded is faster than LN: LN takes 1.080 times as long")
    assert ("1.1x is not reached" in result.stderr) == (code == 3)
    assert ("at least 1.05x as fast as LN, as asked." in result.stdout) == (code == 0)


def test_an_unsteady_machine_reaches_no_speed_up(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    unsteady = restless(report())
    monkeypatch.setattr("un_deploy.pipeline.compare.compare.compare", lambda *_, **__: unsteady)
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx")
    told = run("compare", *given)
    assert told.exit_code == 0  # nothing is judged
    assert told.stdout.splitlines()[0] == "Unsteady: no figure of this report is to be quoted."
    assert "lies from 0.970 to 1.020, not wholly inside 0.99 to 1.01" in " ".join(
        told.stdout.split()
    )
    assert "faster than LN" not in told.stdout
    missed = run("compare", *given, "--min-speedup", "1e-9")
    assert missed.exit_code == 3
    assert missed.stderr.startswith(
        "error: ort-cpu in the types of the graphs: unsteady, so no speed-up is judged: the A/A"
    )


def test_two_builds_of_four_rounds_print_no_interval_and_pass_no_gate(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = report(builds=2, rounds=4)
    monkeypatch.setattr("un_deploy.pipeline.compare.compare.compare", lambda *_, **__: few)
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--min-speedup", "1e-30")
    result = run("compare", *given)
    assert result.exit_code == 3
    needed = "2 builds are too few for an interval: it takes 3 builds or more (5 are the default)"
    text = " ".join(result.stdout.split())
    assert needed in text and needed in result.stderr and "unsteady" in result.stderr
    assert not re.search(r"\d\.\d{3} to \d", text)
    assert text.startswith("Unsteady: no figure of this report is to be quoted.")


def test_min_speedup_without_ln_is_refused(run: Run) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--min-speedup", "1", *QUICK)
    assert result.exit_code == 1
    assert "--min-speedup is of LN over UN folded, and no LN is compared" in result.stderr


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


def _change(path: Path, **interval: float) -> None:
    data = json.loads(path.read_text())
    for one in data["ratios"]:
        one["interval"] |= interval
    path.write_text(json.dumps(data))


def test_an_older_report_of_something_else(run: Run, folder: Path) -> None:
    given = ("compare", "--unfolded", "model.onnx", *QUICK)
    assert run(*given, "--dim", "batch=4", "-o", "old.json").exit_code == 0
    other = run(*given, "--dim", "batch=5", "--against", "old.json")
    assert other.exit_code == 1
    assert "the old report has inputs" in other.stderr
    (folder / "old.json").write_text("{}")
    assert run(*given, "--against", "old.json").exit_code == 1
