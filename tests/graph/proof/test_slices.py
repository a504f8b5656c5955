"""What computes a tensor, back to where the way back ends; and what it computes."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build, stored
from un_deploy.graph.analysis.evaluators import Unknown
from un_deploy.graph.proof.slices import Evaluation, OutsideError, Slice, slice_of

SIGNATURE = "float[2,3] x, float[2,3] z => float[2,3] y"


def tensors(model: ir.Model) -> dict[str, ir.Value]:
    values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
    return {str(v.name): v for v in values} | dict(model.graph.initializers)


def back_to(model: ir.Model, *leaves: str, to_sizes: bool = False) -> Slice:
    """What computes y from these tensors."""
    return slice_of(
        tensors(model)["y"],
        lambda v: v.name in leaves,
        lambda v: v.is_initializer(),
        to_sizes=to_sizes,
    )


def run(model: ir.Model, **leaves: np.ndarray) -> np.ndarray:
    part, evaluation, values = prepared(model, **leaves)
    return evaluation.run(part, values)


def magnitude(model: ir.Model, **leaves: np.ndarray) -> np.ndarray:
    part, evaluation, values = prepared(model, **leaves)
    return evaluation.magnitude(part, values)


def prepared(
    model: ir.Model, **leaves: np.ndarray
) -> tuple[Slice, Evaluation, dict[ir.Value, np.ndarray]]:
    part, found = back_to(model, *leaves), tensors(model)
    values = {found[name]: array for name, array in leaves.items()}
    values |= {value: stored(value) for value in part.constants}
    return part, Evaluation(model.opset_imports[""]), values


class TestSliceOf:
    def test_operators_stand_behind_those_that_they_read(self) -> None:
        model = build(SIGNATURE, "h = Neg(x) k = Abs(h) l = Exp(h) y = Add(k, l)")
        part = back_to(model, "x")
        assert [node.op_type for node in part.nodes] == ["Neg", "Abs", "Exp", "Add"]
        assert [leaf.name for leaf in part.leaves] == ["x"]

    def test_it_ends_at_the_first_leaf_on_each_way(self) -> None:
        model = build(SIGNATURE, "h = Neg(x) k = Mul(h, a) y = Add(k, z)", a=(3,))
        part = back_to(model, "x", "h", "z")
        assert [node.op_type for node in part.nodes] == ["Mul", "Add"]
        assert {leaf.name for leaf in part.leaves} == {"h", "z"}
        assert [constant.name for constant in part.constants] == ["a"]

    def test_the_target_is_no_leaf(self) -> None:
        model = build(SIGNATURE, "y = Neg(x)")
        assert len(back_to(model, "x", "y").nodes) == 1

    def test_an_input_that_is_no_leaf_is_outside(self) -> None:
        model = build(SIGNATURE, "h = Neg(x) y = Add(h, z)")
        with pytest.raises(OutsideError, match="'z'"):
            back_to(model, "x")

    def test_asked_for_it_ends_at_shapes_too(self) -> None:
        """What an input's shape is needs no numbers of it."""
        model = build(SIGNATURE, "s = Shape(z) h = Neg(x) y = Reshape(h, s)")
        with pytest.raises(OutsideError, match="'z'"):
            back_to(model, "x")
        part = back_to(model, "x", to_sizes=True)
        assert [size.name for size in part.sizes] == ["s"]
        assert [node.op_type for node in part.nodes] == ["Neg", "Reshape"]

    def test_an_endless_way_back_is_outside(self) -> None:
        chain = " ".join(f"h{i + 1} = Neg(h{i})" for i in range(300))
        model = build(SIGNATURE, f"h0 = Neg(x) {chain} y = Neg(h300)")
        with pytest.raises(OutsideError, match="200 operators away"):
            back_to(model, "x")


class TestRun:
    def test_it_computes_in_float64_whatever_the_types(self) -> None:
        third = np.float16([1 / 3])
        model = build(SIGNATURE.replace("float[", "float16["), "y = Mul(x, a)", a=third)
        x = np.full((2, 3), 1 + 2.0**-40)
        np.testing.assert_array_equal(run(model, x=x), x * np.float64(third))

    def test_a_cast_between_floating_types_changes_nothing(self) -> None:
        """Rounding is not looked at: that both sides narrow alike is."""
        x = np.full((2, 3), 1 + 2.0**-40)
        for opset in (13, 20):
            model = build("float[2,3] x => double[2,3] y", "y = Cast<to=11>(x)", opset=opset)
            np.testing.assert_array_equal(run(model, x=x), x)
        model = build("float[2,3] x => float16[2,3] y", "y = Cast<to=10>(x)")
        np.testing.assert_array_equal(run(model, x=x), x)

    def test_an_operator_that_is_not_on_the_list_is_unknown(self) -> None:
        with pytest.raises(Unknown):
            run(build(SIGNATURE, "y = Softmax(x)"), x=np.zeros((2, 3)))


class TestMagnitude:
    """The sum of all terms without their signs; a result of terms that cancel is nothing beside."""

    X = np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]])

    @pytest.mark.parametrize(
        ("body", "wanted"),
        [
            ("y = Add(x, z)", 2 * np.abs(X)),
            ("y = Sub(x, z)", 2 * np.abs(X)),
            ("h = Neg(z) y = Add(x, h)", 2 * np.abs(X)),
            ("y = Mul(x, minus)", 3 * np.abs(X)),
            ("h = MatMul(x, m) y = Sub(h, z)", np.abs(X) @ np.ones((3, 3)) + np.abs(X)),
            (
                "y = Gemm<alpha=-1.0,beta=-2.0>(x, m, z)",
                np.abs(X) @ np.ones((3, 3)) + 2 * np.abs(X),
            ),
        ],
    )
    def test_signs_and_subtractions_count_as_plus(self, body: str, wanted: np.ndarray) -> None:
        used = {"minus": np.float32([-3]), "m": np.float32([[1, -1, 1]] * 3)}
        model = build(SIGNATURE, body, **{k: v for k, v in used.items() if k in body})
        read = {"z": self.X} if "z" in body else {}
        np.testing.assert_allclose(magnitude(model, x=self.X, **read), wanted)

    def test_a_normalization_subtracts_its_mean_and_adds_its_bias(self) -> None:
        constants = {"a": [2.0] * 3, "b": [-1.0] * 3, "mu": [-3.0] * 3, "v": [1.0 - 1e-5] * 3}
        arrays = {name: np.float32(entries) for name, entries in constants.items()}
        model = build(SIGNATURE, "y = BatchNormalization(x, a, b, mu, v)", **arrays)
        np.testing.assert_allclose(
            magnitude(model, x=self.X), 2 * (np.abs(self.X) + 3) + 1, rtol=1e-6
        )
