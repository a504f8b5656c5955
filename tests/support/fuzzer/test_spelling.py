"""Operators are spelled as their opset has them."""

from __future__ import annotations

import numpy as np
import onnx.helper
import pytest

from tests.support.fuzzer.spelling import is_known, respelled

NAMES = {"Squeeze": "axes", "Unsqueeze": "axes", "ReduceMean": "axes", "Split": "split"}


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


def test_operators_are_there_from_their_first_opset_on() -> None:
    assert is_known("LayerNormalization", 17) and not is_known("LayerNormalization", 16)
