"""Two operators are one where type, attributes, bodies and all that they read are alike."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from un_deploy.graph.proof.same_operator import difference, same_numbers


def operator(text: str) -> ir.Node:
    """The last operator of a graph that is given as text."""
    header = '<ir_version: 10, opset_import: ["" : 20, "k" : 1]>'
    inputs = "float[3] x, float[3] z, bool c, float lo, float hi"
    model = onnx.parser.parse_model(f"{header} test ({inputs}) => (float[3] y) {{ {text} }}")
    return list(ir.from_proto(model).graph)[-1]


def same_name(new: ir.Value, old: ir.Value, shape_only: bool) -> bool:
    return new.name == old.name


def told(new: str, old: str) -> str:
    return difference(operator(new), operator(old), same_name)


def branches(then: str, otherwise: str = "u = Neg(x)") -> str:
    return f"""y = If(c) <then_branch = t () => (float[3] v) {{ {then} }},
                         else_branch = e () => (float[3] u) {{ {otherwise} }}>"""


@pytest.mark.parametrize(
    "text",
    [
        "y = Add(x, z)",
        "y = Softmax<axis=0>(x)",
        "y = Clip(x, , hi)",
        'y = k.Foo<level=3, way="up", at=[0.5, 1.5]>(x, z)',
        "y = Constant<value=float[3] {1.0, 2.0, 3.0}>()",
        branches("v = Add(x, z)"),
        branches("h = Abs(x) v = Add(h, z)"),
    ],
)
def test_an_operator_is_like_itself(text: str) -> None:
    assert told(text, text) == ""


@pytest.mark.parametrize(
    ("new", "old", "says"),
    [
        ("y = Sub(x, z)", "y = Add(x, z)", "is a Sub, the original has a Add"),
        ("y = k.Add(x, z)", "y = Add(x, z)", "is a Add, the original has a Add"),
        ("y = Add(z, x)", "y = Add(x, z)", "reads 'z', where the original reads 'x'"),
        ("y = Add(x, x)", "y = Add(x, z)", "reads 'x', where the original reads 'z'"),
        ("y = Clip(x, lo)", "y = Clip(x, , lo)", "reads 'lo', where the original reads nothing"),
        ("y = Clip(x)", "y = Clip(x, lo)", "reads nothing, where the original reads 'lo'"),
        ("y = Softmax<axis=0>(x)", "y = Softmax(x)", "has an attribute 'axis'"),
        ("y = Softmax(x)", "y = Softmax<axis=0>(x)", "has no attribute 'axis'"),
        ("y = Softmax<axis=1>(x)", "y = Softmax<axis=0>(x)", "has the attribute 'axis' 1"),
        ("y = k.F<a=1>(x)", "y = k.F<a=1.0>(x)", "has an attribute 'a' of another type"),
        ("y = k.F<a=[1,2]>(x)", "y = k.F<a=[2,1]>(x)", "has the attribute 'a' (1, 2)"),
        ("y = Dropout(x)", "y, mask = Dropout(x)", "has 1 outputs, the original 2"),
        (branches("v = Abs(x)"), branches("v = Neg(x)"), "is a Abs, the original has a Neg"),
        (branches("v = Abs(z)"), branches("v = Abs(x)"), "reads 'z', where the original reads 'x'"),
        (
            branches("h = Abs(x) v = Neg(h)"),
            branches("h = Abs(x) v = Neg(x)"),
            "reads 'h', where the original reads 'x'",
        ),
        (
            branches("v = Abs(x)"),
            branches("h = Abs(x) v = Neg(h)"),
            "has a body 'then_branch' of another form",
        ),
    ],
)
def test_what_differs_is_said(new: str, old: str, says: str) -> None:
    assert says in told(new, old)


def test_names_inside_a_body_do_not_matter() -> None:
    assert told(branches("a = Abs(x) v = Neg(a)"), branches("b = Abs(x) v = Neg(b)")) == ""


def test_another_tensor_in_an_attribute_is_told() -> None:
    new, old = (
        "y = Constant<value=float[2] {1.0, 2.0}>()",
        "y = Constant<value=float[2] {1.0, 3.0}>()",
    )
    assert "has the attribute 'value'" in told(new, old)


def test_shape_reads_no_more_than_a_shape() -> None:
    asked = []

    def same(new: ir.Value, old: ir.Value, shape_only: bool) -> bool:
        asked.append(shape_only)
        return True

    for text in ("y = Shape(x)", "y = Size(x)", "y = Neg(x)", "y = k.Shape(x)"):
        difference(operator(text), operator(text), same)
    assert asked == [True, True, False, False]


class TestSameNumbers:
    def test_bits_count(self) -> None:
        ones = ir.tensor(np.ones(3, np.float32))
        assert same_numbers(ones, ir.tensor(np.ones(3, np.float32)))
        assert not same_numbers(ones, ir.tensor(np.nextafter(np.ones(3, np.float32), 2)))

    def test_nan_is_itself_and_zero_has_a_sign(self) -> None:
        nans = [ir.tensor(np.array([np.nan], np.float32)) for _ in range(2)]
        assert same_numbers(*nans)
        zeros = [ir.tensor(np.array([zero], np.float32)) for zero in (0.0, -0.0)]
        assert not same_numbers(*zeros)

    def test_type_and_shape_count(self) -> None:
        ones = ir.tensor(np.ones((2, 2), np.float32))
        assert not same_numbers(ones, ir.tensor(np.ones((2, 2), np.float64)))
        assert not same_numbers(ones, ir.tensor(np.ones(4, np.float32)))

    def test_words(self) -> None:
        first, second = (ir.tensor(["one", word]) for word in ("two", "three"))
        assert same_numbers(first, first) and not same_numbers(first, second)

    def test_nothing_is_no_constant(self) -> None:
        assert not same_numbers(None, ir.tensor(np.ones(3)))
