"""The entry of an ONNX file: its tensors, its batch and its warm-up, as the model has them."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from tests.pipeline.triton.entry import FLOAT, INT, assert_loads, files, read, tensors
from tests.pipeline.triton.small_models import image_model
from tests.support.graphs import build
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.triton.config import Serving
from un_deploy.pipeline.triton.repository import write_triton


def test_images_in_batches(image: Path, repository: Path) -> None:
    report = write_triton(image, repository, serving=Serving(max_batch_size=8))
    config = read(repository / "image")
    assert (config.name, config.backend, config.platform) == (
        "image",
        "onnxruntime",
        "onnxruntime_onnx",
    )
    assert config.max_batch_size == 8
    assert tensors(config.input) == [("x", FLOAT, [3, 4, 4])]
    assert tensors(config.output) == [("y", FLOAT, [5])]
    assert config.HasField("dynamic_batching")
    assert [(s.batch_size, s.count) for s in config.model_warmup] == [(1, 1), (8, 1)]
    (group,) = config.instance_group
    assert (group.count, group.kind, list(group.profile)) == (1, group.KIND_AUTO, [])
    assert not config.parameters
    copied = repository / "image" / "1" / "model.onnx"
    assert copied.read_bytes() == image.read_bytes()
    assert files(repository) == ["image/1/model.onnx", "image/config.pbtxt"]
    assert_loads(config, copied)
    assert report.files == ("config.pbtxt", "1/model.onnx") and report.notes == ()
    assert report.sha256 in (repository / "image" / "config.pbtxt").read_text()
    assert [(t.name, t.type, t.shape) for t in report.inputs] == [("x", "TYPE_FP32", (-1, 3, 4, 4))]
    assert json.loads(report.to_json())["max_batch_size"] == 8


def test_token_ids_and_an_open_sequence(tokens: Path, repository: Path) -> None:
    report = write_triton(tokens, repository, serving=Serving(max_batch_size=4))
    config = read(repository / "tokens")
    assert tensors(config.input) == [("ids", INT, [-1]), ("mask", INT, [-1])]
    assert tensors(config.output) == [("y", FLOAT, [-1, 4])]
    assert_loads(config, repository / "tokens" / "1" / "model.onnx")
    assert not config.model_warmup
    assert report.notes == (
        "no warm-up: the size of seq is unknown; sizes={'seq': 'SIZE'} gives it",
    )


def test_warm_up_of_a_given_length(tokens: Path, repository: Path) -> None:
    serving = Serving(max_batch_size=4, preferred_batch_sizes=(2,), sizes={"seq": 7})
    assert write_triton(tokens, repository, serving=serving).notes == ()
    config = read(repository / "tokens")
    assert [sample.batch_size for sample in config.model_warmup] == [1, 2, 4]
    assert [list(s.inputs["ids"].dims) for s in config.model_warmup] == [[7]] * 3
    assert_loads(config, repository / "tokens" / "1" / "model.onnx")


def test_a_fixed_batch_makes_none(tmp_path: Path, repository: Path) -> None:
    report = write_triton(image_model(tmp_path / "image.onnx", "2"), repository)
    config = read(repository / "image")
    assert config.max_batch_size == 0 and not config.HasField("dynamic_batching")
    assert tensors(config.input) == [("x", FLOAT, [2, 3, 4, 4])]
    assert tensors(config.output) == [("y", FLOAT, [2, 5])]
    (sample,) = config.model_warmup
    assert (sample.batch_size, list(sample.inputs["x"].dims)) == (1, [2, 3, 4, 4])
    assert_loads(config, repository / "image" / "1" / "model.onnx")
    assert "the first dimension of x is always 2" in report.notes[0]


def test_an_open_batch_that_clients_send(image: Path, repository: Path) -> None:
    serving = Serving(max_batch_size=0, sizes={"batch": 3})
    write_triton(image, repository, serving=serving)
    config = read(repository / "image")
    assert config.max_batch_size == 0
    assert tensors(config.input) == [("x", FLOAT, [-1, 3, 4, 4])]
    assert list(config.model_warmup[0].inputs["x"].dims) == [3, 3, 4, 4]
    assert_loads(config, repository / "image" / "1" / "model.onnx")


def test_nothing_besides_the_batch(tmp_path: Path, repository: Path) -> None:
    """A tensor of shape (batch,) is (batch, 1) to clients, and reshaped for the model."""
    model = build(
        "float[n] x, float[n,3] z => float[n] y",
        "s = ReduceMax<keepdims=0>(z, last)  y = Add(x, s)",
        last=[-1],
    )
    save_model(model, tmp_path / "net.onnx")
    report = write_triton(tmp_path / "net.onnx", repository, serving=Serving(max_batch_size=2))
    config = read(repository / "net")
    x, z = config.input
    (y,) = config.output
    assert [list(f.dims) for f in (x, z, y)] == [[1], [3], [1]]
    assert [f.HasField("reshape") for f in (x, z, y)] == [True, False, True]
    assert_loads(config, repository / "net" / "1" / "model.onnx")
    assert not config.model_warmup and "x has no dimension besides" in report.notes[0]


def test_weights_in_files_of_their_own(tmp_path: Path, repository: Path) -> None:
    model = image_model(tmp_path / "inline.onnx")
    (tmp_path / "weights").mkdir()
    onnx.save(
        onnx.load(model),
        tmp_path / "image.onnx",
        save_as_external_data=True,
        location="weights/w.bin",
        size_threshold=0,
    )
    serving = Serving(max_batch_size=8)
    report = write_triton(tmp_path / "image.onnx", repository, serving=serving)
    assert files(repository / "image") == [
        "1/model.onnx/model.onnx",
        "1/model.onnx/weights/w.bin",
        "config.pbtxt",
    ]
    assert sorted(report.files) == files(repository / "image")
    folder = repository / "image" / "1" / "model.onnx"
    (tmp_path / "weights" / "w.bin").unlink()
    assert_loads(read(repository / "image"), folder / "model.onnx")
    onnx.checker.check_model(folder / "model.onnx")


@pytest.mark.torch
@pytest.mark.parametrize("dynamic", [True, False])
@pytest.mark.parametrize("name", ["vit", "bert"])
def test_networks_of_the_package(
    name: str, dynamic: bool, tmp_path: Path, repository: Path
) -> None:
    pytest.importorskip("torch")
    from models.bert import bert_micro
    from models.vit import vit_micro
    from tests.support.networks.exports import exported

    factory = {"vit": vit_micro, "bert": bert_micro}[name]
    exporter = "dynamo" if dynamic else "torchscript"
    path = tmp_path / f"{name}.onnx"
    save_model(exported(factory, "folded", dynamic, exporter), path)
    serving = Serving(
        max_batch_size=4 if dynamic else None,
        sizes={"sequence": 12} if dynamic and name == "bert" else {},
    )
    write_triton(path, repository, serving=serving)
    config = read(repository / name)
    batch = [] if dynamic else [2]
    assert_loads(config, repository / name / "1" / "model.onnx")
    assert len(config.model_warmup) == (2 if dynamic else 1)
    if name == "vit":
        assert tensors(config.input) == [("pixel_values", FLOAT, [*batch, 1, 28, 28])]
        assert tensors(config.output) == [("logits", FLOAT, [*batch, 10])]
    else:
        names = ("input_ids", "attention_mask", "token_type_ids")
        length = -1 if dynamic else 16
        assert tensors(config.input) == [(n, INT, [*batch, length]) for n in names]
        assert tensors(config.output) == [("last_hidden_state", FLOAT, [*batch, length, 64])]
