"""Numbers that operators compute from constants decide shapes, whatever stands between."""

from __future__ import annotations

import onnx.parser
import onnx_ir as ir

from un_deploy.graph.analysis.dims import Shape, symbol
from un_deploy.graph.analysis.shapes import Shapes


def shape_of_y(body: str, inputs: str) -> Shape | None:
    text = f'<ir_version: 8, opset_import: ["": 17]> g ({inputs}) => (y) {{ {body} }}'
    model = ir.from_proto(onnx.parser.parse_model(text))
    (y,) = (v for node in model.graph for v in node.outputs if v.name == "y")
    return Shapes(model).of(y)


def test_widths_that_torchscript_computes_for_a_pad() -> None:
    """To multiples of 4, the widths of the last axis first, turned round in a table."""
    body = """
        seven = Constant<value = int64 {7}>()  four = Constant<value = int64 {4}>()
        none = Constant<value = int64[1] {0}>()  front = Constant<value = int64[1] {0}>()
        over = Mod(seven, four)  missing = Sub(four, over)  width = Mod(missing, four)
        more = Unsqueeze(width, front)
        row = Concat<axis = 0>(none, none, none, more, none, none)
        table = Constant<value = int64[2] {-1, 2}>()
        pairs = Reshape(row, table)
        last = Constant<value = int64[1] {-1}>()  begin = Constant<value = int64[1] {-4}>()
        turned = Slice(pairs, last, begin, front, last)
        both = Transpose<perm = [1, 0]>(turned)
        pads = Reshape(both, last)
        y = Pad(x, pads)
    """
    assert shape_of_y(body, "float[B, 7, 3] x") == (symbol("B"), 8, 3)


def test_a_quotient_that_is_rounded_up() -> None:
    body = """
        half = Constant<value = float {3.5}>()  front = Constant<value = int64[1] {0}>()
        up = Ceil(half)  two = Constant<value = float {2.0}>()  size = Mul(up, two)
        whole = Cast<to = 7>(size)  one = Unsqueeze(whole, front)
        rest = Constant<value = int64[1] {-1}>()
        target = Concat<axis = 0>(one, rest)
        y = Reshape(x, target)
    """
    assert shape_of_y(body, "float[B, 8] x") == (8, symbol("B"))


def test_a_number_that_an_input_decides_stays_unknown() -> None:
    body = """
        four = Constant<value = int64[1] {4}>()
        over = Mod(n, four)
        y = ConstantOfShape(over)
    """
    assert shape_of_y(body, "int64[1] n") is None
