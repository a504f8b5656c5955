"""A target is written whole or stays as it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from un_deploy.errors import TargetError
from un_deploy.files import (
    atomic_write_bytes,
    atomic_write_text,
    check_directory_target,
    check_folder_inside,
    check_folder_to_fill,
    check_target,
    staged,
    staged_directory,
)


def _contents(directory: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in directory.iterdir()}


def test_a_new_file_is_written_and_nothing_else_is_left(tmp_path: Path):
    atomic_write_text(tmp_path / "report.json", "{}\n")
    atomic_write_bytes(tmp_path / "raw", b"\x00")
    assert _contents(tmp_path) == {"report.json": "{}\n", "raw": "\x00"}


def test_an_existing_file_needs_force(tmp_path: Path):
    target = tmp_path / "report.json"
    target.write_text("old")

    with pytest.raises(TargetError, match=r"report\.json exists already.*force=True"):
        atomic_write_text(target, "new")
    assert target.read_text() == "old"

    atomic_write_text(target, "new", force=True)
    assert _contents(tmp_path) == {"report.json": "new"}


def test_a_file_that_appears_while_the_body_runs_is_not_overwritten(tmp_path: Path):
    target = tmp_path / "a"
    with pytest.raises(TargetError, match="exists already"), staged(target) as (place,):
        place.write_text("ours")
        target.write_text("theirs")
    assert _contents(tmp_path) == {"a": "theirs"}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("folder", "folder is a directory: name a file in it"),
        ("missing/a", "missing does not exist: create it first"),
        ("file/a", "file does not exist: create it first"),
        ("link", "link is a link: name the file itself, or remove the link"),
        ("dangling", "dangling is a link"),
        ("pipe", "pipe is a device or a pipe, no file: choose another name"),
        ("x" * 300, "cannot write .*: File name too long"),
    ],
)
def test_a_place_that_cannot_be_written(tmp_path: Path, target: str, message: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TargetError, match=message):
        check_target(tmp_path / target, force=True)


def test_a_device_is_no_target():
    with pytest.raises(TargetError, match="null is a device or a pipe"):
        check_target("/dev/null", force=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_directory_without_permission(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(TargetError, match="is not writable"):
        atomic_write_text(tmp_path / "a", "")


def test_a_place_that_takes_no_files_even_from_root():
    place = Path("/proc/self/fdinfo")
    if not place.is_dir():
        pytest.skip("no /proc here")
    with pytest.raises(TargetError, match=r"cannot write|is not writable"):
        atomic_write_text(place / "a", "")


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
def test_an_interruption_leaves_the_old_files_and_no_new_one(tmp_path: Path, failure: type):
    (tmp_path / "m.onnx").write_text("old")
    with (
        pytest.raises(failure),
        staged(tmp_path / "m.onnx.data", tmp_path / "m.onnx", force=True) as (data, model),
    ):
        data.write_text("new weights")
        model.write_text("new")
        raise failure
    assert _contents(tmp_path) == {"m.onnx": "old"}


def test_a_full_disk_is_a_target_error(tmp_path: Path):
    with (
        pytest.raises(TargetError, match=r"cannot write .*m\.onnx: No space left"),
        staged(tmp_path / "m.onnx") as (place,),
    ):
        place.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert _contents(tmp_path) == {}


def test_old_files_are_back_where_a_rename_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data, model = tmp_path / "m.onnx.data", tmp_path / "m.onnx"
    for file in (data, model):
        file.write_text("old")
    rename = Path.replace

    def dies_before_the_model(self: Path, target: Path) -> Path:
        if target == model:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", dies_before_the_model)
    with pytest.raises(KeyboardInterrupt), staged(data, model, force=True) as places:
        for place in places:
            place.write_text("new")
    assert _contents(tmp_path) == {"m.onnx.data": "old", "m.onnx": "old"}


def test_new_files_have_the_permissions_of_any_new_file(tmp_path: Path):
    (tmp_path / "plain").write_text("")
    atomic_write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


class TestDirectory:
    def fill(self, target: Path, text: str, *, force: bool = False) -> None:
        with staged_directory(target, force=force) as place:
            (place / "1").mkdir()
            (place / "1" / "file").write_text(text)

    def files(self, directory: Path) -> dict[str, str]:
        found = (file for file in directory.rglob("*") if file.is_file())
        return {str(file.relative_to(directory)): file.read_text() for file in found}

    def test_a_new_one_and_one_that_needs_force(self, tmp_path: Path):
        self.fill(tmp_path / "net", "old")
        with pytest.raises(TargetError, match=r"net exists already.*force=True"):
            self.fill(tmp_path / "net", "new")
        assert self.files(tmp_path) == {"net/1/file": "old"}
        (tmp_path / "net" / "more").write_text("")
        self.fill(tmp_path / "net", "new", force=True)
        assert self.files(tmp_path) == {"net/1/file": "new"}
        assert [path.name for path in tmp_path.iterdir()] == ["net"]

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            ("file", "file is no directory: choose another name"),
            ("link", "link is a link: name the directory itself"),
            ("dangling", "dangling is a link"),
            ("missing/a", "missing does not exist: create it first"),
        ],
    )
    def test_a_place_that_cannot_be_written(self, tmp_path: Path, target: str, message: str):
        (tmp_path / "file").write_text("")
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("folder")
        (tmp_path / "dangling").symlink_to("nothing")
        with pytest.raises(TargetError, match=message):
            check_directory_target(tmp_path / target, force=True)

    @pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError])
    def test_an_interruption_leaves_the_old_one(self, tmp_path: Path, failure: type):
        self.fill(tmp_path / "net", "old")
        with pytest.raises(failure), staged_directory(tmp_path / "net", force=True) as place:
            (place / "half").write_text("new")
            raise failure
        assert self.files(tmp_path) == {"net/1/file": "old"}
        assert [path.name for path in tmp_path.iterdir()] == ["net"]

    def test_one_that_appears_meanwhile_is_not_replaced(self, tmp_path: Path):
        with (
            pytest.raises(TargetError, match="exists already"),
            staged_directory(tmp_path / "net") as place,
        ):
            (place / "ours").write_text("")
            (tmp_path / "net").mkdir()
            (tmp_path / "net" / "theirs").write_text("")
        assert self.files(tmp_path) == {"net/theirs": ""}

    @pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.EIO, "broken disk")])
    def test_the_old_one_comes_back_where_the_new_one_cannot_have_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
    ):
        self.fill(tmp_path / "net", "old")

        def fails(self: Path, target: Path) -> Path:
            raise failure

        monkeypatch.setattr(Path, "replace", fails)
        with pytest.raises((KeyboardInterrupt, TargetError)):
            self.fill(tmp_path / "net", "new", force=True)
        assert self.files(tmp_path) == {"net/1/file": "old"}
        assert [path.name for path in tmp_path.iterdir()] == ["net"]

    def test_a_full_disk_is_a_target_error(self, tmp_path: Path):
        with (
            pytest.raises(TargetError, match=r"cannot write .*net: No space left"),
            staged_directory(tmp_path / "net"),
        ):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert list(tmp_path.iterdir()) == []

    def test_its_permissions_are_those_of_any_new_one(self, tmp_path: Path):
        (tmp_path / "plain").mkdir()
        self.fill(tmp_path / "net", "")
        assert (tmp_path / "net").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_to_fill_is_new_or_forced(tmp_path: Path) -> None:
    check_folder_to_fill(tmp_path / "new")
    with pytest.raises(TargetError, match="exists already: choose another folder"):
        check_folder_to_fill(tmp_path)
    check_folder_to_fill(tmp_path, force=True)


def test_a_folder_inside_another_that_may_be_missing(tmp_path: Path) -> None:
    check_folder_inside(tmp_path / "new", "model")
    check_folder_inside(tmp_path, "model")
    (tmp_path / "model").mkdir()
    with pytest.raises(TargetError, match="model exists already"):
        check_folder_inside(tmp_path, "model")
    check_folder_inside(tmp_path, "model", force=True)
    with pytest.raises(TargetError, match=r"the directory .*/a does not exist"):
        check_folder_inside(tmp_path / "a" / "b", "model")
