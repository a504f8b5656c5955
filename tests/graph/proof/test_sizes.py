"""Open dimensions are given numbers, and what follows from shapes follows from these."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.proof.sizes import NoSizeError, Sizes, merged


def sizes_of(
    model: ir.Model,
    first: int = 3,
    others: int = 5,
    *,
    bound: tuple[int, int] | None = None,
    **cut: int,
) -> Sizes:
    """`cut` is the sizes to take in place of static ones, such as s197=3."""
    cuts = {int(name[1:]): size for name, size in cut.items()}
    known = Shapes(model), Constants(model)
    return Sizes(model, *known, first, others, cuts, dict([bound] if bound else []))


def value(model: ir.Model, name: str) -> ir.Value:
    values = [*model.graph.inputs, *(v for node in model.graph for v in node.outputs)]
    return next(v for v in values if v.name == name)


def test_static_sizes_are_as_they_are() -> None:
    model = build("float[2,3,4] x => float[2,3,4] y", "y = Neg(x)")
    sizes = sizes_of(model)
    assert sizes.shape(value(model, "x")) == (2, 3, 4)
    assert not sizes.opened


def test_a_static_size_may_be_cut() -> None:
    model = build("float[2,197,4] x => float[2,197,4] y", "y = Neg(x)")
    assert sizes_of(model, s197=3).shape(value(model, "x")) == (2, 3, 4)


def test_every_open_size_has_its_own_number_and_keeps_it() -> None:
    model = build("float[B,S,4] x, float[B,T,4] z => float[B,S,4] y", "y = Neg(x)")
    sizes = sizes_of(model)
    x, z, y = (sizes.shape(value(model, name)) for name in "xzy")
    assert sizes.opened
    assert x[0] == z[0] == 3 and x == y
    assert x[2] == 4 and len({x[0], x[1], z[1]}) == 3


def test_or_one_is_bound_to_a_size_that_is_fixed_elsewhere() -> None:
    model = build("float[B,S,4] x, float[B,T,4] z => float[B,S,4] y", "y = Neg(x)")
    sizes = sizes_of(model, bound=(1, 12))
    assert [sizes.shape(value(model, name)) for name in "xz"] == [(3, 12, 4), (3, 7, 4)]


def test_what_is_computed_from_an_open_size_follows_it() -> None:
    body = "c = Concat<axis=1>(x, x) y = Reshape(c, r)"
    model = build("float[B,S,4] x => float[B,T,2,2] y", body, r=[0, -1, 2, 2])
    sizes = sizes_of(model)
    (batch, length, _) = sizes.shape(value(model, "x"))
    assert sizes.shape(value(model, "c")) == (batch, 2 * length, 4)
    assert sizes.shape(value(model, "y")) == (batch, 2 * length, 2, 2)


def test_what_is_told_binds_an_open_size() -> None:
    """A gauge of shape (1, 1, 4) says that there are four channels; 1 says nothing."""
    model = build("float[B,S,C] x => float[B,S,C] y", "y = Neg(x)")
    sizes = sizes_of(model)
    assert sizes.shape(value(model, "x"), told=(1, 1, 4))[2] == 4
    assert sizes.shape(value(model, "y"))[2] == 4


def test_what_an_if_gives_is_drawn_as_its_first_branch_says() -> None:
    """Its shape is not inferred, since another branch may give another."""
    branches = """then_branch = t () => (float[B,7,4] u) { u = Neg(x) },
                  else_branch = e () => (float[B,7,4] v) { v = Abs(x) }"""
    signature = "float[B,7,4] x, bool c => float[B,7,4] y"
    model = build(signature, f"i = If(c) <{branches}> y = Neg(i)")
    assert sizes_of(model).shape(value(model, "i")) == (3, 7, 4)


def test_a_size_that_would_be_no_size_is_refused() -> None:
    """Slice from the eighth place on, of five."""
    body = "y = Slice(x, start, end, axis)"
    constants = {"start": [8], "end": [999], "axis": [1]}
    model = build("float[B,S,4] x => float[B,T,4] y", body, **constants)
    with pytest.raises(NoSizeError, match="a size of 'y' would be"):
        small = sizes_of(model)
        small.shape(value(model, "x"))
        small.shape(value(model, "y"))
    large = sizes_of(model, 16, 16)
    assert large.shape(value(model, "x")) == (16, 32, 4)
    assert large.shape(value(model, "y")) == (16, 24, 4)


def test_two_open_sizes_are_bound_to_what_they_multiply_to() -> None:
    assert list(merged({6}, 2, 1)) == [{0: 2, 1: 3}, {0: 3, 1: 2}]
    assert list(merged({4}, 2, 8)) == [
        {0: 2},
        {1: 2},
        {0: 2, 1: 2},
        {0: 16},
        {1: 16},
        {0: 16, 1: 16},
    ]
    assert list(merged({1, 7}, 3, 2)) == []


class TestIntegers:
    def test_they_follow_from_shapes_and_constants(self) -> None:
        body = """s = Shape(x) l = Gather(s, one) m = Mul(l, two) e = Shape<start=1>(x)
                  n = Size(x) y = Neg(x)"""
        model = build("float[B,S,4] x => float[B,S,4] y", body, one=[1], two=2)
        sizes = sizes_of(model)
        batch, length, _ = sizes.shape(value(model, "x"))
        found = {name: sizes.integers(value(model, name)) for name in "smen"}
        assert found["s"].tolist() == [batch, length, 4]
        assert found["m"].tolist() == [2 * length]
        assert found["e"].tolist() == [length, 4]
        assert found["n"] == batch * length * 4

    def test_what_comes_from_data_is_not_known(self) -> None:
        body = "h = Cast<to=7>(x) i = Add(h, j) y = Neg(x)"
        model = build("float[2] x, int64[2] j => float[2] y", body)
        assert sizes_of(model).integers(value(model, "i")) is None

    def test_a_way_of_many_operators_is_no_deep_recursion(self) -> None:
        chain = " ".join(f"h{i + 1} = Neg(h{i})" for i in range(3000))
        model = build("float[2,3] x => float[2,3] y", f"h0 = Shape(x) {chain} y = Neg(x)")
        assert sizes_of(model).integers(value(model, "h3000")).tolist() == [2, 3]


@pytest.mark.parametrize("body", ["y = Expand(one, n)", "y = ConstantOfShape(n)"])
def test_numbers_of_no_shape_are_not_computed(body: str) -> None:
    for count, known in ((1000, True), (2**18, False)):
        model = build(f"float[{count}] x => int64[N] y", f"n = Shape(x) {body}", one=[1])
        (y,) = model.graph.outputs
        assert (sizes_of(model).integers(y) is not None) == known
