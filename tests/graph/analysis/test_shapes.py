"""Every shape is inferred from the inputs and the constants alone, and none is guessed.

Most tests here are contracts: they hold what the rewriter relies on in onnx-shape-inference, and
what is corrected in it, so that a new version that behaves otherwise is noticed here.
"""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnx_ir as ir
import pytest
import sympy

from un_deploy.graph.analysis.dims import Shape, same_dim, same_shape, symbol
from un_deploy.graph.analysis.shapes import Shapes

B, N = symbol("B"), symbol("N")


def _model(body: str, inputs: str = "float[B, N, 12] x", opset: int = 17) -> ir.Model:
    text = f'<ir_version: 8, opset_import: ["": {opset}]> g ({inputs}) => (y) {{ {body} }}'
    return ir.from_proto(onnx.parser.parse_model(text))


def _value(model: ir.Model, name: str) -> ir.Value:
    nodes = (value for node in model.graph for value in node.outputs)
    return next(v for v in (*model.graph.inputs, *nodes) if v.name == name)


def _shape(model: ir.Model, name: str = "y") -> Shape | None:
    return Shapes(model).of(_value(model, name))


def _ints(**constants: int | list[int]) -> str:
    """Constant nodes by name."""
    lines = []
    for name, value in constants.items():
        kind = f"int64[{len(value)}]" if isinstance(value, list) else "int64"
        numbers = ", ".join(map(str, np.atleast_1d(value)))
        lines.append(f"{name} = Constant<value = {kind} {{{numbers}}}>()")
    return " ".join(lines)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ([0, 0, 3, 4], (B, N, 3, 4)),
        ([0, 0, -1, 4], (B, N, 3, 4)),
        ([0, -1], (B, 12 * N)),
        ([-1, 12], (B * N, 12)),
    ],
)
def test_reshape_to_a_constant_target(target: list[int], expected: Shape):
    model = _model(_ints(to=target) + "y = Reshape(x, to)")
    assert same_shape(_shape(model), expected)


def test_reshape_to_a_target_put_together_from_shape():
    """TorchScript's way to write ``x.transpose(1, 2).reshape(b, c, -1).unsqueeze(3)``."""
    model = _model(
        _ints(zero=0, one=1, front=[0], rest=[-1], last=[3])
        + """t = Transpose<perm = [0, 2, 1]>(x)
        size = Shape(t)
        b = Gather(size, zero)
        c = Gather(size, one)
        b1 = Unsqueeze(b, front)
        c1 = Unsqueeze(c, front)
        to = Concat<axis = 0>(b1, c1, rest)
        r = Reshape(t, to)
        y = Unsqueeze(r, last)"""
    )
    assert _shape(model) == (B, 12, N, 1)


def test_a_size_divided_at_run_time():
    """``reshape(b, heads, c // heads, -1)`` of a traced module: the division leaves no rest."""
    model = _model(
        _ints(two=[2], start=[2], end=[3])
        + """size = Shape(x)
        c = Slice(size, start, end)
        half = Div(c, two)
        y = ConstantOfShape(half)
        rest = Constant<value = int64[1] {-1}>()
        to = Concat<axis = 0>(two, rest)
        pair = Reshape(x, to)
        flat = Reshape(pair, rest)""",
        "float[B, N, C] x",
    )
    assert _shape(model) == (sympy.floor(symbol("C") / 2),)
    assert same_shape(_shape(model, "flat"), (B * N * symbol("C"),))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = Flatten<axis = 2>(x)", (B * N, 12)),
        ("y = Shape(x)", (3,)),
        (_ints(i=0) + "y = Gather<axis = 1>(x, i)", (B, 12)),
        (_ints(s=[0], e=[1], a=[1]) + "y = Slice(x, s, e, a)", (B, 1, 12)),
        (_ints(s=[1], e=[9223372036854775807], a=[1]) + "y = Slice(x, s, e, a)", (B, N - 1, 12)),
        ("y = Concat<axis = 1>(x, x)", (B, 2 * N, 12)),
        ("y = ReduceMean<axes = [1], keepdims = 0>(x)", (B, 12)),
        ("t = Transpose<perm = [0, 2, 1]>(x) y = MatMul(x, t)", (B, N, N)),
        ("y = Einsum<equation = 'bnc,bmc->bnm'>(x, x)".replace("'", '"'), (B, N, N)),
        (_ints(parts=[4, 8]) + "y, z = Split<axis = 2>(x, parts)", (B, N, 4)),
        ("y = Softmax<axis = -1>(x)", (B, N, 12)),
        ("y = Dropout(x)", (B, N, 12)),
        ("y = Cast<to = 10>(x)", (B, N, 12)),
    ],
)
def test_operators_that_networks_are_made_of(body: str, expected: Shape):
    assert same_shape(_shape(_model(body)), expected)


def test_gemm_and_strided_convolution():
    gemm = _model("y = Gemm<transB = 1>(x, w)", "float[B, 8] x, float[6, 8] w")
    assert _shape(gemm) == (B, 6)
    conv = _model("y = Conv<strides = [4, 4]>(x, w)", "float[B, 3, 32, 32] x, float[16, 3, 4, 4] w")
    assert _shape(conv) == (B, 16, 8, 8)


@pytest.mark.parametrize("opset", [11, 13])
def test_axes_as_an_attribute_and_as_an_input(opset: int):
    body = (
        "u = Unsqueeze<axes = [0]>(x) y = Squeeze<axes = [0]>(u)"
        if opset < 13
        else _ints(a=[0]) + "u = Unsqueeze(x, a) y = Squeeze(u, a)"
    )
    model = _model(body, opset=opset)
    assert _shape(model, "u") == (1, B, N, 12)
    assert _shape(model) == (B, N, 12)


def test_zeros_like_and_expand_of_minus_one_as_torchscript_writes_them():
    """``token.expand(batch, -1, -1)``: Where(Equal(target, -1), ones, target)."""
    model = _model(
        _ints(zero=0, front=[0], keep=[-1, -1], three=[3], minus=-1)
        + """size = Shape(x)
        b = Gather(size, zero)
        b1 = Unsqueeze(b, front)
        target = Concat<axis = 0>(b1, keep)
        ones = ConstantOfShape<value = int64[1] {1}>(three)
        minus_ones = Mul(ones, minus)
        unset = Equal(target, minus_ones)
        to = Where(unset, ones, target)
        wide = Expand(token, to)
        y = Concat<axis = 1>(wide, x)
        same = ConstantOfShape(size)""",
        inputs="float[B, N, 12] x, float[1, 1, 12] token",
    )
    assert _shape(model, "wide") == (B, 1, 12)
    assert same_shape(_shape(model), (B, N + 1, 12))
    assert _shape(model, "same") == (B, N, 12)


def test_two_sizes_broadcast_to_the_greater_never_to_the_first():
    model = _model("y = Add(x, z)", "float[B, 12] x, float[M, 12] z")
    shape = _shape(model)
    assert shape is not None
    assert same_dim(shape[0], sympy.Max(B, symbol("M")))
    assert not same_dim(shape[0], B)


def test_a_position_table_cut_to_the_sequence_adds_to_it():
    """The slice has min(512, N) rows; where the sum is defined, these are N."""
    model = _model(
        _ints(one=1, start=[0], axis=[0], front=[0])
        + """size = Shape(x)
        n = Gather(size, one)
        n1 = Unsqueeze(n, front)
        rows = Slice(table, start, n1, axis)
        y = Add(x, rows)""",
        "float[B, N, 12] x, float[512, 12] table",
    )
    assert _shape(model) == (B, N, 12)


def test_a_slice_is_not_taken_to_lie_inside_a_symbolic_axis():
    model = _model(_ints(s=[0], e=[5], a=[1]) + "y = Slice(x, s, e, a)")
    shape = _shape(model)
    assert shape is not None
    (cut,) = shape[1:2]
    assert [cut.subs(N, n) for n in (3, 5, 8)] == [3, 5, 5]


def test_a_squeeze_without_axes_has_no_rank_while_a_size_is_symbolic():
    assert _shape(_model("y = Squeeze(x)")) is None
    assert _shape(_model("y = Squeeze(x)", "float[1, 3] x")) == (3,)


def test_a_number_of_unknown_sign_is_no_size():
    """Two tensors reshaped by one run-time -1 do not get equal axes."""
    model = _model(
        _ints(twelve=[12])
        + """to = Concat<axis = 0>(k, twelve)
        first = Reshape(x, to)
        second = Reshape(z, to)
        y = Concat<axis = 0>(first, second)""",
        "float[B, N, 12] x, float[B, M, 12] z, int64[1] k",
    )
    shapes = Shapes(model)
    first, second = (shapes.of(_value(model, name)) for name in ("first", "second"))
    assert first is not None and second is not None
    assert not same_dim(first[0], second[0])


def test_a_float_detour_is_not_an_integer_division():
    """7 / 2 * 2 is 7 in floating point, and 6 in whole numbers."""
    model = _model(
        _ints(front=[0], seven=7, two=2)
        + """a = Cast<to = 1>(seven)
        b = Cast<to = 1>(two)
        half = Div(a, b)
        whole = Mul(half, b)
        n = Cast<to = 7>(whole)
        n1 = Unsqueeze(n, front)
        y = ConstantOfShape(n1)"""
    )
    assert _shape(model) != (6,)


def test_names_that_are_no_expressions():
    """TorchScript writes names such as these; others are words of the expression language."""
    model = _model("t = Transpose(x) y = Relu(t)")
    names = ["Addonnx::Gather_400_dim_1", "batch + 1", "floor"]
    model.graph.inputs[0].shape = ir.Shape(names)
    assert _shape(model) == tuple(symbol(name) for name in reversed(names))


def test_nameless_dimensions_are_equal_only_to_themselves():
    model = _model("y = Add(x, x)", "float[?, ?, 12] x")
    shapes = Shapes(model)
    x, y = shapes.of(_value(model, "x")), shapes.of(_value(model, "y"))
    assert same_shape(x, y)
    assert y is not None and y[2] == 12
    assert not same_dim(y[0], y[1])
    assert not same_dim(y[0], Shapes(model).of(_value(model, "y"))[0])


def _claim(model: ir.Model, name: str, dims: list[int | str | None]) -> None:
    _value(model, name).shape = ir.Shape(dims)


def test_invented_names_of_outputs_mean_nothing():
    model = _model("a = Relu(x) y = Relu(a)")
    _claim(model, "a", ["Relua_dim_0", "N", 12])
    _claim(model, "y", ["N", "Reluy_dim_1", 12])
    assert _shape(model) == (B, N, 12)


def test_a_wrong_static_claim_makes_that_size_unknown():
    model = _model("a = Relu(x) y = Relu(a)")
    _claim(model, "a", ["B", "N", 16])
    shapes = Shapes(model)
    a = shapes.of(_value(model, "a"))
    assert a == (B, N, None)
    assert not same_shape(a, a)
    assert list(shapes.contradictions) == ["a"]
    assert shapes.of(_value(model, "y")) == (B, N, 12)


def test_a_wrong_rank_makes_the_shape_unknown():
    model = _model("a = Relu(x) y = Relu(a)")
    _claim(model, "a", ["B", 12])
    assert _shape(model, "a") is None


def test_a_claim_about_an_operator_that_nobody_knows_is_not_believed():
    text = (
        '<ir_version: 8, opset_import: ["": 17, "my": 1]>'
        "g (float[B, 12] x) => (float[B, 12] y) { a = my.Op(x) y = Relu(a) }"
    )
    model = ir.from_proto(onnx.parser.parse_model(text))
    _claim(model, "a", ["B", 12])
    assert _shape(model, "a") is None
    assert _shape(model, "y") is None


def test_a_constant_has_its_true_shape_whatever_is_claimed():
    model = _model("y = Add(x, w)")
    tensor = ir.tensor(np.zeros((1, 12), np.float32), name="w")
    (node,) = model.graph
    weight = ir.Value(name="w", const_value=tensor, shape=ir.Shape([5]))
    node.replace_input_with(1, weight)
    model.graph.register_initializer(weight)
    assert Shapes(model).of(weight) == (1, 12)


def test_an_overridable_initializer_is_no_constant():
    text = """<ir_version: 8, opset_import: ["": 17]>
    g (float[B, 12] x, int64[3] to = {-1, 3, 4}) => (y) { y = Reshape(x, to) }"""
    model = ir.from_proto(onnx.parser.parse_model(text))
    assert model.graph.inputs[1].is_initializer()
    shape = _shape(model)
    assert shape is not None and len(shape) == 3
    assert not any(isinstance(dim, int) for dim in shape)


def test_branches_are_unknown():
    text = """<ir_version: 8, opset_import: ["": 17]>
    g (float[B, 12] x, bool c) => (y) {
        y = If (c) <then_branch = a () => (float[B, 12] p) { p = Relu(x) },
                    else_branch = b () => (float[B, 12] q) { q = Neg(x) }>
    }"""
    assert _shape(ir.from_proto(onnx.parser.parse_model(text))) is None


def test_local_functions_are_looked_into():
    text = """<ir_version: 8, opset_import: ["": 17, "my": 1]>
    g (float[B, N, 12] x) => (y) { y = my.Swap(x) }
    <domain: "my", opset_import: ["": 17]> Swap (a) => (b) { b = Transpose(a) }"""
    model = ir.from_proto(onnx.parser.parse_model(text))
    assert _shape(model) == (12, N, B)
    assert [node.op_type for node in model.graph] == ["Swap"]


def test_nothing_is_written_to_the_model_and_no_weight_is_read():
    def read() -> ir.Tensor:
        raise AssertionError("a weight was read")

    model = _model("h = MatMul(x, w) y = Shape(h)")
    weight = ir.Value(
        name="w",
        shape=ir.Shape([12, 4096]),
        type=ir.TensorType(ir.DataType.FLOAT),
        const_value=ir.LazyTensor(
            read, dtype=ir.DataType.FLOAT, shape=ir.Shape([12, 4096]), name="w"
        ),
    )
    next(iter(model.graph)).replace_input_with(1, weight)
    model.graph.register_initializer(weight)

    assert _shape(model, "h") == (B, N, 4096)
    for node in model.graph:
        for value in node.outputs:
            assert value.shape is None
            assert value.const_value is None
            assert not value.metadata_props


def test_shapes_follow_an_edit():
    model = _model("y = Relu(x)")
    shapes = Shapes(model)
    new = ir.Value(name="new")
    assert shapes.of(new) is None
    shapes.set(new, (B, sympy.Integer(3)))
    assert shapes.of(new) == (B, 3)


def test_a_size_of_minus_one_is_a_dynamic_one():
    """As Paddle writes it. Two of them are not equal, and their product is not 1."""
    model = _model("y = Flatten(x) z = Relu(x)", "float[7, 8, 12] x")
    model.graph.inputs[0].shape = ir.Shape([-1, -1, 12])
    model.graph.outputs[0].shape = ir.Shape([-1, -1])
    shapes = Shapes(model)
    x, y, z = (shapes.of(_value(model, name)) for name in "xyz")
    assert x is not None and y is not None
    assert same_shape(x, z) and x[2] == 12
    assert not same_dim(x[0], x[1])
    assert same_shape(y, (x[0], 12 * x[1]))
    assert not shapes.contradictions
