"""How a model is to be served: the batcher, the instances, and settings that do not fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest

from tests.pipeline.triton.entry import read
from tests.pipeline.triton.small_models import TWO_INPUTS, token_model
from tests.support.graphs import build
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.triton.config import Serving
from un_deploy.pipeline.triton.repository import write_triton


def test_the_settings_of_the_batcher_and_the_instances(image: Path, repository: Path) -> None:
    serving = Serving(
        max_batch_size=8,
        max_queue_delay=250,
        preferred_batch_sizes=(8, 4),
        instances=3,
        kind="cpu",
        warm_up=False,
    )
    write_triton(image, repository, serving=serving)
    config = read(repository / "image")
    assert config.dynamic_batching.max_queue_delay_microseconds == 250
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 8]
    (group,) = config.instance_group
    assert (group.count, group.kind) == (3, group.KIND_CPU)
    assert not config.model_warmup


@pytest.mark.parametrize("serving", [{"dynamic_batching": False}, {"max_batch_size": 1}])
def test_batches_that_clients_make(serving: dict[str, Any], image: Path, repository: Path) -> None:
    write_triton(image, repository, serving=Serving(**{"max_batch_size": 8, **serving}))
    assert not read(repository / "image").HasField("dynamic_batching")


@pytest.mark.parametrize(
    ("serving", "message"),
    [
        ({"max_batch_size": None}, "say with max_batch_size how many rows"),
        ({"max_batch_size": 1, "dynamic_batching": True}, "hold at most 1"),
        ({"dynamic_batching": False, "max_queue_delay": 5}, "which is off"),
        ({"max_batch_size": 1, "preferred_batch_sizes": (1,)}, "which is off"),
        ({"preferred_batch_sizes": (9,)}, "no batch can hold 9 rows"),
        ({"warm_up": True}, r"cannot be warmed up: the size of seq is unknown"),
        ({"sizes": {"batch": 2}}, "no dynamic dimension 'batch' .* it has seq"),
        ({"sizes": {"seq": 2}, "warm_up": False}, "which is off"),
    ],
)
def test_settings_that_do_not_fit(
    serving: dict[str, Any], message: str, tokens: Path, repository: Path
) -> None:
    with pytest.raises(InputError, match=message):
        write_triton(tokens, repository, serving=Serving(**{"max_batch_size": 8, **serving}))
    assert not repository.exists()


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (TWO_INPUTS.replace("batch", "2"), "the first dimension of ids is always 2"),
        (
            "int64[batch,seq] ids, int64[n,seq] mask => float[batch,seq,4] y",
            "the first dimension of ids is batch, and that of mask is n",
        ),
        (
            "int64[batch,seq] ids, int64[1,seq] mask => float[batch,seq,4] y",
            "of mask is always",
        ),
    ],
)
def test_what_cannot_be_batched(
    signature: str, message: str, tmp_path: Path, repository: Path
) -> None:
    path = token_model(tmp_path / "tokens.onnx", signature)
    with pytest.raises(InputError, match=message):
        write_triton(path, repository, serving=Serving(max_batch_size=4))
    report = write_triton(path, repository)
    assert report.max_batch_size == 0 and re.search(message, report.notes[0])


def test_an_output_that_mixes_rows(tmp_path: Path, repository: Path) -> None:
    """Claimed to have the batch, as exporters do; its operators give twice as many rows."""
    model = build("float[batch,6] x => float[batch,6] y", "y = Concat<axis=0>(x, x)")
    save_model(model, tmp_path / "net.onnx")
    with pytest.raises(InputError, match=r"of x is batch, and that of y is 2\*batch"):
        write_triton(tmp_path / "net.onnx", repository, serving=Serving(max_batch_size=4))


@pytest.mark.parametrize("dtype", [ir.DataType.BFLOAT16, ir.DataType.COMPLEX64])
def test_types_that_the_backend_does_not_know(
    dtype: ir.DataType, tmp_path: Path, repository: Path
) -> None:
    model = build("float[batch,6] x => float[batch,6] y", f"y = Cast<to={dtype.value}>(x)")
    model.graph.outputs[0].dtype = dtype
    save_model(model, tmp_path / "net.onnx")
    with pytest.raises(InputError, match=f"y of .* is {dtype.name.lower()}"):
        write_triton(tmp_path / "net.onnx", repository)
