"""un-deploy report, and compare --html: the page they write, and what they refuse when."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.reports import dated, report, restless
from un_deploy.measure.speed.variant import TITLES, StayingNorm

pytest.importorskip("plotly")

COMMITTED = sorted((Path(__file__).parents[2] / "benchmarks/results/compare").glob("*.json"))
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


@pytest.mark.parametrize("option", ["-o", "--html"])  # the second as compare has it
def test_a_kept_report_becomes_a_page(option: str, run: Run, folder: Path) -> None:
    result = run("report", "old.json", option, "page.html")
    assert result.exit_code == 0 and result.stdout == "Wrote page.html\n"
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>")
    assert "UN folded is faster than LN" in page


def test_an_existing_page_needs_force(run: Run, folder: Path) -> None:
    (folder / "page.html").write_text("mine")
    refused = run("report", "old.json", "-o", "page.html")
    assert refused.exit_code == 1 and "--force" in refused.stderr
    assert (folder / "page.html").read_text() == "mine"
    assert run("report", "old.json", "-o", "page.html", "--force").exit_code == 0


def test_without_a_target_it_is_shown_as_compare_shows_it(run: Run) -> None:
    result = run("report", "old.json")
    assert result.exit_code == 0
    assert result.stdout.startswith("UN folded is faster than LN: LN takes 1.080 times as long")
    assert "A/A control" in result.stdout


def test_norms_that_stay_are_told_behind_the_variants(run: Run, folder: Path) -> None:
    norm = StayingNorm("LayerNormalization", "blocks.3.norm1")
    staying = dict.fromkeys(TITLES, (norm,))
    half = replace(report(), staying=staying)
    (folder / "half.json").write_text(half.to_json(), encoding="utf-8")
    told = " ".join(run("report", "half.json").stdout.split())
    said = "1 LayerNormalization stays in every variant, UN folded and no norm too: blocks.3.norm1."
    assert told.index("variant median ms") < told.index(said) < told.index("time of")
    assert said in str(half)


@pytest.mark.parametrize(("least", "code"), [("1.05", 0), ("1.1", 3)])
def test_a_kept_report_is_judged_by_the_same_gates(run: Run, least: str, code: int) -> None:
    result = run("report", "old.json", "--min-speedup", least, "--max-error", "1e-5")
    assert result.exit_code == code
    assert ("1.1x is not reached" in result.stderr) == (code == 3)
    off = run("report", "old.json", "--max-error", "1e-9")
    assert off.exit_code == 3 and "is off by" in off.stderr


def test_an_unsteady_report_reaches_no_speed_up_and_is_written_all_the_same(
    run: Run, folder: Path, kept: Path
) -> None:
    kept.write_text(restless(report()).to_json(), encoding="utf-8")
    result = run("report", "old.json", "--min-speedup", "1e-9", "-o", "page.html")
    assert result.exit_code == 3
    assert "unsteady, so no speed-up is judged: the A/A control" in result.stderr
    assert "<h1" in (folder / "page.html").read_text(encoding="utf-8")
    assert json.loads(kept.read_text())["unsteady"][0].startswith("the A/A control")


def test_a_kept_report_is_held_against_an_older_one(run: Run, folder: Path) -> None:
    slower = report(medians={"ln": 1.02, "unfolded": 1.05, "folded": 1.0, "none": 1.0})
    (folder / "new.json").write_text(slower.to_json(), encoding="utf-8")
    assert run("report", "old.json", "--against", "old.json").exit_code == 0
    assert run("report", "old.json", "--against", "new.json").exit_code == 0
    worse = run("report", "new.json", "--against", "old.json")
    assert worse.exit_code == 3 and "LN over UN folded was 1.080" in worse.stderr


@pytest.mark.parametrize(
    ("target", "begins"),
    [
        ("r.md", "# UN folded is faster"),
        ("r.csv", "report,date,un_deploy,"),
        ("R.HTML", "<!DOCTYPE html>"),
    ],
)
def test_it_is_written_as_its_name_says(run: Run, folder: Path, target: str, begins: str) -> None:
    assert run("report", "old.json", "-o", target).exit_code == 0
    assert (folder / target).read_text(encoding="utf-8").startswith(begins)


@pytest.mark.parametrize(
    ("target", "ending"), [("r.txt", ".txt"), ("r", "none"), ("r.json", ".json")]
)
def test_an_ending_that_names_no_form_is_refused(
    run: Run, folder: Path, target: str, ending: str
) -> None:
    refused = run("report", "old.json", "-o", target)
    assert refused.exit_code == 1 and not (folder / target).exists()
    assert "is .html (a page), .md (Markdown) or .csv (a table)" in refused.stderr
    assert refused.stderr.rstrip().endswith(f"not {ending}")


@pytest.mark.parametrize(
    ("option", "target", "told"),
    [
        (
            "-o",
            "r.html",
            "--output keeps the report as JSON, of which un-deploy report writes .html",
        ),
        ("--html", "r.md", "a page, whose name ends in .html; un-deploy report writes Markdown"),
    ],
)
def test_compare_writes_each_form_under_its_own_ending(
    run: Run, monkeypatch: pytest.MonkeyPatch, option: str, target: str, told: str
) -> None:
    monkeypatch.setattr("un_deploy.pipeline.compare.compare.compare", measured)
    refused = run("compare", "--ln", "old.json", option, target)
    assert refused.exit_code == 1 and told in refused.stderr


def test_several_become_one_over_time_and_the_last_is_judged(run: Run, folder: Path) -> None:
    may = dated(restless(report()), "2026-05-02T00:00:00+00:00")
    (folder / "may.json").write_text(may.to_json(), encoding="utf-8")
    result = run("report", "old.json", "may.json", "-o", "all.html", "--min-speedup", "1")
    assert result.exit_code == 3 and "unsteady" in result.stderr
    assert "2 reports; 1 of them unsteady." in (folder / "all.html").read_text(encoding="utf-8")
    assert run("report", "may.json", "old.json", "-o", "all.csv").exit_code == 0
    lines = (folder / "all.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines[1::5]] == ["may.json", "old.json"]
    both = run("report", "may.json", "old.json")
    assert [line for line in both.stdout.splitlines() if line.endswith(".json:")] == [
        "may.json:", "old.json:"
    ]  # fmt: skip


def test_no_report_that_is_read_is_written_over(run: Run, folder: Path, kept: Path) -> None:
    (folder / "b.json").write_bytes(kept.read_bytes())
    refused = run("report", "old.json", "b.json", "-o", "b.json", "--force")
    assert refused.exit_code == 1 and "would write over b.json" in refused.stderr


def test_csv_needs_no_extra(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("plotly", "jinja2"):
        monkeypatch.setitem(sys.modules, package, None)
    assert run("report", "old.json", "-o", "r.csv").exit_code == 0
    assert run("report", "old.json", "--min-speedup", "1").exit_code == 0


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_reports_of_an_older_form_are_read(run: Run, folder: Path, path: Path) -> None:
    assert run("report", str(path), "-o", "page.html").exit_code == 0
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "this report is of before the SHA-256 of models was kept" in page
    assert run("report", str(path), "--min-speedup", "1").exit_code == 0  # they are steady


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
