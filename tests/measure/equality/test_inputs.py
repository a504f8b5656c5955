"""The user's inputs: files and functions, and what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import pytest

from un_deploy.errors import InputError
from un_deploy.measure.equality.inputs import load_batches, load_inputs, read_inputs

MODEL = onnx_ir.from_onnx_text("""
<ir_version: 9, opset_import: ["": 20]>
g (float[batch, 3] x, int64[batch] ids, float[3] bias) => (float y)
<float[3] bias = {0, 0, 0}>
{ y = Add(x, bias) }
""")
X, IDS = np.ones((2, 3), np.float32), np.array([1, 2], np.int64)
TAKES = "x: float32 (batch, 3); ids: int64 (batch)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loader(body: str) -> str:
    Path("loader.py").write_text(f"import numpy as np\n{body}\n")
    return "loader.py:data"


@pytest.mark.parametrize(
    ("body", "batches"),
    [
        ("data = np.ones((4, 3))", 1),
        ("data = {'x': [1]}", 1),
        ("def data(): return (np.ones(n) for n in (1, 2, 3))", 3),
        ("data = [(np.ones(1), np.ones(2)), [3]]", 2),
    ],
)
def test_batches_of_any_kind(body: str, batches: int) -> None:
    """One array and one mapping are a batch; what a graph runs on has names."""
    assert len(load_batches(loader(body))) == batches
    if "'x'" not in body:
        with pytest.raises(InputError, match="must give a dict of arrays by input name"):
            load_inputs("loader.py:data")


def test_npz() -> None:
    np.savez("data.npz", ids=IDS, x=X)
    (feeds,) = read_inputs("data.npz", MODEL)
    assert list(feeds) == ["x", "ids"]
    np.testing.assert_array_equal(feeds["x"], X)
    np.testing.assert_array_equal(feeds["ids"], IDS)


def test_types_are_widened() -> None:
    np.savez("data.npz", ids=IDS.astype(np.uint8), x=X.astype(np.float16).T.copy().T)
    (feeds,) = read_inputs("data.npz", MODEL)
    assert (feeds["ids"].dtype, feeds["x"].dtype) == (np.int64, np.float32)
    assert feeds["x"].flags.c_contiguous


def test_function_that_returns_one_batch() -> None:
    source = loader("def data(): return {'x': np.ones((1, 3), 'f'), 'ids': [0]}")
    (feeds,) = read_inputs(source, MODEL)
    assert feeds["ids"].dtype == np.int64


def test_generator_of_batches() -> None:
    body = "def data():\n for n in (1, 2, 3): yield {'x': np.ones((n, 3), 'f'), 'ids': [0] * n}"
    feeds = read_inputs(loader(body), MODEL)
    assert [feed["x"].shape for feed in feeds] == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.torch
def test_tensors() -> None:
    pytest.importorskip("torch")
    body = "import torch\ndef data(): return {'x': torch.ones(1, 3), 'ids': torch.tensor([4])}"
    (feeds,) = read_inputs(loader(body), MODEL)
    assert (feeds["x"].dtype, feeds["ids"].tolist()) == (np.float32, [4])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, f"data.npz: the input 'ids' is missing, the graph takes {TAKES}"),
        (
            {"x": X, "ids": IDS, "mask": IDS},
            f"data.npz: the graph has no input 'mask', it takes {TAKES}",
        ),
        (
            {"x": X.astype(np.float64), "ids": IDS},
            "data.npz: input x is float64, the graph takes float32; "
            "convert it with .astype('float32')",
        ),
        (
            {"x": X, "ids": IDS.astype(np.float32)},
            "data.npz: input ids is float32, the graph takes int64; "
            "convert it with .astype('int64')",
        ),
        (
            {"x": X[0], "ids": IDS},
            "data.npz: input x has shape (3,), not x: float32 (batch, 3)",
        ),
        (
            {"x": X[:, :2], "ids": IDS},
            "data.npz: input x has shape (2, 2), axis 1 must be 3",
        ),
        (
            {"x": X, "ids": IDS[:1]},
            "data.npz: input ids has shape (1,), axis 0 must be 2 (batch) as before",
        ),
    ],
)
def test_arrays_that_do_not_fit(arrays: dict[str, Any], message: str) -> None:
    np.savez("data.npz", **arrays)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_inputs("data.npz", MODEL)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "data.npz: no such file"),
        (b"", "data.npz is no .npz of plain arrays: EOFError"),
        (b"no archive", "data.npz is no .npz of plain arrays: "),
        (b"PK\x03\x04 cut off", "data.npz is no .npz of plain arrays: BadZipFile"),
    ],
)
def test_npz_that_cannot_be_read(content: bytes | None, message: str) -> None:
    if content is not None:
        Path("data.npz").write_bytes(content)
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        read_inputs("data.npz", MODEL)


def test_npz_with_objects_runs_no_pickle() -> None:
    np.savez("data.npz", x=np.array([{"a": 1}], dtype=object), ids=IDS)
    with pytest.raises(InputError, match=r"^data\.npz is no \.npz of plain arrays: ValueError"):
        read_inputs("data.npz", MODEL)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def data(): return 1 / 0", "loader.py:data fails: ZeroDivisionError: division by zero"),
        ("def data():\n yield {}\n raise KeyError('k')", "loader.py:data fails: KeyError: 'k'"),
        ("def data(): return []", "loader.py:data gave no inputs"),
        ("def data(): return 3", "loader.py:data must give a dict of arrays by input name, or"),
        ("def data(): return np.ones(3)", "loader.py:data must give a dict of arrays"),
        ("def data(): return [np.ones(3)]", "loader.py:data must give a dict of arrays"),
        (
            "def data():\n for n in (3, 2): yield {'x': np.ones((1, n), 'f'), 'ids': [0]}",
            "loader.py:data, item 1: input x has shape (1, 2), axis 1 must be 3",
        ),
        (
            "def data(): return {'x': [[1.0], [2.0, 3.0]], 'ids': [0]}",
            "loader.py:data: input x is no array: ValueError: setting an array element",
        ),
        ("dta = 3", "loader.py: no object named 'data'; it has dta, np"),
    ],
)
def test_loader_that_does_not_fit(body: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        read_inputs(loader(body), MODEL)


def test_source_that_is_neither() -> None:
    with pytest.raises(InputError, match=r"^'data\.csv' names no Python object"):
        read_inputs("data.csv", MODEL)
