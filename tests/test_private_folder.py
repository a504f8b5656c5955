"""What a run that was killed left beside its target goes with the next; what lives stays."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from un_deploy.errors import TargetError
from un_deploy.files import atomic_write_text, check_target, staged, staged_directory
from un_deploy.private_folder import PREFIX, private_folder

CONTEXT = multiprocessing.get_context("fork")


def killed(act: Callable[[], None]) -> None:
    """Do this in a process that is killed at its end, or earlier where it says so."""

    def run() -> None:
        act()
        os.kill(os.getpid(), signal.SIGKILL)

    process = CONTEXT.Process(target=run)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def contents(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_text() for file in files}


def killed_while_writing(folder: Path) -> None:
    def write() -> None:
        with staged(folder / "a") as (place,):
            place.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    killed(write)


def killed_at_rename(number: int, write: Callable[[], None]) -> None:
    """Killed before the rename of this number onto a target."""
    replace, left = Path.replace, iter(range(number))

    def dies(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    def run() -> None:
        Path.replace = dies  # type: ignore[method-assign, assignment]  # in a process that dies
        write()

    killed(run)


def write_two(folder: Path, text: str) -> None:
    with staged(folder / "m.data", folder / "m", force=True) as places:
        for place in places:
            place.write_text(text)


def write_folder(folder: Path, text: str) -> None:
    with staged_directory(folder / "net", force=True) as place:
        (place / "file").write_text(text)


@pytest.mark.parametrize(
    "next_run",
    [
        lambda folder: atomic_write_text(folder / "a", "new"),
        lambda folder: atomic_write_text(folder / "another", "new"),
        lambda folder: check_target(folder / "a"),
        lambda folder: write_folder(folder, "new"),
    ],
)
def test_the_next_run_leaves_nothing_of_a_killed_one(
    tmp_path: Path, next_run: Callable[[Path], None]
):
    killed_while_writing(tmp_path)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(PREFIX)
    next_run(tmp_path)
    assert "half" not in contents(tmp_path).values()
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_it_goes_too_where_the_next_run_is_refused(tmp_path: Path):
    killed_while_writing(tmp_path)
    (tmp_path / "a").write_text("old")
    with pytest.raises(TargetError, match="exists already"):
        check_target(tmp_path / "a")
    assert contents(tmp_path) == {"a": "old"}


def test_what_a_live_run_writes_stays(tmp_path: Path):
    with staged(tmp_path / "a") as (place,):
        place.write_text("ours")
        killed(lambda: atomic_write_text(tmp_path / "b", "theirs"))
    assert contents(tmp_path) == {"a": "ours", "b": "theirs"}


def test_a_file_a_link_and_a_folder_of_others_stay(tmp_path: Path):
    (tmp_path / f"{PREFIX}file").write_text("a file")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("behind a link")
    (tmp_path / f"{PREFIX}link").symlink_to("folder")
    atomic_write_text(tmp_path / "a", "new")
    assert contents(tmp_path / "folder") == {"kept": "behind a link"}
    assert (tmp_path / f"{PREFIX}file").exists()


@pytest.mark.parametrize("renames", [0, 1])
def test_killed_between_two_renames_a_pair_is_finished_by_the_next_run(
    tmp_path: Path, renames: int
):
    write_two(tmp_path, "old")
    killed_at_rename(renames, lambda: write_two(tmp_path, "new"))
    assert not (tmp_path / "m").exists()  # missing, never mixed
    atomic_write_text(tmp_path / "another", "")
    assert contents(tmp_path) == {"m": "new", "m.data": "new", "another": ""}


def test_killed_between_two_renames_a_folder_is_finished_by_the_next_run(tmp_path: Path):
    write_folder(tmp_path, "old")
    killed_at_rename(0, lambda: write_folder(tmp_path, "new"))
    assert not (tmp_path / "net").exists()
    atomic_write_text(tmp_path / "another", "")
    assert contents(tmp_path) == {"net/file": "new", "another": ""}


def test_what_took_the_name_since_is_not_replaced(tmp_path: Path):
    write_two(tmp_path, "old")
    killed_at_rename(0, lambda: write_two(tmp_path, "new"))
    (tmp_path / "m").write_text("the user's")
    atomic_write_text(tmp_path / "another", "")
    assert contents(tmp_path) == {"m": "the user's", "another": ""}


def test_killed_before_the_rename_of_a_single_file_the_old_one_is_there(tmp_path: Path):
    atomic_write_text(tmp_path / "a", "old")
    killed_at_rename(0, lambda: atomic_write_text(tmp_path / "a", "new", force=True))
    assert (tmp_path / "a").read_text() == "old"
    atomic_write_text(tmp_path / "another", "")
    assert contents(tmp_path) == {"a": "old", "another": ""}


@pytest.mark.parametrize("force", [False, True])
def test_of_two_runs_at_the_same_time_one_wins_whole(tmp_path: Path, force: bool):
    """Each writes a pair; both are let go at the same moment."""
    barrier = CONTEXT.Barrier(2)

    def write(text: str) -> None:
        try:
            with staged(tmp_path / "m.data", tmp_path / "m", force=force) as places:
                for place in places:
                    place.write_text(text)
                barrier.wait()
        except TargetError:
            os._exit(1)

    runs = [CONTEXT.Process(target=write, args=(text,)) for text in ("one", "other")]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    held = contents(tmp_path)
    assert held.keys() == {"m", "m.data"}
    assert held["m"] == held["m.data"]
    codes = [run.exitcode for run in runs]
    assert sorted(codes) == ([0, 0] if force else [0, 1])
    if not force:
        assert held["m"] == ("one", "other")[codes.index(0)]


INTERRUPTED = """
import os, signal, sys
from pathlib import Path
from un_deploy.files import staged

replace = Path.replace

def hit(self, target):
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    return replace(self, target)

Path.replace = hit
with staged(Path("m.data"), Path("m"), force=True) as places:
    for place in places:
        place.write_text("new")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_between_two_renames_waits_for_the_second(tmp_path: Path, name: str):
    write_two(tmp_path, "old")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
    )
    assert done.returncode == -getattr(signal, name)
    atomic_write_text(tmp_path / "another", "")
    assert contents(tmp_path) == {"m": "new", "m.data": "new", "another": ""}


def test_a_signal_while_the_folder_is_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make = tempfile.mkdtemp

    def made(**asked: str) -> str:
        place = make(**asked)
        signal.raise_signal(signal.SIGINT)
        return place

    monkeypatch.setattr("un_deploy.private_folder.tempfile.mkdtemp", made)
    with pytest.raises(KeyboardInterrupt), private_folder(tmp_path):
        raise AssertionError("the block is not entered")
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_locks_do_not_work_is_written_and_nothing_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    killed_while_writing(tmp_path)
    fcntl = pytest.importorskip("fcntl")

    def no_locks(*_: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    atomic_write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 1


def test_a_folder_that_was_taken_for_a_dead_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another run looks in the moment between making the folder and locking it."""
    fcntl = pytest.importorskip("fcntl")
    lock, calls = fcntl.flock, iter(range(10))

    def late(number: int, how: int) -> None:
        if next(calls) == 1:  # the first call locks the folder around, to clear
            for place in tmp_path.glob(f"{PREFIX}*"):
                place.rmdir()
        lock(number, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with private_folder(tmp_path) as place:
        (place / "a").write_text("")
    assert list(tmp_path.iterdir()) == []
