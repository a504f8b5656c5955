"""A weight in a half type may not become so small that it loses digits: the norm stays."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

import un_deploy
from tests.support.graphs import assert_folds, build
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.fold_file import fold_file
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

RNG = np.random.default_rng(0)


def model(scale: np.ndarray, weight: np.ndarray, dtype: type = np.float16) -> ir.Model:
    """A norm of this scale in front of a linear layer of this weight."""
    kind = {np.float16: "float16", np.float32: "float", ml_dtypes.bfloat16: "bfloat16"}[dtype]
    rows, columns = weight.shape
    constants = {"a": scale, "b": np.full(rows, 0.01), "w": weight}
    given = build(
        f"{kind}[B,3,{rows}] x => {kind}[B,3,{columns}] y",
        "m = Mul(x, a) n = Add(m, b) y = MatMul(n, w)",
    )
    for name, array in constants.items():
        tensor = ir.tensor(array.astype(dtype), name=name)
        value = next(v for node in given.graph for v in node.inputs if v.name == name)
        value.const_value, value.type = tensor, ir.TensorType(tensor.dtype)
        value.shape = tensor.shape
        given.graph.register_initializer(value)
    return given


def normal(*shape: int, size: float = 1.0) -> np.ndarray:
    return RNG.standard_normal(shape) * size


SMALL = model(np.full(64, 0.01), normal(64, 5, size=1e-4))


def test_it_stays_and_says_why() -> None:
    (site,) = fold_graph(SMALL.clone()).report.sites
    assert site.status == "stayed"
    assert "'w' would lose digits: float16 would round its numbers by 0.0" in site.reason


def test_in_python_as_from_a_file(tmp_path) -> None:
    path = tmp_path / "small.onnx"
    save_model(SMALL.clone(), path)
    (site,) = un_deploy.fold(path)[1].sites
    (same,) = fold_file(path, None, dry_run=True).fold.sites
    assert site == same and "would lose digits" in site.reason


def test_what_is_written_is_as_exact_as_the_original() -> None:
    pytest.importorskip("onnxruntime")
    x = (normal(2, 3, 64) * 100).astype(np.float16)
    a, b, w = (SMALL.graph.initializers[n].const_value.numpy().astype(float) for n in "abw")
    right = (x.astype(float) * a + b) @ w
    written = fold_graph(SMALL.clone()).model
    before, after = (
        np.max(np.abs(OnnxRuntime().load(one).run({"x": x})["y"] - right))
        for one in (SMALL, written)
    )
    assert after <= before


def test_one_channel_that_would_lose_its_digits_is_enough() -> None:
    """What it is multiplied with may be large: that is why its scale is small."""
    scale = np.ones(64)
    scale[7] = 0.005
    (site,) = fold_graph(model(scale, normal(64, 5, size=0.002))).report.sites
    assert "'w' would lose digits" in site.reason


def test_one_column_too() -> None:
    weight = normal(64, 5)
    weight[:, 3] *= 1e-4
    (site,) = fold_graph(model(np.full(64, 0.05), weight)).report.sites
    assert "'w' would lose digits" in site.reason


def test_few_small_entries_beside_larger_ones_do_not_count() -> None:
    weight = normal(64, 5)
    weight[::9, 2] = 7e-5
    assert_folds(model(np.full(64, 0.05), weight), eps=2.0**-10)


def test_a_weight_that_had_no_more_digits_before() -> None:
    """A column all but dead is rounded as coarsely in the original."""
    weight = normal(64, 5)
    weight[:, 3] *= 1e-6
    assert_folds(model(np.full(64, 0.5), weight), eps=2.0**-9)


def test_a_dead_channel_is_no_loss() -> None:
    scale = np.ones(64)
    scale[7] = 0.0
    assert_folds(model(scale, normal(64, 5)), eps=2.0**-9)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_other_types_hold_smaller_numbers(dtype: type) -> None:
    given = model(np.full(64, 0.01), normal(64, 5, size=1e-4), dtype)
    assert [site.status for site in fold_graph(given).report.sites] == ["folded"]


def test_bfloat16_has_a_smallest_number_too() -> None:
    given = model(np.full(64, 1e-18), normal(64, 5, size=1e-22), ml_dtypes.bfloat16)
    (site,) = fold_graph(given).report.sites
    assert "bfloat16 would round its numbers" in site.reason


def test_backward_into_a_convolution() -> None:
    given = build(
        "float16[B,3,8,8] x => float16[B,4,6,6] y",
        "p = Conv(x, w) m = Mul(p, a) n = Add(m, b) y = Tanh(n)",
        dtype=np.float16,
        w=normal(4, 3, 3, 3, size=1e-3).astype(np.float16),
        a=np.array([1, 1, 0.01, 1], np.float16).reshape(4, 1, 1),
        b=np.ones((4, 1, 1), np.float16),
    )
    (site,) = fold_graph(given).report.sites
    assert "'w' would lose digits" in site.reason


def test_a_bias_may_be_as_small_as_it_likes() -> None:
    """It is added in the same type, so that the sum is rounded as coarsely."""
    given = model(np.ones(64), normal(64, 5))
    shift = given.graph.initializers["b"]
    shift.const_value = ir.tensor(np.full(64, 1e-7, np.float16), name="b")
    assert_folds(given, eps=2.0**-9)
