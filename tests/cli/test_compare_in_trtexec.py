"""un-deploy compare in trtexec: engines and plans, what it warns of, what it fails with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import ONCE, QUICK
from tests.support.plans import plan_of
from un_deploy.graph.model.model_file import load_model
from un_deploy.measure.speed.compare_report import CompareReport

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("in_this_process", "stripped")


def test_trtexec_is_a_backend(run: Run, folder: Path, trtexec: Path) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--precision", "fp16")
    given += ("--dim", "batch=4", "--max-error", "0.01", "-o", "r.json", *ONCE)
    result = run("compare", *given)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "timed by trtexec 10.16.2 (transfers off, spin wait on, cuda graph on" in text
    assert "UN folded" in text
    report = CompareReport.read(folder / "r.json")
    # fp16 is not exact: what the engine computed was looked at.
    assert all(1e-7 < (one.error or 0) <= 0.01 for one in report.accuracy) and report.accuracy


def test_layers_of_trtexec_that_no_node_is_told_for_are_not_assigned(
    run: Run, trtexec: Path
) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--profile", "--dim", "batch=4")
    result = run("compare", *given, *ONCE)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    # The double's layers: five of the kind gemm, 0.08 to 0.4 ms, and one of which nothing is told.
    assert "matrix products, convolutions 1.2000 1.2000 1.2000" in text
    assert "Not assigned: never runs." in text


def test_without_trtexec_there_is_no_such_backend(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTEXEC", "/nowhere/trtexec")
    result = run("compare", "--unfolded", "model.onnx", "--backend", "trtexec", *ONCE)
    assert result.exit_code == 1
    assert "/nowhere/trtexec" in result.stderr


def test_plans_are_variants(run: Run, folder: Path, trtexec: Path) -> None:
    version = trtexec.read_text().replace("exec ", "TRTEXEC_DOUBLE_VERSION=101601 exec ")
    trtexec.write_text(version)
    for kind in ("model", "ln"):
        plan_of(folder / f"{kind}.plan", load_model(folder / f"{kind}.onnx"))
    given = ("--unfolded", "model.plan", "--ln", "ln.plan", "--dim", "batch=2")
    result = run("compare", *given, "--backend", "trtexec", "-o", "r.json", *ONCE)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "folded: not given, and not to be had from plans" in text
    assert "Note: UN unfolded is a plan built of model.onnx in fp32 by tensorrt 10.16.1.11" in text
    assert "Peak memory is not told: trtexec writes no memory into its files" in text
    sizes = {
        one["kind"]: one["plan_bytes"]
        for one in json.loads((folder / "r.json").read_text())["timed"]
    }
    assert sizes["ln"] == (folder / "ln.plan").stat().st_size
    refused = run("compare", *given, "--backend", "ort-cpu", *QUICK)
    assert refused.exit_code == 1
    assert "not on ort-cpu" in refused.stderr
    bounded = run("compare", *given, "--backend", "trtexec", "--max-error", "1", *ONCE)
    assert bounded.exit_code == 1
    assert "plans have no graph to be held against" in bounded.stderr


def test_a_plan_that_is_not_there(run: Run) -> None:
    result = run("compare", "--ln", "absent.plan", "--folded", "model.onnx", *QUICK)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: absent.plan does not exist: build it with un-deploy")


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


@pytest.mark.slow
@pytest.mark.parametrize("gate", GATES)
def test_what_was_not_captured_passes_no_gate(
    run: Run, folder: Path, without_graph: None, gate: str
) -> None:
    given = ("--unfolded", "model.onnx", "--ln", "ln.onnx", "--backend", "trtexec")
    given += ("--dim", "batch=4", *ONCE)
    if gate == "--against":
        assert run("compare", *given, "-o", "old.json").exit_code == 0
    missed = run("compare", *given, gate, GATES[gate])
    assert missed.exit_code == 3
    assert "trtexec in fp32" in missed.stderr


def test_the_products_whose_type_is_shown_are_counted_by_variant(
    run: Run, folder: Path, trtexec: Path
) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=4")
    result = run("compare", *given, "-o", "r.json", "--html", "page.html", *ONCE)
    assert result.exit_code == 0, result.stderr
    timed = json.loads((folder / "r.json").read_text())["timed"]
    shown = ["the type is shown for 1 of 1 products"]
    assert {one["kind"]: one["types"] for one in timed} == dict.fromkeys(
        ("unfolded", "folded", "none"), shown
    )
    text = " ".join(result.stdout.split())
    assert "The type is shown for 1 of 1 products: UN unfolded, UN folded, no norm." in text
    page = (folder / "page.html").read_text()
    assert "Types of the engines" in page and shown[0] in page


@pytest.mark.slow
def test_what_is_warned_of_while_layers_are_timed_is_told(
    run: Run, folder: Path, trtexec: Path
) -> None:
    script = trtexec.read_text().replace(
        "exec ",
        'for a in "$@"; do case "$a" in --exportProfile=*) '
        "export TRTEXEC_DOUBLE_MODE=doubts;; esac; done\nexec ",
    )
    trtexec.write_text(script)
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=4", "--profile")
    result = run("compare", *given, "-o", "r.json", *ONCE)
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "Warning of UN folded: GPU compute time is unstable, with coefficient of" in text
    report = CompareReport.read(folder / "r.json")
    assert all(len(one.warnings) == 2 for one in report.layers)
    assert not any(one.warnings or one.doubts for one in report.timed)


@pytest.mark.slow
def test_doubts_stand_beside_the_ratio(
    run: Run, trtexec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRTEXEC_DOUBLE_MODE", "doubts")
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=4")
    result = run("compare", *given, "--json", *ONCE)
    assert result.exit_code == 0  # doubts alone refuse nothing
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
