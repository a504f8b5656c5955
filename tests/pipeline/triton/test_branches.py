"""Behind a branch a shape is known where both ways lead to it; ONNX Runtime goes both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.triton.batching import why_not_batched
from un_deploy.pipeline.triton.branches import output_shapes
from un_deploy.pipeline.triton.served_model import read_onnx

SIGNATURE = "float[batch,4] x, bool c => float[batch,4] y"


def branches(then: str, other: str, condition: str = "c") -> str:
    """An If whose branches write t, of whatever they compute; both call it the same."""
    return (
        f"y = If({condition}) <then_branch = a () => (float[batch,4] t) {{ {then} }}, "
        f"else_branch = b () => (float[batch,4] t) {{ {other} }}>"
    )


def model(then: str, other: str) -> ir.Model:
    constants = {"w": (4, 4), "last": [1], "nil": np.array(0, np.float32)}
    text = branches(then, other)
    return build(SIGNATURE, text, **{k: v for k, v in constants.items() if k in text})


def rows(model: ir.Model, folder: Path) -> set[int]:
    """What ONNX Runtime gives for two rows, by either way."""
    onnxruntime = pytest.importorskip("onnxruntime")
    save_model(model, folder / "run.onnx", force=True)
    session = onnxruntime.InferenceSession(folder / "run.onnx", providers=["CPUExecutionProvider"])
    x = np.ones((2, 4), np.float32)
    return {session.run(None, {"x": x, "c": np.array(way)})[0].shape[0] for way in (True, False)}


NESTED = branches("t = Neg(x)", "s = Relu(x)  t = Tanh(s)").replace("y =", "t =")


@pytest.mark.parametrize(
    ("then", "other"),
    [
        ("t = Relu(x)", "t = MatMul(x, w)"),
        ("s = Relu(x)  t = Neg(s)", "s = Neg(x)  t = Relu(s)"),  # the same names in both
        ("t = Relu(x)", NESTED),
    ],
)
def test_both_ways_have_the_rows(then: str, other: str, tmp_path: Path) -> None:
    graph = model(then, other)
    assert rows(graph, tmp_path) == {2}
    (shape,) = output_shapes(graph, Shapes(graph))
    assert shape is not None and [str(dim) for dim in shape] == ["batch", "4"]


@pytest.mark.parametrize(
    "other",
    [
        "t = Concat<axis=0>(x, x)",
        "m = ReduceMax<keepdims=0>(x, last)  d = Less(m, nil)  t = Compress<axis=0>(x, d)",
        "s = ReduceMin<keepdims=1>(x)  t = Identity(s)",
    ],
)
def test_one_way_has_others(other: str, tmp_path: Path) -> None:
    graph = model("t = Relu(x)", other)
    assert rows(graph, tmp_path) != {2}
    (shape,) = output_shapes(graph, Shapes(graph))
    assert shape is None or shape[0] is None


def test_the_model_is_not_changed() -> None:
    graph = model("t = Relu(x)", "t = Neg(x)")
    before = ir.to_proto(graph).SerializeToString()
    output_shapes(graph, Shapes(graph))
    assert ir.to_proto(graph).SerializeToString() == before


def test_what_is_behind_a_branch_may_be_batched(tmp_path: Path) -> None:
    condition = "s = ReduceSum<keepdims=0>(x)  c = Greater(s, nil)  "
    for other, reason in (
        ("t = Neg(x)", ""),
        ("t = Concat<axis=0>(x, x)", "the operators do not give the first dimension of y"),
    ):
        graph = build(
            "float[batch,4] x => float[batch,4] y",
            condition + branches("t = Relu(x)", other).replace("y =", "z =") + "  y = Tanh(z)",
            nil=np.array(0, np.float32),
        )
        save_model(graph, tmp_path / "net.onnx", force=True)
        assert why_not_batched(read_onnx(tmp_path / "net.onnx")) == reason
