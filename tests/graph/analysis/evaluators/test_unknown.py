"""What is not on the list, or does not fit, is unknown: never a number, never another exception."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from un_deploy.graph.analysis.evaluators import Unknown, evaluate, evaluate_exact, is_known
from un_deploy.graph.analysis.evaluators.evaluator import LARGEST_RESULT

F = np.ones((2, 3), np.float32)
I = np.ones((2, 3), np.int64)  # noqa: E741


def node(op: str, outputs: int = 1, domain: str = "", **attributes: Any) -> ir.Node:
    names = [f"o{k}" for k in range(outputs)]
    return ir.from_proto(onnx.helper.make_node(op, [""], names, domain=domain, **attributes))


def masking() -> ir.Node:
    """A Dropout whose mask another operator reads; that keeps its nodes alive."""
    dropout = node("Dropout", 2)
    ir.Graph([], [], nodes=[dropout, ir.node("Not", [dropout.outputs[1]])])
    return dropout


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize(
    ("of", "opset"),
    [
        (node("Softmax"), 20),
        (node("Add", domain="com.microsoft"), 20),
        (node("Add"), 6),
        (node("Cast", to=1), 28),
        (node("Add", broadcast=1), 20),
        (node("CumSum"), 20),
        (node("DequantizeLinear", output_dtype=1), 23),
    ],
    ids=str,
)
def test_operators_opsets_and_attributes_that_are_not_listed(of: ir.Node, opset: int) -> None:
    assert not is_known(of, opset)
    for function in (evaluate, evaluate_exact):
        with pytest.raises(Unknown):
            function(of, [F, F], opset)


NOTHING = np.ones((0,), np.float32)
W = np.ones((4, 2, 3, 3), np.float32)
IMAGE = np.ones((1, 2, 8, 8), np.float32)
CASES = {
    "integers divided by zero": (node("Div"), [I, I * 0]),
    "the one quotient that overflows": (node("Div"), [np.int64([-(2**63)]), ints(-1)]),
    "two types": (node("Add"), [F, I]),
    "sums of booleans": (node("Add"), [F > 0, F > 0]),
    "shapes that do not broadcast": (node("Mul"), [F, np.ones(4, np.float32)]),
    "a root of integers": (node("Sqrt"), [I]),
    "less than nothing": (node("Neg"), [I.astype(np.uint8)]),
    "an index behind the last": (node("Gather"), [F, ints(2)]),
    "an index before the first": (node("Gather"), [F, ints(-3)]),
    "indices that are no integers": (node("Gather"), [F, F]),
    "an axis that is not there": (node("Gather", axis=2), [F, ints(0)]),
    "a step of 0": (node("Slice"), [F, ints(0), ints(1), ints(0), ints(0)]),
    "backwards to either end": (node("Slice"), [F, ints(1), ints(2**31 - 1), ints(0), ints(-1)]),
    "an axis cut twice": (node("Slice"), [F, ints(0, 0), ints(1, 1), ints(0, 0)]),
    "bounds that are absent": (node("Slice"), [F]),
    "sizes that do not fit": (node("Reshape"), [F, ints(4, 2)]),
    "two sizes left open": (node("Reshape"), [F, ints(-1, -1)]),
    "a size that could be anything": (node("Reshape"), [NOTHING, ints(0, -1)]),
    "a size below -1": (node("Reshape"), [F, ints(-2, 3)]),
    "a size copied from nowhere": (node("Reshape"), [F, ints(2, 3, 0)]),
    "an axis squeezed that is not 1": (node("Squeeze"), [F, ints(0)]),
    "no axes to squeeze": (node("Squeeze"), [F[:1], ints()]),
    "an axis named twice": (node("Unsqueeze"), [F, ints(0, -4)]),
    "no axes to add": (node("Unsqueeze"), [F]),
    "too many axes": (node("Transpose", perm=[0, 1, 2]), [F]),
    "a size that does not expand": (node("Expand"), [F, ints(2, 4)]),
    "parts of more than there is": (node("Split", 2), [F, ints(1, 2)]),
    "parts that nobody states": (node("Split", 2), [F]),
    "no part for the last": (node("Split", 4, num_outputs=4), [np.ones(5, np.float32)]),
    "an axis to join that is not there": (node("Concat", axis=2), [F, F]),
    "an inner size of two kinds": (node("MatMul"), [F, F]),
    "a matrix of three axes": (node("Gemm"), [F[None], F.T, F]),
    "channels of two kinds": (node("Conv"), [IMAGE[:, :1], W]),
    "no room for the kernel": (node("Conv"), [IMAGE[:, :, :2], W]),
    "a kernel that leaves pixels out": (
        node("ConvTranspose", auto_pad="SAME_UPPER", strides=[4, 4]),
        [IMAGE, W[:2]],
    ),
    "a mean of nothing": (node("ReduceMean"), [NOTHING]),
    "a mean of integers": (node("ReduceMean"), [I]),
    "elements that drop": (node("Dropout"), [F, None, np.array(True)]),
    "a mask that is read": (masking(), [F]),
    "statistics of the batch": (node("BatchNormalization", training_mode=1), [F, *[F[0]] * 4]),
    "a number beyond the type": (node("Cast", to=ir.DataType.INT8), [F * 128]),
    "no number": (node("Cast", to=ir.DataType.INT32), [F * np.nan]),
    "a string": (node("Cast", to=ir.DataType.STRING), [F]),
    "a negative size": (node("ConstantOfShape"), [ints(-1)]),
    "scales along no axis": (node("DequantizeLinear"), [I.astype(np.int8), F[:, 0]]),
    "pads of more than there is": (node("Pad", mode="reflect"), [F, ints(0, 3, 0, 0)]),
    "pads that cut off too much": (node("Pad"), [F, ints(0, -3, 0, -3)]),
    "repeats of another rank": (node("Tile"), [F, ints(2)]),
    "blocks that do not fit": (node("SpaceToDepth", blocksize=3), [IMAGE]),
    "channels that are no blocks": (node("DepthToSpace", blocksize=2), [IMAGE]),
    "no room for the window": (node("MaxPool", kernel_shape=[9, 9]), [IMAGE]),
    "steps that runtimes count differently": (
        node("AveragePool", kernel_shape=[3, 3], auto_pad="VALID", ceil_mode=1),
        [IMAGE],
    ),
    "padding that is counted beyond the border": (
        node("AveragePool", kernel_shape=[3, 3], count_include_pad=1, ceil_mode=1),
        [IMAGE],
    ),
    "places that are asked for by corners and cut": (
        node("Resize", mode="linear", coordinate_transformation_mode="align_corners"),
        [IMAGE, None, np.float32([1, 1, 1.3, 1])],
    ),
    "a cubic of what is inside alone": (
        node("Resize", mode="cubic", exclude_outside=1),
        [IMAGE, None, np.float32([1, 1, 2, 2])],
    ),
    "a place that rounding could move": (
        node("Resize", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        [IMAGE, None, np.float32([1, 1, 0.3333333, 1])],
    ),
    "indices of more axes than there are": (node("GatherND"), [F, np.zeros((1, 3), np.int64)]),
    "an element outside": (node("GatherElements"), [F, np.full((2, 3), 2)]),
    "slopes that widen": (node("PRelu"), [F[0], F]),
    "an equation that does not fit": (node("Einsum", equation="ab,bc->ac"), [F, F]),
    "a condition that is no boolean": (node("Where"), [I, F, F]),
    "an input that is absent": (node("Add"), [F, None]),
}


@pytest.mark.parametrize(("of", "inputs"), CASES.values(), ids=CASES)
def test_what_does_not_fit(of: ir.Node, inputs: list[np.ndarray | None]) -> None:
    assert is_known(of, 20)
    for function in (evaluate, evaluate_exact):
        with pytest.raises(Unknown):
            function(of, inputs, 20)


def test_a_mask_that_nobody_reads_is_not_asked_for() -> None:
    """TorchScript writes it all the same."""
    (y,) = evaluate(node("Dropout", 2), [F], 20)
    np.testing.assert_array_equal(y, F)


@pytest.mark.parametrize("of", [node("Conv"), node("ConvTranspose")], ids=lambda of: of.op_type)
def test_of_no_image_nothing_is_made(of: ir.Node) -> None:
    weight = W if of.op_type == "Conv" else W[:2]
    (one,) = evaluate(of, [IMAGE, weight], 20)
    (none,) = evaluate(of, [IMAGE[:0], weight], 20)
    assert none.shape == (0, *one.shape[1:])


LARGE = ints(LARGEST_RESULT // 4 + 1)
ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("of", "inputs"),
    [
        (node("ConstantOfShape"), [LARGE]),
        (node("Expand"), [ONE, LARGE]),
        (node("Add"), [np.broadcast_to(ONE, (2**16, 1)), np.broadcast_to(ONE, (1, 2**16))]),
        (node("MatMul"), [np.broadcast_to(ONE, (2**16, 1)), np.broadcast_to(ONE, (1, 2**16))]),
        (node("Gather"), [np.broadcast_to(ONE, (1, 2**16)), np.broadcast_to(ints(0), (2**16,))]),
        (node("Conv", pads=[2**16] * 4), [IMAGE, W]),
        (node("ConvTranspose", strides=[2**16] * 2), [IMAGE, W[:2]]),
    ],
    ids=lambda of: of.op_type if isinstance(of, ir.Node) else "",
)
def test_a_result_that_is_too_large_is_not_made(of: ir.Node, inputs: list[np.ndarray]) -> None:
    with pytest.raises(Unknown, match="would take"):
        evaluate(of, inputs, 20)


@pytest.mark.parametrize(
    ("of", "inputs"),
    [
        (node("Equal"), [F, F]),
        (node("Cast", to=ir.DataType.INT64), [F]),
        (node("Cast", to=ir.DataType.BOOL), [F]),
        (node("Cast", to=ir.DataType.FLOAT16), [F]),
        (node("Cast", to=ir.DataType.FLOAT), [ints(2**24 + 1)]),
    ],
    ids=lambda of: str(of) if isinstance(of, ir.Node) else "",
)
def test_what_rounds_or_compares_has_no_exact_value(of: ir.Node, inputs: list[np.ndarray]) -> None:
    evaluate(of, inputs, 20)
    with pytest.raises(Unknown):
        evaluate_exact(of, inputs, 20)


def test_a_cast_that_widens_has_one() -> None:
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT16))
    third = np.array([1 / 3])
    for target, widens in ((ir.DataType.FLOAT, True), (ir.DataType.BFLOAT16, False)):
        cast = ir.node("Cast", [x], {"to": int(target)})
        if widens:
            assert evaluate_exact(cast, [third], 20)[0] == third
        else:
            with pytest.raises(Unknown):
                evaluate_exact(cast, [third], 20)


@pytest.mark.parametrize("opset", [7, 10, 11])
def test_negative_axes_count_from_the_back_at_every_opset(opset: int) -> None:
    squeeze = node("Squeeze", axes=[-2])
    assert evaluate(squeeze, [F[:1]], opset)[0].shape == (3,)


@pytest.mark.parametrize(
    ("op", "opset", "known"),
    [("Add", 27, True), ("Add", 28, True), ("Einsum", 27, True), ("Einsum", 28, False)],
)
def test_a_later_opset_is_known_as_far_as_it_means_the_same(
    op: str, opset: int, known: bool
) -> None:
    if onnx.defs.onnx_opset_version() < opset:
        pytest.skip("onnx does not know this opset")
    assert is_known(node(op, **({"equation": "i,i->"} if op == "Einsum" else {})), opset) == known
