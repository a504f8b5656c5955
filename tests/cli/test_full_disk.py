"""A disk that is full, or a folder that takes nothing: one line, and the target stays as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import pytest

from tests.cli.conftest import Run
from tests.support.graphs import NORM, build
from tests.support.reports import report
from un_deploy.graph.model.model_file import save_model

resource = pytest.importorskip("resource")

LIMIT = 3000
"""Bytes beyond which no file grows: the disk is full in the middle of what is written."""


@contextmanager
def full_disk(limit: int = LIMIT) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(autouse=True)
def large(folder: Path) -> None:
    """Two models, one with weights beside it, and a report; each beyond the limit."""
    text = f"{NORM} h = MatMul(n, w) r = Relu(h) y = MatMul(r, k)"
    model = build("float[B,6] x => float[B,5] y", text, a=(6,), b=(6,), w=(6, 400), k=(400, 5))
    save_model(model, "large.onnx")
    onnx.save(
        onnx.load("large.onnx"), "beside.onnx", save_as_external_data=True, location="weights"
    )
    Path("report.json").write_text(report().to_json(), encoding="utf-8")


WRITERS = {
    "fold": ("fold", "large.onnx", "-o", "{}"),
    "fold, weights beside": ("fold", "beside.onnx", "-o", "{}"),
    "strip": ("strip", "large.onnx", "-o", "{}"),
    "report": ("report", "report.json", "-o", "{}"),
    "triton": (
        "triton",
        "large.onnx",
        "--repository",
        "repository",
        "--name",
        "{}",
        "--max-batch-size",
        "4",
    ),
}


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk(folder: Path, run: Run, writer: str, forced: bool) -> None:
    if writer == "report":
        pytest.importorskip("plotly")
    arguments = [word.format("target") for word in WRITERS[writer]]
    place = folder / "repository" / "target" if writer == "triton" else folder / "target"
    if forced and writer == "triton":
        place.mkdir(parents=True)
        (place / "config.pbtxt").write_text("old")
    elif forced:
        place.write_text("old")
    before = contents(folder)
    with full_disk():
        result = run(*arguments, *(["--force"] if forced else []))
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: cannot write ") and "target" in line
    assert "File too large" in line or "the disk may be full" in line
    assert contents(folder) == before


def test_a_full_disk_when_a_profile_is_written(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was measured is lost, but not what was measured before."""
    (folder / "times.json").write_text("old")
    few = ("--runs", "2", "--warm-up", "0", "--force")
    written = "un_deploy.pipeline.profile.ProfileReport.trtexec_times"
    monkeypatch.setattr(written, lambda _: "x" * 2_000_000)
    with full_disk(1_000_000):  # ONNX Runtime's own files are smaller
        result = run("profile", "model.onnx", "--exportTimes", "times.json", *few)
    assert (result.exit_code, result.stderr) == (
        1, "error: cannot write times.json: File too large\n",
    )  # fmt: skip
    assert (folder / "times.json").read_text() == "old"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_that_may_not_be_written(folder: Path, run: Run, writer: str) -> None:
    folder.chmod(0o500)
    try:
        result = run(*(word.format("target") for word in WRITERS[writer]))
    finally:
        folder.chmod(0o700)
    assert result.exit_code == 1 and "is not writable" in result.stderr


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("target", ["/dev/null", "pipe", "link"])
def test_a_device_a_pipe_and_a_link_stay_even_with_force(
    folder: Path, run: Run, writer: str, target: str
) -> None:
    if writer == "triton":
        pytest.skip("a name in a repository, which is a folder")
    os.mkfifo(folder / "pipe")
    (folder / "kept").write_text("kept")
    (folder / "link").symlink_to("kept")
    before = contents(folder)
    result = run(*(word.format(target) for word in WRITERS[writer]), "--force")
    assert result.exit_code == 1
    expected = "is a link: name the file itself" if target == "link" else "is a device or a pipe"
    assert f"error: {target} {expected}" in result.stderr
    assert contents(folder) == before
    assert Path("/dev/null").is_char_device() and (folder / "pipe").is_fifo()


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
