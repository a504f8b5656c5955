"""un-deploy report, and compare --html: the page they write, and what they refuse when."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.reports import report

pytest.importorskip("plotly")

QUICK = ("--builds", "2", "--rounds", "2", "--sample-ms", "0.1", "--threads", "1")


def measured(*_: object, **__: object) -> None:
    """Stands for a comparison that must not have begun."""
    raise AssertionError("measured first")


@pytest.fixture(autouse=True)
def kept(folder: Path) -> Path:
    """A report as compare -o leaves it."""
    path = folder / "old.json"
    path.write_text(report().to_json(), encoding="utf-8")
    return path


def test_a_kept_report_becomes_a_page(run: Run, folder: Path) -> None:
    result = run("report", "old.json", "-o", "page.html")
    assert result.exit_code == 0 and result.stdout == "Wrote page.html.\n"
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>")
    assert "UN folded is faster than LN" in page


def test_an_existing_page_needs_force(run: Run, folder: Path) -> None:
    (folder / "page.html").write_text("mine")
    refused = run("report", "old.json", "-o", "page.html")
    assert refused.exit_code == 1 and "--force" in refused.stderr
    assert (folder / "page.html").read_text() == "mine"
    assert run("report", "old.json", "-o", "page.html", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "old.json is a report of version 1"),
        ({"ratios": None}, "old.json is no report of a comparison"),
        ({"timed": [{"kind": "ln"}]}, "old.json is no report of a comparison"),
        ({"inputs": {"x": ["a"]}, "environment": 3}, "old.json is no report of a comparison"),
        ({"timed": [], "ratios": []}, "old.json is damaged"),
    ],
)
def test_what_is_no_report_is_refused(
    run: Run, folder: Path, kept: Path, change: dict, message: str
) -> None:
    kept.write_text(json.dumps({**json.loads(kept.read_text()), **change}))
    result = run("report", "old.json", "-o", "page.html")
    assert result.exit_code == 1 and message in result.stderr
    assert not (folder / "page.html").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1]", "no report"),
        (b"{", "no report"),
        (b"\xff\xfe", "cannot be read"),
        (None, "old.json does not exist: check the name"),
    ],
)
def test_what_cannot_be_read_is_refused(
    run: Run, kept: Path, content: bytes | None, message: str
) -> None:
    kept.unlink()
    if content is not None:
        kept.write_bytes(content)
    result = run("report", "old.json", "-o", "page.html")
    assert result.exit_code == 1 and message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_kind_that_does_not_exist_is_refused(run: Run, kept: Path) -> None:
    given = json.loads(kept.read_text())
    given["timed"][0]["kind"] = "gn"
    kept.write_text(json.dumps(given))
    result = run("report", "old.json", "-o", "page.html")
    assert result.exit_code == 1 and "'gn' is none of ln, unfolded" in result.stderr


def test_without_the_extra_the_command_that_installs_it_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setattr("un_deploy.pipeline.compare.compare.compare", measured)
    for arguments in (
        ("report", "old.json", "-o", "page.html"),
        ("compare", "--unfolded", "model.onnx", "--html", "page.html"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1 and 'pip install "un-deploy[report]"' in result.stderr


def test_compare_writes_the_page_of_its_report(run: Run, folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    files = ("-o", "new.json", "--html", "page.html")
    assert run("compare", "--unfolded", "model.onnx", *QUICK, *files).exit_code == 0
    assert run("report", "new.json", "-o", "again.html").exit_code == 0
    assert (folder / "page.html").read_bytes() == (folder / "again.html").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--html", "old.json"), 1, "old.json exists already"),
        (("--html", "nowhere/page.html"), 1, "nowhere does not exist"),
        (("--html", "page.html", "-o", "page.html"), 2, "name the same file"),
    ],
)
def test_compare_refuses_the_page_before_it_measures(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.setattr("un_deploy.pipeline.compare.compare.compare", measured)
    result = run("compare", "--unfolded", "model.onnx", *arguments)
    assert result.exit_code == code and message in result.stderr
