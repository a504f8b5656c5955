"""Norms that measure their input are found whatever operator they are, and counted by kind."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.find_norms import find_layernorms, find_norms
from un_deploy.graph.analysis.norms.norm import Norm
from un_deploy.graph.analysis.shapes import Shapes

ROWS, IMAGE = "float[B,3,4] x => float[B,3,4] y", "float[B,4,6] x => float[B,4,6] y"


def norms(model: ir.Model) -> list[Norm]:
    return find_norms(model.graph, Constants(model), Shapes(model))


@pytest.mark.parametrize(
    ("signature", "body", "opset", "kind"),
    [
        (ROWS, "y = LayerNormalization(x, a, b)", 17, "LayerNormalization"),
        (ROWS, "y = RMSNormalization(x, a)", 23, "RMSNorm"),
        (ROWS, "y = SimplifiedLayerNormalization(x, a)", 17, "RMSNorm"),
        (IMAGE, "y = GroupNormalization<num_groups=2>(x, a, b)", 21, "GroupNorm"),
        (IMAGE, "y = InstanceNormalization(x, a, b)", 17, "InstanceNorm"),
        (ROWS, "y = LpNormalization(x)", 17, "LpNormalization"),
        (ROWS, "y = com.microsoft.SkipLayerNormalization(x, x, a, b)", 17, "LayerNormalization"),
        (ROWS, "y = com.microsoft.SkipSimplifiedLayerNormalization(x, x, a)", 17, "RMSNorm"),
    ],
)
def test_single_operators(signature: str, body: str, opset: int, kind: str) -> None:
    (norm,) = norms(build(signature, body, opset, a=(4,), b=(4,)))
    assert (norm.kind, norm.y.name, norm.affine) == (kind, "y", ())


def test_an_operator_of_the_same_name_elsewhere_is_unknown() -> None:
    assert norms(build(ROWS, "y = other.LayerNormalization(x, a, b)", a=(4,), b=(4,))) == []


def test_what_computes_more_than_a_layer_normalization_is_none_to_take_out() -> None:
    body = "m = LayerNormalization(x, a, b) y = com.microsoft.SkipLayerNormalization(m, x, a, b)"
    model = build(ROWS, body, a=(4,), b=(4,))
    found = find_layernorms(model.graph, Constants(model), Shapes(model))
    assert [norm.y.name for norm in found] == ["m"]


GROUPS = """
    r = Reshape(x, split) i = InstanceNormalization(r, ones, zeros) s = Reshape(i, whole)
    g = Mul(s, a) h = Add(g, b) y = Relu(h)
"""
GROUP_CONSTANTS = {
    "split": [0, 2, -1], "whole": [0, 4, 6], "a": (4, 1), "b": (4, 1),
    "ones": np.ones(2, np.float32), "zeros": np.zeros(2, np.float32),
}  # fmt: skip


def test_a_group_norm_as_pytorch_writes_it() -> None:
    (norm,) = norms(build(IMAGE, GROUPS, **GROUP_CONSTANTS))
    assert (norm.kind, norm.y.name) == ("GroupNorm", "h")
    assert [node.op_type for node in norm.nodes] == [
        "InstanceNormalization", "Reshape", "Mul", "Add"
    ]  # fmt: skip
    assert [node.op_type for node in norm.affine] == ["Mul", "Add"]
