"""Two graphs are called alike: inputs, outputs and opsets, or what differs is named."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.proof.proof import Problem
from un_deploy.graph.proof.same_signature import signature_problems


def model() -> ir.Model:
    signature = "float[B,3,4] x, int64[1] i => float[B,3,4] y, float[B,3,4] z"
    return build(signature, "h = Cast<to=1>(i) y = Add(x, h) z = Neg(y)")


def told(changed: ir.Model) -> list[tuple[str, str]]:
    return [(problem.place, problem.text) for problem in signature_problems(model(), changed)]


def test_a_graph_is_called_like_itself() -> None:
    assert told(model()) == []


def test_what_is_inside_does_not_matter() -> None:
    changed = model()
    changed.graph[-1].op_type = "Abs"
    assert told(changed) == []


@pytest.mark.parametrize("opset", [18, 21])
def test_another_opset_is_another_meaning(opset: int) -> None:
    changed = model()
    changed.opset_imports[""] = opset
    assert told(changed) == [("the opset of ai.onnx", f"is {opset}, the original's 20")]


def test_another_type_is_named() -> None:
    changed = model()
    changed.graph.inputs[0].type = ir.TensorType(ir.DataType.FLOAT16)
    assert told(changed) == [("x", "is FLOAT16, the original's FLOAT")]


@pytest.mark.parametrize("dims", [[1, 3, 4], ["N", 3, 4], [None, 3, 4], ["B", 3], None])
def test_another_declared_shape_is_named(dims: list[int | str | None] | None) -> None:
    changed = model()
    changed.graph.outputs[1].shape = None if dims is None else ir.Shape(dims)
    assert told(changed) == [("z", f"has the shape {dims}, the original's is ['B', 3, 4]")]


def test_an_open_dimension_may_be_called_something_else_everywhere() -> None:
    changed = model()
    for value in (*changed.graph.inputs, *changed.graph.outputs):
        assert value.shape is not None
        value.shape = ir.Shape("N" if not isinstance(d, int) else d for d in value.shape.dims)
    assert told(changed) == []


def test_the_order_of_outputs_counts() -> None:
    changed = model()
    changed.graph.outputs.reverse()
    assert told(changed) == [("the outputs", "are z, y, the original's y, z")]


def test_an_input_more_is_told() -> None:
    changed = model()
    changed.graph.inputs.append(ir.val("k"))
    (problem,) = signature_problems(model(), changed)
    assert problem == Problem("the inputs", "are x, i, k, the original's x, i")
