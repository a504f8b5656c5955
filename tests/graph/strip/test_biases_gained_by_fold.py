"""Biases put where a fold gains them: the graph is then no norm with biases."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.float64 import run
from tests.support.graphs import build
from un_deploy.errors import InputError
from un_deploy.graph.analysis.floating import stored
from un_deploy.graph.strip.biases_gained_by_fold import add_biases

X = np.arange(8, dtype=np.float32).reshape(2, 4)
IMAGE = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)


@pytest.mark.parametrize(
    ("text", "weight", "x"),
    [
        ("float[n,4] x => float[n,3] y\ny = MatMul(x, w)", (4, 3), X),
        ("float[n,4] x => float[n,3] y\ny = Gemm<transB=1>(x, w)", (3, 4), X),
        ("float[n,1,4,4] x => float[n,3,3,3] y\ny = Conv(x, w)", (3, 1, 2, 2), IMAGE),
        ("float[n,1,4,4] x => float[n,3,5,5] y\ny = ConvTranspose(x, w)", (1, 3, 2, 2), IMAGE),
    ],
    ids=["MatMul", "Gemm", "Conv", "ConvTranspose"],
)
def test_every_linear_operator_gains_a_bias_of_ones(
    text: str, weight: tuple[int, ...], x: np.ndarray
) -> None:
    signature, body = text.split("\n")
    model = build(signature, body, w=weight)
    before = run(model, {"x": x}, stored)["y"]
    add_biases(model, ["y"])
    np.testing.assert_array_equal(run(model, {"x": x}, stored)["y"], before + 1)


def test_a_name_that_is_no_linear_output_is_refused() -> None:
    model = build("float[2,4] x => float[2,4] y", "y = Relu(x)")
    with pytest.raises(InputError, match="y is not the output of an operator that can have a bias"):
        add_biases(model, ["y"])
