"""Operators are spelled as their opset has them."""

from __future__ import annotations

import numpy as np
import onnx.helper
import pytest

from tests.support.fuzzer.drawing.spelling import factors, is_known, respelled

NAMES = {"Squeeze": "axes", "Unsqueeze": "axes", "ReduceMean": "axes", "Split": "split"}
NAMES |= dict.fromkeys(("ReduceMax", "ReduceMin", "ReduceSum"), "axes")
#: Inputs and attributes, and the first opset that has them.
FIRST = {
    "a new operator": ("LayerNormalization", "x a b", {}, 17),
    "an input that may lack": ("Resize", "x _ by", {}, 13),
    "one more input": ("Pad", "x pads value axes", {}, 18),
    "a new attribute": ("Split", "x", {"num_outputs": 2}, 18),
}


@pytest.mark.parametrize("op", NAMES)
@pytest.mark.parametrize("opset", [12, 20])
def test_axes_are_attributes_before_they_are_inputs(op: str, opset: int) -> None:
    as_input = onnx.helper.make_node(op, ["x", "i"], ["y"])
    as_attribute = onnx.helper.make_node(op, ["x"], ["y"], **{NAMES[op]: [1, 2]})
    for node in (as_input, as_attribute):
        spelled, extra = respelled(node, {"i": np.array([1, 2])}, opset)
        held = [list(attribute.ints) for attribute in spelled.attribute]
        if opset == 12:
            assert held == [[1, 2]] and list(spelled.input) == ["x"] and extra is None
        else:
            assert held == []
            assert list(spelled.input) == ["x", "i"] if node is as_input else extra is not None


@pytest.mark.parametrize("opset", [8, 9])
def test_factors_are_an_attribute_before_they_are_an_input(opset: int) -> None:
    by = np.array([1, 1, 2, 1.5], np.float32)
    as_input = onnx.helper.make_node("Upsample", ["x", "by"], ["y"])
    as_attribute = onnx.helper.make_node("Upsample", ["x"], ["y"], scales=by.tolist())
    spelled, extra = respelled(as_input, {"by": by}, opset)
    other, more = respelled(as_attribute, {}, opset)
    if opset == 8:
        assert spelled == other == as_attribute and extra is None and more is None
    else:
        assert spelled == as_input and extra is None
        assert not other.attribute and more is not None and more.dtype == np.float32
        np.testing.assert_array_equal(more, by)


@pytest.mark.parametrize("case", FIRST)
def test_operators_are_there_from_their_first_opset_on(case: str) -> None:
    op, inputs, attributes, first = FIRST[case]
    names = ["" if name == "_" else name for name in inputs.split()]
    node = onnx.helper.make_node(op, names, ["y"], **attributes)
    assert is_known(node, first) and not is_known(node, first - 1)


def test_what_a_resize_scales_by_is_no_weight() -> None:
    resize = onnx.helper.make_node("Resize", ["x", "", "by"], ["y"])
    product = onnx.helper.make_node("Mul", ["y", "a"], ["z"])
    upsample = onnx.helper.make_node("Upsample", ["x", "more"], ["y"])
    assert factors([resize, product, upsample]) == {"by", "more"}
