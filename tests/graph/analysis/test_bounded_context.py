"""Sizes and numbers that grow from operator to operator become unknown, and inference is linear."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
import pytest
import sympy

from tests.support.graphs import build
from un_deploy.graph.analysis.bounded_context import MOST_NUMBERS, MOST_OPERATIONS, is_bounded
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.fold import fold_graph


def largest(model: ir.Model) -> int:
    """Operations in the largest expression among all sizes of a model."""
    return max(
        sympy.sympify(dim).count_ops() for dim in sizes(model) if isinstance(dim, sympy.Expr)
    )


def sizes(model: ir.Model) -> Iterator[object]:
    shapes = Shapes(model)
    for node in model.graph:
        for value in node.outputs:
            yield from shapes.of(value) or ()


def attention(blocks: int) -> ir.Model:
    """As in T5, where a bias of other names meets the scores of every block."""
    body, x, weights = "s = Shape<start=0, end=1>(x) to = Concat<axis=0>(s, tail)", "x", {}
    for i in range(blocks):
        body += f" m{i} = Mul({x}, a{i}) n{i} = Add(m{i}, b{i}) h{i} = MatMul(n{i}, w{i})"
        body += f" z{i} = Add(h{i}, bias) e{i} = Softmax(z{i}) r{i} = Reshape(e{i}, to)"
        body += f" x{i} = Add({x}, r{i})"
        weights |= {f"a{i}": (4,), f"b{i}": (4,), f"w{i}": (4, 4)}
        x = f"x{i}"
    signature = "float[B,T,4] x, float[P,Q,4] bias => float[B,T,4] y"
    return build(signature, f"{body} y = Identity({x})", tail=[-1, 4], **weights)


def tower(stages: int) -> ir.Model:
    """Each stage puts another input of another length behind what there is."""
    inputs = ", ".join(f"float[B,S{i},4] i{i}" for i in range(stages))
    body = "c0 = Concat<axis=1>(x, i0)"
    body += "".join(f" c{i} = Concat<axis=1>(c{i - 1}, i{i})" for i in range(1, stages))
    return build(f"float[B,T,4] x, {inputs} => float[B,U,4] y", f"{body} y = Neg(c{stages - 1})")


def strides(stages: int) -> ir.Model:
    body = "c0 = Conv<strides=[2], pads=[1,1]>(x, w)"
    body += "".join(f" c{i} = Conv<strides=[2], pads=[1,1]>(c{i - 1}, w)" for i in range(1, stages))
    signature = "float[B,4,W] x => float[B,4,V] y"
    return build(signature, f"{body} y = Neg(c{stages - 1})", w=(4, 4, 3))


@pytest.mark.parametrize("model", [attention(6), tower(70), strides(18)])
def test_no_size_is_larger_than_is_followed(model: ir.Model) -> None:
    assert 8 < largest(model) <= MOST_OPERATIONS


def test_the_norms_of_such_a_stream_fold_all_the_same() -> None:
    assert len(fold_graph(attention(6)).report.folded) == 6


def test_five_strides_and_the_pixels_that_are_left_are_still_known() -> None:
    body = "c0 = Conv<strides=[2,2], pads=[1,1,1,1]>(x, v)"
    body += "".join(
        f" c{i} = Conv<strides=[2,2], pads=[1,1,1,1]>(c{i - 1}, w)" for i in range(1, 5)
    )
    model = build(
        "float[B,3,H,W] x => float[B,4,N] y",
        f"{body} y = Reshape(c4, to)",
        v=(4, 3, 3, 3),
        w=(4, 4, 3, 3),
        to=[0, 4, -1],
    )
    pixels = Shapes(model).of(model.graph.outputs[0])[2]
    assert {str(symbol) for symbol in pixels.free_symbols} == {"H", "W"}
    assert int(pixels.subs(dict.fromkeys(pixels.free_symbols, 224))) == 49


def doubled(stages: int) -> ir.Model:
    body = "c0 = Concat<axis=0>(x, x)"
    body += "".join(f" c{i} = Concat<axis=0>(c{i - 1}, c{i - 1})" for i in range(1, stages))
    return build("float[3,4] x => float[N,4] y", f"{body} y = Neg(c{stages - 1})")


def squared(stages: int) -> ir.Model:
    body = "s = Shape<start=0, end=1>(x) m0 = Mul(s, s)"
    body += "".join(f" m{i} = Mul(m{i - 1}, m{i - 1})" for i in range(1, stages))
    body += f" to = Concat<axis=0>(m{stages - 1}, four) y = Expand(row, to)"
    return build("float[B,4] x => float[N,4] y", body, row=(1, 4), four=[4])


@pytest.mark.parametrize("model", [doubled(70), squared(7)])
def test_sizes_beyond_any_tensor_are_unknown(model: ir.Model) -> None:
    """3 * 2^70 entries, and B^128."""
    first, second = Shapes(model).of(model.graph.outputs[0])
    assert isinstance(first, sympy.Expr) and second == 4
    assert all(isinstance(symbol, sympy.Dummy) for symbol in first.free_symbols)


def test_sizes_that_are_large_and_can_be_are_known() -> None:
    assert Shapes(doubled(30)).of(doubled(30).graph.outputs[0]) == (3 * 2**30, 4)


def test_numbers_of_long_tables_are_not_followed() -> None:
    for count, expected in ((MOST_NUMBERS, (6,)), (MOST_NUMBERS + 1, None)):
        body = "two = Add(table, table) n = Gather(two, zero) y = Expand(row, n)"
        table = [3] * count
        model = build("float[4] x => float[N] y", body, table=table, zero=[0], row=(1,))
        assert Shapes(model).of(model.graph.outputs[0]) == expected


def test_a_tensor_of_more_axes_than_numpy_has_is_of_unknown_shape() -> None:
    for axes in (64, 65):
        to = [-1, *[1] * (axes - 1)]
        model = build("float[B,4] x => float[N] y", "r = Reshape(x, to) y = Neg(r)", to=to)
        shape = Shapes(model).of(model.graph[0].outputs[0])
        assert (shape is None) == (axes > 64)


def test_an_unnamed_size_is_none_to_be_followed() -> None:
    assert not is_bounded(ir.SymbolicDim(None))
    assert is_bounded(2**63 - 1) and not is_bounded(2**63)


@pytest.mark.parametrize("body", ["y = Mul(r, a)", "y = Add(a, r)", "y = Max(r, a)"])
def test_a_constant_of_size_1_widens_no_size_whatever_it_is(body: str) -> None:
    model = build(
        "float[B,4,N] x => float[B,5,M,7] y",
        f"q = Reshape(x, to) r = Conv(q, k) {body}",
        to=[0, 4, -1, 7],
        k=(5, 4, 1, 1),
        a=(5, 1, 1),
    )
    shapes = Shapes(model)
    assert shapes.of(model.graph.outputs[0]) == shapes.of(model.graph[-2].outputs[0])


def test_the_sum_of_hundreds_of_sizes_is_a_new_one() -> None:
    for names, known in (([f"S{i}" for i in range(300)], False), (["S"] * 300, True)):
        inputs = ", ".join(f"float[B,{name},4] i{i}" for i, name in enumerate(names))
        joined = ", ".join(f"i{i}" for i in range(300))
        model = build(f"{inputs} => float[B,N,4] y", f"y = Concat<axis=1>({joined})")
        batch, size, channels = Shapes(model).of(model.graph.outputs[0])
        assert (str(batch), channels) == ("B", 4)
        assert (str(size) == "300*S") == known
