"""Where a weights file may lie, and that it stays as it was when the model was loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.support.graphs import NORM, build
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.model.model_kinds import to_ir
from un_deploy.pipeline.fold_file import fold_file
from un_deploy.pipeline.strip_file import strip_file


def saved(path: Path, weights: str = "weights") -> Path:
    """A norm, two matrices of which the second stays as it is, and all of them in a file beside."""
    text = f"{NORM} h = MatMul(n, w) r = Relu(h) y = MatMul(r, k)"
    model = build("float[B,6] x => float[B,5] y", text, a=(6,), b=(6,), w=(6, 40), k=(40, 5))
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / weights).parent.mkdir(exist_ok=True)
    proto = ir.to_proto(model)
    onnx.save(proto, path, save_as_external_data=True, location=weights, size_threshold=0)
    return path


def matrix(model: ir.Model) -> np.ndarray:
    tensor = model.graph.initializers["k"].const_value
    assert isinstance(tensor, ir.ExternalTensor)
    return tensor.numpy()


def hub_cache(folder: Path, name: str = "model.onnx", weights: str = "weights") -> Path:
    """As the Hugging Face hub keeps it: blobs by their hashes, links by their names."""
    snapshot = folder / "snapshots" / "abc"
    model = saved(snapshot / name, weights)
    blobs = folder / "blobs"
    blobs.mkdir()
    for number, file in enumerate((model, model.parent / weights)):
        file.rename(blobs / str(number))
        file.symlink_to(os.path.relpath(blobs / str(number), file.parent))
    return model


@pytest.mark.parametrize(
    ("name", "weights"),
    [("model.onnx", "weights"), ("onnx/model.onnx", "weights"), ("model.onnx", "data/weights")],
)
def test_weights_in_a_hub_cache_are_read(tmp_path: Path, name: str, weights: str) -> None:
    model = hub_cache(tmp_path, name, weights)
    report = fold_file(model, tmp_path / "folded.onnx")
    assert len(report.fold.folded) == 1
    whole = matrix(load_model(saved(tmp_path / "whole" / "model.onnx")))
    np.testing.assert_array_equal(matrix(load_model(tmp_path / "folded.onnx")), whole)


def test_what_was_read_of_a_hub_cache_can_be_given_as_a_model(tmp_path: Path) -> None:
    loaded = load_model(hub_cache(tmp_path))
    private, _ = to_ir(loaded)
    np.testing.assert_array_equal(matrix(private), matrix(loaded))


def test_a_link_inside_the_models_folder_is_followed(tmp_path: Path) -> None:
    model = saved(tmp_path / "model.onnx")
    (tmp_path / "weights").rename(tmp_path / "real")
    (tmp_path / "weights").symlink_to("real")
    assert matrix(load_model(model)).shape == (40, 5)


def test_a_folder_may_be_a_link(tmp_path: Path) -> None:
    saved(tmp_path / "real" / "model.onnx")
    (tmp_path / "linked").symlink_to("real")
    assert matrix(load_model(tmp_path / "linked" / "model.onnx")).shape == (40, 5)


def link_out(model: Path) -> None:
    (model.parent / "weights").rename(model.parent.parent / "secret")
    (model.parent / "weights").symlink_to("../secret")


def link_out_of_a_hub_cache(model: Path) -> None:
    """The model is a link into another folder, and its weights are a link into a third."""
    link_out(model)
    (model.parent.parent / "blobs").mkdir()
    model.rename(model.parent.parent / "blobs" / "0")
    model.symlink_to("../blobs/0")


def hard_link(model: Path) -> None:
    (model.parent.parent / "secret").hardlink_to(model.parent / "weights")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (link_out, r"is a link to .*/secret, outside the model's folder"),
        (link_out_of_a_hub_cache, r"is a link to .*/secret, outside the model's folder"),
        (hard_link, "has 2 hard links, so it may belong elsewhere, too"),
    ],
)
def test_what_may_be_a_file_of_somebody_else_is_refused_and_the_cure_named(
    tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    model = saved(tmp_path / "net" / "model.onnx")
    damage(model)
    with pytest.raises(InputError, match=message) as refused:
        load_model(model)
    command = f"cp -rL {model.parent} COPY"
    assert f"copy the folder ({command}) and take the copy" in str(refused.value)
    assert os.system(command.replace("COPY", str(tmp_path / "copy"))) == 0
    assert matrix(load_model(tmp_path / "copy" / "model.onnx")).shape == (40, 5)


def at(place: str) -> Callable[[onnx.TensorProto], None]:
    def change(tensor: onnx.TensorProto) -> None:
        (location,) = (one for one in tensor.external_data if one.key == "location")
        location.value = place

    return change


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("../secret", "is outside the model's folder"),
        ("sub/../../secret", "is outside the model's folder"),
        ("{tmp}/secret", "is outside the model's folder"),
        ("/dev/zero", "is no regular file"),
        ("pipe", "is no regular file"),
        (".", "is no regular file"),
        ("missing", "is not at .*missing: put it there"),
        ("x" * 300, "is not at .*: put it there"),
        ("model.onnx/w", "is not at .*: put it there"),
    ],
)
def test_a_place_that_a_stranger_may_have_written(tmp_path: Path, place: str, message: str) -> None:
    model = saved(tmp_path / "net" / "model.onnx")
    (tmp_path / "net" / "sub").mkdir()
    os.mkfifo(tmp_path / "net" / "pipe")
    shutil.copy(tmp_path / "net" / "weights", tmp_path / "secret")
    proto = onnx.load(model, load_external_data=False)
    for tensor in proto.graph.initializer:
        at(place.format(tmp=tmp_path))(tensor)
    model.write_bytes(proto.SerializeToString())
    with pytest.raises(InputError, match=message):
        load_model(model)


def appended(weights: Path) -> None:
    with weights.open("ab") as file:
        file.write(b"more")


def truncated(weights: Path) -> None:
    os.truncate(weights, 100)


def replaced(weights: Path) -> None:
    shutil.copy(weights, weights.with_name("other"))
    weights.with_name("other").replace(weights)


def overwritten(weights: Path) -> None:
    before = weights.stat()
    weights.write_bytes(weights.read_bytes()[::-1])
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def deleted(weights: Path) -> None:
    weights.unlink()


CHANGES = [appended, truncated, replaced, overwritten, deleted]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("read", ["numpy", "tobytes"])
def test_a_file_that_changed_is_not_read(
    tmp_path: Path, change: Callable[[Path], None], read: str
) -> None:
    model = load_model(saved(tmp_path / "model.onnx"))
    tensor = model.graph.initializers["k"].const_value
    change(tmp_path / "weights")
    with pytest.raises(InputError, match=r"weights of .* (has changed since|cannot be read)"):
        getattr(tensor, read)()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("command", [fold_file, strip_file])
def test_a_file_that_changes_during_a_run_is_told_and_the_target_stays(
    tmp_path: Path,
    change: Callable[[Path], None],
    command: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It changes when everything is done but the writing."""
    model, target = saved(tmp_path / "model.onnx"), tmp_path / "out.onnx"
    target.write_text("old")

    def save(*arguments: object, **settings: object) -> None:
        change(tmp_path / "weights")
        save_model(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(f"{command.__module__}.save_model", save)
    with pytest.raises(InputError, match=r"weights of .* (has changed since|cannot be read)"):
        command(model, target, force=True)
    assert target.read_text() == "old"
    assert not (tmp_path / "out.onnx.data").exists()


def test_a_file_that_changed_after_its_last_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can say then what was read; the folded model may hold none of it any more."""
    from un_deploy.pipeline import fold_file as module

    proven = module.proven

    def late(*arguments: object) -> object:
        report = proven(*arguments)  # type: ignore[arg-type]
        appended(tmp_path / "weights")
        return report

    monkeypatch.setattr(module, "proven", late)
    with pytest.raises(InputError, match="has changed since"):
        fold_file(saved(tmp_path / "model.onnx"), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_a_pipe_as_a_model_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is a device or a pipe"):
        load_model(tmp_path / "pipe")


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        load_model("x" * 300)
