"""An entry of a repository, read back with Triton's own message and held to the model.

No server runs here. What its backends compare while loading is compared here, with ONNX Runtime
in the place of the backend that wraps it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tritonclient", reason="needs un-deploy[triton]")

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

INT = model_config_pb2.TYPE_INT64
FLOAT = model_config_pb2.TYPE_FP32
FLOAT16 = model_config_pb2.TYPE_FP16
BFLOAT16 = model_config_pb2.TYPE_BF16


def read(folder: Path) -> Any:
    """The configuration, as a server reads it."""
    text = (folder / "config.pbtxt").read_text()
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def tensors(fields: Any) -> list[tuple[str, int, list[int]]]:
    return [(field.name, field.data_type, list(field.dims)) for field in fields]


def files(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())


def assert_loads(config: Any, model: Path) -> None:
    """What Triton's onnxruntime backend compares while it loads, and what it then warms up with."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    kinds = {FLOAT: "tensor(float)", INT: "tensor(int64)"}
    for fields, values in (
        (config.input, session.get_inputs()),
        (config.output, session.get_outputs()),
    ):
        assert [field.name for field in fields] == [value.name for value in values]
        for field, value in zip(fields, values, strict=True):
            assert kinds[field.data_type] == value.type
            known = [dim if isinstance(dim, int) else -1 for dim in value.shape]
            dims = list(field.reshape.shape) if field.HasField("reshape") else list(field.dims)
            if config.max_batch_size:
                assert known[0] == -1
                dims = [-1, *dims]
            assert len(dims) == len(known)
            assert all(k in (-1, d) for d, k in zip(dims, known, strict=True))
    for sample in config.model_warmup:
        feeds = {}
        for field in config.input:
            given = sample.inputs[field.name]
            assert given.zero_data and given.data_type == field.data_type
            rows = [sample.batch_size] if config.max_batch_size else []
            dtype = np.int64 if given.data_type == INT else np.float32
            feeds[field.name] = np.zeros([*rows, *given.dims], dtype)
        for output, field in zip(session.run(None, feeds), config.output, strict=True):
            shape = output.shape[1:] if config.max_batch_size else output.shape
            assert all(d in (-1, s) for d, s in zip(field.dims, shape, strict=True))
