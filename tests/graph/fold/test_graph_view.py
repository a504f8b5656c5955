"""What the solver sees: units, their biases, what touches a tensor, what must not change."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from tests.support.graphs import NORM, build
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import OUT, into

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"


def view_of(model: ir.Model) -> GraphView:
    return GraphView(model, Constants(model), Shapes(model))


def value_of(model: ir.Model, name: str) -> ir.Value:
    values = [*model.graph.inputs, *model.graph.initializers.values()]
    values += [value for node in model.graph for value in node.outputs]
    return next(value for value in values if value.name == name)


def test_units_are_the_operators_that_compute() -> None:
    body = f"t = Neg(w0) w = Transpose(t) s = Shape(x) {NORM} p = MatMul(n, w) y = Add(p, c)"
    signature = "float[B,3,4] x => float[B,3,5] y, int64[3] s"
    view = view_of(build(signature, body, a=(4,), b=(4,), w0=(5, 4), c=(5,)))
    (unit,) = view.units
    assert unit.node.op_type == "MatMul" and unit.name == unit.node.name
    assert unit.rule is not None and unit.operator.absorbs
    assert unit.output.name == "y"
    assert [(port, value.name) for port, value in unit.ports()] == [
        (into(0), "n"),
        (into(1), "w"),
        (OUT, "y"),
    ]


@pytest.mark.parametrize(
    ("body", "bias"),
    [
        ("p = MatMul(x, w) y = Add(p, c)", (5,)),
        ("p = MatMul(x, w) y = Add(c, p)", (1, 1, 5)),
    ],
)
def test_the_add_behind_a_matmul_is_its_bias(body: str, bias: tuple[int, ...]) -> None:
    view = view_of(build(SIGNATURE, body, w=(4, 5), c=bias))
    (unit,) = view.units
    assert unit.bias is not None and view.biases == {unit.node: unit.bias}


NO_BIAS = {
    "one entry a token": ("float[B,3,5] y", "y = Add(p, c)", (3, 1)),
    "a table": ("float[B,3,5] y", "y = Add(p, c)", (3, 5)),
    "a scalar": ("float[B,3,5] y", "y = Add(p, c)", ()),
    "the product has another reader": (
        "float[B,3,5] y, float[B,3,5] z",
        "y = Add(p, c) z = Neg(p)",
        (5,),
    ),
    "the product is an output": ("float[B,3,5] y, float[B,3,5] p", "y = Add(p, c)", (5,)),
    "a sum of two tensors": ("float[B,3,5] y, float[5] z", "z = Neg(c) y = Add(p, p)", (5,)),
    "a product": ("float[B,3,5] y", "y = Mul(p, c)", (5,)),
}


@pytest.mark.parametrize("case", NO_BIAS)
def test_what_is_no_bias(case: str) -> None:
    outputs, body, shape = NO_BIAS[case]
    model = build(f"float[B,3,4] x => {outputs}", f"p = MatMul(x, w) {body}", w=(4, 5), c=shape)
    assert view_of(model).biases == {}


def test_an_operator_of_another_domain_or_opset_has_no_rule() -> None:
    model = build(SIGNATURE, "y = MatMul(x, w)", w=(4, 5))
    model.graph[0].domain = "com.microsoft"
    (unit,) = view_of(model).units
    assert unit.rule is None
    old = build(SIGNATURE, "y = MatMul(x, w)", w=(4, 5))
    old.opset_imports[""] = 6
    (unit,) = view_of(old).units
    assert unit.rule is None


def test_inputs_outputs_and_what_a_body_reads_are_pinned() -> None:
    branch = "() => (float[B,3,4] {0}) {{ {0} = {1}(h) }}"
    then, other = branch.format("u", "Neg"), branch.format("v", "Abs")
    body = f"h = Relu(x) k = Neg(h) z = If(c) <then_branch = t {then}, else_branch = e {other}>"
    signature = "float[B,3,4] x, bool c => float[B,3,4] k, float[B,3,4] z"
    view = view_of(build(signature, body))
    reasons = {str(value.name): reason for value, reason in view.pinned.items()}
    assert reasons == {
        "x": "'x' is a graph input",
        "c": "'c' is a graph input",
        "k": "'k' is a graph output",
        "z": "'z' is a graph output",
        "h": "'h' is read inside a control flow body",
    }


def test_readers_read_values_and_not_shapes() -> None:
    model = build("float[B,3] x => float[B,3] y, int64[2] s", "y = Neg(x) s = Shape(x)")
    view = view_of(model)
    assert [node.op_type for node in view.readers(model.graph.inputs[0])] == ["Neg"]


def test_touching_names_each_unit_once() -> None:
    model = build("float[B,3] x => float[B,3] y", "h = Neg(x) y = Add(h, h)")
    view = view_of(model)
    touching = view.touching(value_of(model, "h"))
    assert [unit.name for unit in touching] == ["Neg_0", "Add_1"]


@pytest.mark.parametrize(
    ("body", "takes"),
    [
        ("h = MatMul(x, w)", True),
        ("p = MatMul(x, w) h = Transpose<perm=[0,2,1]>(p)", True),
        ("p = MatMul(x, w) r = Relu(x) h = Add(r, p)", True),
        ("r = Relu(x) h = Add(r, table)", True),
        ("h = Gather(table, i)", True),
        ("h = Relu(x)", False),
        ("r = Relu(x) h = Add(r, x)", False),
        ("r = Relu(x) h = Mul(k, r)", False),
        ("h = Identity(x)", False),
        ("p = MatMul(x, w) q = Mul(p, a) h = Relu(q)", False),
        ("p = MatMul(x, w) h = Mul(p, a)", False),  # a norm, which may stay
    ],
)
def test_where_a_shift_can_end(body: str, takes: bool) -> None:
    constants = {"w": (4, 4), "table": (4, 4), "k": (), "a": (4,), "i": [1]}
    used = {n: s for n, s in constants.items() if f" {n})" in body or f"({n}," in body}
    model = build("float[4,4,4] x => float[4,4,4] y", f"{body} y = Sigmoid(h)", **used)
    assert view_of(model).takes_shift(value_of(model, "h")) is takes
    assert not view_of(model).takes_shift(None)


def test_a_tower_of_sums_is_walked_once() -> None:
    """Each sum reads the one before twice: 2 ** 60 paths."""
    sums = " ".join(f"h{i + 1} = Add(h{i}, g{i}) g{i + 1} = Neg(h{i + 1})" for i in range(60))
    model = build("float[4] x => float[4] y", f"h0 = Relu(x) g0 = Neg(h0) {sums} y = Relu(h60)")
    assert not view_of(model).takes_shift(value_of(model, "h60"))


def test_sums_have_one_scale_with_the_ends_they_reach() -> None:
    body = "r = Relu(x) s = Add(x, r) t = Sub(s, k) u = Mul(t, t) v = Add(u, u) y = Neg(v)"
    view = view_of(build("float[B,3,4] x => float[B,3,4] y", body, k=(4,)))
    reasons = {str(value.name): reason for value, reason in view.unscaled.items()}
    assert reasons == {
        **dict.fromkeys("xrst", "'x' is a graph input"),
        "y": "'y' is a graph output",
    }
