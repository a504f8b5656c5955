"""A disk that is full, or a folder that takes nothing: one line, and the target stays as it was."""

from __future__ import annotations

import errno
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
    name = "target.html" if writer == "report" else "target"
    arguments = [word.format(name) for word in WRITERS[writer]]
    place = folder / "repository" / "target" if writer == "triton" else folder / name
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


USERS = {
    "compare": ("compare", "--unfolded", "large.onnx", "--builds", "1", "--rounds", "2"),
    "verify": ("verify", "large.onnx", "other.onnx"),
    "build": ("build", "large.onnx", "-o", "target"),
    "profile": ("profile", "large.onnx", "--runs", "2"),
}


@pytest.mark.parametrize("user", USERS)
def test_a_full_place_for_temporary_files(folder: Path, run: Run, user: str) -> None:
    pytest.importorskip("onnxruntime")
    if user == "build":
        pytest.importorskip("tensorrt_rtx")
    text = "d = Neg(x) e = Neg(d) h = MatMul(e, w) y = MatMul(h, k)"
    model = build("float[B,6] x => float[B,5] y", text, w=(6, 400), k=(400, 5))
    save_model(model, "other.onnx")
    with full_disk(2000):
        result = run(*USERS[user])
    assert result.exit_code == 1 and not isinstance(result.exception, OSError)
    (line,) = result.stderr.splitlines()[-1:]
    assert line.startswith("error: ") and not Path("target").exists()


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/tmp/un-deploy-x/inputs.npz"),
            "cannot write /tmp/un-deploy-x/inputs.npz: No space left on device",
        ),
        (
            OSError("16384 requested and 9101 written"),
            "cannot write a temporary file: 16384 requested and 9101 written, so the disk may "
            "be full",
        ),
        (
            OSError("problem writing element 1024 to file"),
            "cannot write a temporary file: problem writing element 1024 to file, so the disk may "
            "be full",
        ),
        (
            FileNotFoundError(
                errno.ENOENT, "No usable temporary directory found in ['/tmp', '/work']"
            ),
            "there is no place for temporary files: No usable temporary directory found in "
            "['/tmp', '/work']",
        ),
    ],
)
def test_what_is_said_of_it(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, raised: OSError, said: str
) -> None:
    def inspect_file(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("un_deploy.pipeline.inspect_file.inspect_file", inspect_file)
    result = run("inspect", "large.onnx")
    assert (result.exit_code, result.stderr) == (
        1, f"error: {said}; set TMPDIR to a folder with more room\n",
    )  # fmt: skip


def test_another_error_of_the_system_is_not_taken_for_a_full_disk(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inspect_file(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("un_deploy.pipeline.inspect_file.inspect_file", inspect_file)
    with pytest.raises(OSError, match="Input/output"):
        run("inspect", "large.onnx")


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
