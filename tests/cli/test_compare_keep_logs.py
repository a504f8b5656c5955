"""un-deploy compare --keep-logs: the files of trtexec that are kept, and what is never replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.comparing import QUICK
from un_deploy.runtime.trtexec.profile_file import parse_profile
from un_deploy.runtime.trtexec.times_file import parse_times

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("in_this_process", "stripped")


def test_trtexecs_own_files_are_kept(run: Run, folder: Path, trtexec: Path) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=2")
    few = ("--builds", "2", "--rounds", "2", "--sample-ms", "0.1")
    result = run("compare", *given, *few, "--keep-logs", "logs")
    assert result.exit_code == 0, result.stderr
    kept = {str(path.relative_to(folder / "logs")) for path in (folder / "logs").rglob("*.*")}
    files = ("build.log", "trtexec.log", "times.json", "profile.json", "layers.json", "result.json")
    variants = ("unfolded", "folded", "none", "folded_again")
    assert kept == {f"build_{n}/{v}/{f}" for n in (1, 2) for v in variants for f in files}
    one = folder / "logs" / "build_2" / "folded"
    assert len(parse_times((one / "times.json").read_text()).inferences) == 10
    assert parse_profile((one / "profile.json").read_text()).iterations == 40
    assert "--saveEngine" in (one / "build.log").read_text()
    assert json.loads((one / "result.json").read_text())["status"] == "passed"
    again = run("compare", *given, *few, "--keep-logs", "logs")
    assert again.exit_code == 1
    assert "logs exists already" in again.stderr


def test_other_backends_have_no_logs_to_keep(run: Run, folder: Path) -> None:
    result = run("compare", "--unfolded", "model.onnx", "--keep-logs", "logs", *QUICK)
    assert result.exit_code == 1
    assert "trtexec alone has logs to keep, and ort-cpu was to run" in result.stderr
    assert not (folder / "logs").exists()


@pytest.mark.parametrize("option", ["-o", "--html"])
def test_logs_have_a_name_of_their_own(run: Run, folder: Path, option: str) -> None:
    given = ("--unfolded", "model.onnx", "--backend", "trtexec")
    result = run("compare", *given, "--keep-logs", "it", option, "it", *QUICK)
    assert result.exit_code == 2
    assert f"{option} and --keep-logs name the same file" in result.stderr


def test_a_folder_that_holds_other_things_is_never_replaced_by_logs(
    run: Run, folder: Path, trtexec: Path
) -> None:
    given = ("compare", "--unfolded", "model.onnx", "--backend", "trtexec", "--dim", "batch=2")
    few = ("--builds", "1", "--rounds", "2", "--sample-ms", "0.1", "--keep-logs", "logs", "--force")
    (folder / "logs" / "build_7").mkdir(parents=True)
    (folder / "logs" / "accuracy" / "unfolded").mkdir(parents=True)  # of a build that failed
    (folder / "logs" / "thesis.tex").write_text("years")
    refused = run(*given, *few)
    assert refused.exit_code == 1
    assert "logs holds thesis.tex, which is no log of a comparison" in refused.stderr
    assert (folder / "logs" / "thesis.tex").read_text() == "years"
    (folder / "logs" / "thesis.tex").unlink()
    assert run(*given, *few).exit_code == 0
    assert [path.name for path in (folder / "logs").iterdir()] == ["build_1"]
