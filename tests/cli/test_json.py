"""--json of every command: one JSON document on standard output, samples only where asked for."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Run
from tests.support.comparing import QUICK
from tests.support.reports import report
from un_deploy.cli import COMMANDS, main
from un_deploy.pipeline.demo import DemoReport
from un_deploy.pipeline.fold_file import fold_file

TIMING = ("compare", "trtexec-compare", "profile", "demo")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_it(command: str) -> None:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    names = {name for param in found.params for name in param.opts}
    assert "--json" in names
    assert ("--json-samples" in names) == (command in TIMING)


@pytest.mark.usefixtures("in_this_process")
def test_a_comparison(run: Run, folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    line = ("compare", "--unfolded", "model.onnx", *QUICK)
    short, long = (json.loads(run(*line, one).stdout) for one in ("--json", "--json-samples"))
    assert all("seconds" not in one for one in short["timed"])
    assert all("median_s" in one for one in short["timed"])
    assert all(len(one["seconds"]) >= 1 for one in long["timed"])


def test_a_profile(run: Run) -> None:
    pytest.importorskip("onnxruntime")
    line = ("profile", "model.onnx", "--runs", "3")
    short, long = (json.loads(run(*line, one).stdout) for one in ("--json", "--json-samples"))
    assert "run_s" not in short and "seconds" not in short["layers"][0]
    assert short["runs"] == 3 and short["median_run_s"] > 0 and short["layers"][0]["median_s"] >= 0
    assert len(long["run_s"]) == len(long["layers"][0]["seconds"]) == 3


def test_a_demo(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fold = fold_file("model.onnx", "folded.onnx")
    made = DemoReport((), 0, 0.0, 0, fold, report(), "demo-out/report.json", 1.0)
    module = import_module("un_deploy.pipeline.demo")
    monkeypatch.setattr(module, "demo", lambda *_, **__: made)
    short, long = (json.loads(run("demo", one).stdout) for one in ("--json", "--json-samples"))
    assert "seconds" not in short["comparison"]["timed"][0]
    assert long == made.to_dict()


def test_a_page(run: Run, folder: Path) -> None:
    pytest.importorskip("plotly")
    (folder / "old.json").write_text(report().to_json())
    told = json.loads(run("report", "old.json", "-o", "page.html", "--json").stdout)
    assert told == json.loads(report().to_json(samples=False)) and Path("page.html").is_file()
    both = json.loads(run("report", "old.json", "old.json", "--json").stdout)
    assert both == [told, told]


def test_a_report_without_samples_makes_no_page(run: Run, folder: Path) -> None:
    pytest.importorskip("plotly")
    (folder / "old.json").write_text(report().to_json(samples=False))
    result = run("report", "old.json", "-o", "page.html")
    assert result.exit_code == 1
    assert "old.json has no samples: take the report that compare -o wrote" in result.stderr


@pytest.mark.usefixtures("trtexec")
def test_which(run: Run) -> None:
    told = json.loads(run("trtexec-compare", "--which", "--json").stdout)
    assert told["backend"] == "trtexec" and told["title"].startswith("trtexec")
