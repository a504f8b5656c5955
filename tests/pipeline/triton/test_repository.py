"""What is in a repository is replaced only when that is asked for, and then whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.pipeline.triton.entry import files, read
from tests.pipeline.triton.small_models import image_model
from un_deploy.errors import InputError, TargetError
from un_deploy.pipeline.triton.config import Serving
from un_deploy.pipeline.triton.repository import write_triton

SERVING = Serving(max_batch_size=8)


def write(source: Path, repository: Path, **settings: Any) -> Any:
    return write_triton(source, repository, serving=SERVING, **settings)


def test_an_existing_model_needs_force(image: Path, repository: Path) -> None:
    write(image, repository)
    (repository / "image" / "config.pbtxt").write_text("mine")
    with pytest.raises(TargetError, match=r"image exists already.*force=True"):
        write(image, repository)
    assert (repository / "image" / "config.pbtxt").read_text() == "mine"
    write(image, repository, force=True)
    assert read(repository / "image").max_batch_size == 8


def test_other_versions_stay(image: Path, repository: Path) -> None:
    write(image, repository)
    (repository / "image" / "labels.txt").write_text("cat")
    (repository / "image" / "1" / "left.over").write_text("")
    assert write(image, repository, version=2, force=True).notes == ()
    assert files(repository / "image") == [
        "1/left.over",
        "1/model.onnx",
        "2/model.onnx",
        "config.pbtxt",
        "labels.txt",
    ]
    report = write(image, repository, force=True)
    assert "version 2 is there too" in report.notes[0]
    assert files(repository / "image") == [
        "1/model.onnx",
        "2/model.onnx",
        "config.pbtxt",
        "labels.txt",
    ]
    assert (repository / "image" / "labels.txt").read_text() == "cat"


def test_a_failure_leaves_the_old_one(
    image: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(image, repository)
    before = {name: (repository / name).read_bytes() for name in files(repository)}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(TargetError, match=r"cannot write .*image: No space left"):
        write(image, repository, force=True)
    assert {name: (repository / name).read_bytes() for name in files(repository)} == before


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", ".hidden", "-x", "a b", "ä", "a\n", "../up"]
)
def test_names(name: str, image: Path, repository: Path) -> None:
    with pytest.raises(InputError, match="is no name for a model in Triton"):
        write(image, repository, name=name)
    assert not repository.exists()


def test_a_version_that_triton_ignores(image: Path, repository: Path) -> None:
    with pytest.raises(InputError, match="versions begin at 1"):
        write(image, repository, version=0)


def test_a_file_or_a_link_of_that_name(image: Path, repository: Path) -> None:
    repository.mkdir()
    (repository / "image").write_text("")
    (repository / "link").symlink_to(image.parent)
    with pytest.raises(TargetError, match="image is no directory"):
        write(image, repository, force=True)
    with pytest.raises(TargetError, match="link is a link"):
        write(image, repository, name="link", force=True)


def test_weights_called_like_the_model(tmp_path: Path, repository: Path) -> None:
    onnx.save(
        onnx.load(image_model(tmp_path / "inline.onnx")),
        tmp_path / "image.onnx",
        save_as_external_data=True,
        location="model.onnx",
        size_threshold=0,
    )
    with pytest.raises(InputError, match=r"weights in a file called model\.onnx"):
        write(tmp_path / "image.onnx", repository)
    assert not repository.exists()


def test_a_repository_in_a_folder_that_is_not_there(image: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="nowhere does not exist"):
        write(image, tmp_path / "nowhere" / "repository")


def test_the_same_model_gives_the_same_bytes(image: Path, repository: Path) -> None:
    write(image, repository)
    first = (repository / "image" / "config.pbtxt").read_bytes()
    write(image, repository, force=True)
    assert (repository / "image" / "config.pbtxt").read_bytes() == first
