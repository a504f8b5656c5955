"""A Layer Normalization that is written out becomes the one operator, with the same answers."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.graph.analysis.norms.test_written_out import CONSTANTS, KERAS, SIGNATURE, TORCH
from tests.support.float64 import run
from tests.support.graphs import build, feeds_for, largest_error, operators, stored, to_bytes
from un_deploy.graph.strip.layernorm_operator import use_operator


@pytest.mark.parametrize("opset", [13, 17, 20])
@pytest.mark.parametrize(
    "body",
    [
        TORCH,
        TORCH.replace("Pow(d, two)", "Mul(d, d)"),
        TORCH.replace("Mul(n, gamma)", "Mul(gamma, n)").replace("Add(g, beta)", "Add(beta, g)"),
        TORCH.replace("g = Mul(n, gamma) h = Add(g, beta) y = Exp(h)", "y = Exp(n)"),
        TORCH.replace("h = Add(g, beta) y = Exp(h)", "y = Exp(g)"),
        TORCH.replace("h = Add(g, beta) y = Exp(h)", "y = Add(g, beta)"),
    ],
    ids=["Pow", "Mul", "constants first", "no affine", "no shift", "an output"],
)
def test_the_spelling_of_pytorch_becomes_the_operator(body: str, opset: int) -> None:
    if opset < 18:
        body = body.replace("ReduceMean(a, axes)", "ReduceMean <axes=[-1]> (a)")
        body = body.replace("ReduceMean(square, axes)", "ReduceMean <axes=[-1]> (square)")
    model = build(SIGNATURE, body, opset, **CONSTANTS)
    feeds = feeds_for(model)
    before = run(model, feeds, stored)
    assert use_operator(model) == 1
    assert operators(model).count("LayerNormalization") == 1
    assert "ReduceMean" not in operators(model)
    assert model.opset_imports[""] == max(17, opset)
    assert largest_error(run(model, feeds, stored), before) < 1e-6  # epsilon became a float32
    onnx.checker.check_model(ir.to_proto(model), full_check=True)


@pytest.mark.parametrize(
    ("body", "constants"),
    [
        (KERAS, {}),
        (TORCH, {"axes": [1]}),
        (TORCH, {"gamma": np.ones((3, 1), np.float32)}),
        (TORCH + " more = Exp(s)", {}),
    ],
    ids=["Keras", "another axis", "a scale per row", "its deviation is read too"],
)
def test_what_is_not_the_operator_stays(body: str, constants: dict) -> None:
    model = build(SIGNATURE, body, **{**CONSTANTS, **constants})
    before = to_bytes(model)
    assert use_operator(model) == 0
    assert to_bytes(model) == before


def test_a_graph_that_has_the_operator_stays() -> None:
    model = build(
        SIGNATURE, "y = LayerNormalization <axis=-1> (x, gamma, beta)", gamma=(4,), beta=(4,)
    )
    before = to_bytes(model)
    assert use_operator(model) == 0
    assert to_bytes(model) == before


def test_an_opset_in_which_operators_mean_something_else_stays() -> None:
    """Raised from 12 to 17, Softmax would take one axis where it took all from there on."""
    body = TORCH.replace("y = Exp(h)", "y = Softmax(h)")
    for reads in ("a", "square"):
        body = body.replace(f"ReduceMean({reads}, axes)", f"ReduceMean <axes=[-1]> ({reads})")
    model = build(SIGNATURE, body, 12, **CONSTANTS)
    before = to_bytes(model)
    assert use_operator(model) == 0
    assert to_bytes(model) == before
