"""Shapes of operators in the forms that they had before opset 11, of open sizes too."""

from __future__ import annotations

import onnx_ir as ir
import pytest
import sympy

from tests.support.graphs import build
from un_deploy.graph.analysis.dims import symbol
from un_deploy.graph.analysis.shapes import Shapes

N = symbol("N")


def shape(text: str, opset: int, **constants: list[int]) -> tuple[object, ...] | None:
    model = build("float[B,N,4] x => float[P,Q,S] y", text, opset=opset, **constants)
    return Shapes(model).of(next(iter(model.graph)).outputs[0])


@pytest.mark.parametrize(
    ("text", "opset", "expected"),
    [
        ("y = Slice<axes=[1], starts=[1], ends=[9223372036854775807]>(x)", 9, "B, N - 1, 4"),
        ("y = Slice<starts=[0,0,1], ends=[1,-1,3]>(x)", 7, "1, N - 1, 2"),
        ("y = Slice<axes=[-1], starts=[-2], ends=[4]>(x)", 8, "B, N, 2"),
        ("y, i = TopK<axis=-1, k=2>(x)", 7, "B, N, 2"),
        ("y = Upsample<scales=[1.0,2.0,3.0]>(x)", 7, "B, 2*N, 12"),
        ("y = Sum(x, x)", 7, "B, N, 4"),
        ("y = Max(x, x)", 7, "B, N, 4"),
        ("y = Nonesuch(x)", 9, None),
        ("y = SimplifiedLayerNormalization<axis=-1>(x, x)", 13, "B, N, 4"),
        ("y = LayerNormalization<axis=-1>(x, x, x)", 13, "B, N, 4"),
    ],
)
def test_old_forms(text: str, opset: int, expected: str | None) -> None:
    found = shape(text, opset)
    assert (None if found is None else ", ".join(map(str, found))) == expected


def test_a_slice_of_attributes_gives_what_one_of_inputs_does() -> None:
    stated = shape("y = Slice<axes=[1,2], starts=[1,0], ends=[-1,3]>(x)", 9)
    given = shape("y = Slice(x, s, e, a)", 10, s=[1, 0], e=[-1, 3], a=[1, 2])
    assert stated == given == (symbol("B"), sympy.Max(0, N - 2), 3)


def test_the_model_itself_keeps_its_form() -> None:
    model = build(
        "float[B,N,4] x => float[P,Q,S] y", "y = Slice<axes=[1], starts=[1], ends=[3]>(x)", opset=9
    )
    Shapes(model)
    (node,) = model.graph
    assert len(node.inputs) == 1 and set(node.attributes) == {"axes", "starts", "ends"}
    assert isinstance(node.attributes["ends"], ir.Attr)
