"""What Triton may join into batches: ONNX Runtime says what becomes of the rows of two requests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import build
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.triton.batching import choose_max_batch_size, why_not_batched
from un_deploy.pipeline.triton.served_model import ServedModel, read_onnx

X = "float[batch,4] x"

#: Graphs whose outputs claim the batch, and do not have it. Constants: those that the text names.
NO_ROWS = {
    "NonZero": (f"{X} => int64[batch,2] y", "i = NonZero(x)  y = Transpose(i)"),
    "Compress": (
        f"{X} => float[batch,4] y",
        "s = ReduceMax<keepdims=0>(x, one)  c = Less(s, start)  y = Compress<axis=0>(x, c)",
    ),
    "Compress, flat": (
        f"{X} => float[batch] y",
        "f = Flatten<axis=0>(x)  r = Squeeze(f, zero)  c = Less(r, start)  y = Compress(x, c)",
    ),
    "Unique": (f"{X} => float[batch] y", "y = Unique(x)"),
    "Unique rows": (f"{X} => float[batch,4] y", "same = Mul(x, start)  y = Unique<axis=0>(same)"),
    "NonMaxSuppression": (
        "float[batch,3,4] x, float[batch,1,3] scores => int64[batch,3] y",
        "y = NonMaxSuppression(x, scores, most)",
    ),
    "GatherND of NonZero": (
        f"{X} => float[batch,1] y",
        "i = NonZero(x)  t = Transpose(i)  g = GatherND(x, t)  y = Unsqueeze(g, one)",
    ),
    "Expand to what an input says": (
        f"{X} => float[batch,4] y",
        "s = ReduceSum<keepdims=0>(x)  i = Cast<to=7>(s)  j = Unsqueeze(i, zero)  "
        "k = Mul(j, zero)  m = Add(k, three)  n = Concat<axis=0>(m, four)  y = Expand(row, n)",
    ),
    "Slice from where an input says": (
        f"{X} => float[batch,4] y",
        "s = ReduceMax<keepdims=0>(x)  i = Cast<to=7>(s)  j = Unsqueeze(i, zero)  "
        "y = Slice(x, j, four, zero)",
    ),
    "Range": (
        f"{X} => float[batch] y",
        "s = ReduceMax<keepdims=0>(x)  y = Range(start, s, step)",
    ),
}
ROWS = {
    "Where": (f"{X} => float[batch,4] y", "c = Greater(x, start)  y = Where(c, x, start)"),
    "TopK": (f"{X} => float[batch,2] y", "y, i = TopK(x, two)"),
    "ArgMax": (f"{X} => int64[batch] y", "y = ArgMax<axis=1, keepdims=0>(x)"),
    "two nameless inputs": ("float[?,4] x, float[?,4] z => float[?,4] y", "y = Add(x, z)"),
    "one nameless input": (f"{X}, float[?,4] z => float[?,4] y", "y = Add(z, x)"),
}
CONSTANTS = {
    "which": np.array([True]),
    "most": np.array([3]),
    "zero": np.array([0]),
    "one": np.array([1]),
    "two": np.array([2]),
    "three": np.array([3]),
    "four": np.array([4]),
    "start": np.array(0, np.float32),
    "step": np.array(1, np.float32),
    "row": np.ones((1, 4), np.float32),
}


def served(graph: tuple[str, str], folder: Path) -> ServedModel:
    used = {name: array for name, array in CONSTANTS.items() if name in _words(graph[1])}
    save_model(build(*graph, **used), folder / "net.onnx")
    return read_onnx(folder / "net.onnx")


def _words(text: str) -> set[str]:
    return set("".join(c if c.isalnum() else " " for c in text).split())


def rows_of_two(model: ServedModel) -> int:
    """How many rows come out where two requests of one row each are joined."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(model.source, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {}
    for tensor in model.inputs:
        shape = [2, *(dim for dim in tensor.shape if isinstance(dim, int))]
        feeds[tensor.name] = 9 * np.abs(rng.standard_normal(shape)).astype(np.float32) + 1
    return session.run(None, feeds)[0].shape[0]


@pytest.mark.parametrize("name", NO_ROWS)
def test_an_output_without_the_batch_is_not_batched(name: str, tmp_path: Path) -> None:
    model = served(NO_ROWS[name], tmp_path)
    assert rows_of_two(model) != 2
    assert why_not_batched(model) == "the operators do not give the first dimension of y"
    with pytest.raises(InputError, match="of y: export it with a dynamic batch, or give"):
        choose_max_batch_size(model, 8)
    size, notes = choose_max_batch_size(model, None)
    assert size == 0 and "the first dimension of y" in notes[0]


@pytest.mark.parametrize("name", ROWS)
def test_an_output_with_the_batch_is(name: str, tmp_path: Path) -> None:
    model = served(ROWS[name], tmp_path)
    assert rows_of_two(model) == 2
    assert why_not_batched(model) == ""
    assert choose_max_batch_size(model, 8) == (8, ())


def test_a_loop_tells_no_rows(tmp_path: Path) -> None:
    """What it returns may differ from run to run."""
    body = (
        "body = l (int64 i, bool go, float[batch,4] a) => (bool on, float[batch,4] b) "
        "{ on = Identity(go)  b = Relu(a) }"
    )
    graph = (f"{X} => float[batch,4] y", f"y = Loop(two, which, x) <{body}>")
    assert "the first dimension of y" in why_not_batched(served(graph, tmp_path))
