"""A product of named axes: which axes of the result an operand gives, and what is summed."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from un_deploy.graph.fold.rules.equation import Equation, placed, without_leading_ones


def of(equation: str, left: int, right: int) -> Equation | None:
    attributes = {"equation": equation} if equation else {}
    values = [ir.Value(name="a"), ir.Value(name="b")]
    node = ir.node("Einsum" if equation else "MatMul", values, attributes)
    return Equation.of(node, (left, right))


def test_a_matmul_of_batches() -> None:
    found = of("", 4, 3)
    assert found is not None
    assert found.operands == (
        ("batch 2", "batch 1", "row", "inner"),
        ("batch 1", "inner", "column"),
    )
    assert found.result == ("batch 2", "batch 1", "row", "column")
    assert found.sizes_in_result(1, (2, 4, 5)) == (1, 2, 1, 5)
    assert found.bias_shape(1, (2, 4, 5)) == (2, 1, 5)
    assert found.bias_shape(1, (1, 4, 5)) == (5,)


@pytest.mark.parametrize(("left", "right", "result"), [(1, 2, 1), (2, 1, 1), (1, 1, 0), (1, 3, 2)])
def test_vectors(left: int, right: int, result: int) -> None:
    found = of("", left, right)
    assert found is not None and len(found.result) == result


def test_the_axes_of_an_ellipsis_are_counted_from_the_last() -> None:
    found = of("...c, cd -> ...d", 4, 2)
    assert found is not None and found.result == ("... 3", "... 2", "... 1", "d")
    implicit = of("...c,cd", 4, 2)
    assert implicit == found


@pytest.mark.parametrize(
    ("equation", "left", "right"),
    [("bii,ic->bc", 3, 2), ("ab,bc->ac", 3, 2), ("ab,bc,cd->ad", 2, 2), ("...b,bc->c", 3, 2)],
)
def test_what_is_no_product_of_named_axes(equation: str, left: int, right: int) -> None:
    assert of(equation, left, right) is None


def test_an_array_is_placed_among_other_axes() -> None:
    array = np.arange(6).reshape(2, 1, 3)
    assert placed(array, ("h", "n", "c"), ("c", "o", "h")).shape == (3, 1, 2)
    assert placed(array, ("h", "n", "c"), ("c", "o", "h"))[2, 0, 1] == array[1, 0, 2]
    assert without_leading_ones((1, 1, 3)) == (3,) and without_leading_ones((1, 1), 1) == (1,)
