"""Two models are one network when nothing but names, order and the holding of constants differ."""

from __future__ import annotations

import random

import onnx_ir as ir
import pytest
from onnx import parser

from tests.support.isomorphism import differences
from un_deploy.errors import InputError

HEADER = '<ir_version: 10, opset_import: ["" : 20]>'

#: A block with a shortcut: two linear layers, an attention scale, a shape constant.
PLAIN = """
{
    c = MatMul(x, w1)
    d = Add(c, b1)
    scale = Constant<value = float {0.125}>()
    e = Mul(d, scale)
    f = Softmax<axis = 1>(e)
    target = Constant<value = int64[2] {-1, 4}>()
    g = Reshape(f, target)
    h = MatMul(g, w2)
    i = Sub(h, x)
    y = Relu(i)
}"""
SIGNATURE = "(float[batch, 4] x) => (float[batch, 4] y)"
#: Floating weights are compared by shape, so the numbers are left out.
WEIGHTS = "float[4, 4] w1 = {}, float[4] b1 = {}, float[4, 4] w2 = {}"


def _model(body: str = PLAIN, weights: str = WEIGHTS, signature: str = SIGNATURE) -> ir.Model:
    held = f"<{weights}>" if weights else ""
    return ir.from_proto(parser.parse_model(f"{HEADER} main {signature} {held} {body}"))


def _changed(*replacements: tuple[str, str], weights: str = WEIGHTS) -> ir.Model:
    body = PLAIN
    for old, new in replacements:
        assert old in body
        body = body.replace(old, new)
    return _model(body, weights)


def _renamed_and_reordered(model: ir.Model) -> ir.Model:
    """Other names for every tensor, node and dimension; nodes and initializers in other order."""
    graph = model.graph
    values = [*graph.inputs, *graph.initializers.values(), *(v for n in graph for v in n.outputs)]
    for index, value in enumerate(values):
        value.name = f"value_{index}"
    for index, node in enumerate(graph):
        node.name = f"node_{index}"
    for value in (*graph.inputs, *graph.outputs):
        value.shape = ir.Shape(["n", 4])
    nodes = list(graph)
    for node in random.Random(0).sample(nodes, len(nodes)):
        graph.remove(node)
        graph.append(node)
    initializers = list(graph.initializers.values())
    graph.initializers.clear()
    for value in reversed(initializers):
        graph.register_initializer(value)
    return model


def test_names_and_order_play_no_part():
    assert differences(_model(), _renamed_and_reordered(_model())) == []
    assert differences(_renamed_and_reordered(_model()), _model()) == []


def test_a_model_is_itself_and_is_not_changed():
    model = _model()
    before = ir.to_proto(model)
    assert differences(model, model) == []
    assert ir.to_proto(model) == before


@pytest.mark.parametrize(
    "other",
    [
        _changed(("MatMul(x, w1)", "MatMul(x, w)"), ("c = M", "w = Identity(w1) c = M")),
        _changed(
            ("target = Constant<value = int64[2] {-1, 4}>()", ""),
            weights=WEIGHTS + ", int64[2] target = {-1, 4}",
        ),
        _changed(("value = int64[2] {-1, 4}", "value_ints = [-1, 4]")),
        _changed(("value = float {0.125}", "value_float = 0.125")),
        # One parameter that two layers share, or two that are equal.
        _changed(("MatMul(g, w2)", "MatMul(g, w1)"), weights=WEIGHTS.rsplit(",", 2)[0]),
    ],
    ids=["identity", "initializer", "ints", "float", "shared"],
)
def test_how_a_constant_is_held_plays_no_part(other: ir.Model):
    assert differences(_model(), other) == []
    assert differences(other, _model()) == []


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (_changed(("Sub(h, x)", "Sub(x, h)")), "input 0 of Sub"),
        (_changed(("Sub(h, x)", "Sub(h, d)")), "input 1 of Sub"),
        (_changed(("Sub(h, x)", "Add(h, x)")), "input 0 of Relu"),
        (_changed(("axis = 1", "axis = 0")), "attributes of Softmax 'f': axis=1 in a, axis=0 in b"),
        (_changed(("axis = 1", "axis = 1, other = 2")), "axis=1 in a, axis=1, other=2 in b"),
        (_changed(("{-1, 4}", "{4, -1}")), "input 1 of Reshape"),
        (_changed(("{0.125}", "{0.25}")), "input 1 of Mul"),
        (_changed(weights=WEIGHTS.replace("[4, 4] w2", "[4, 8] w2")), "input 1 of MatMul"),
        (_changed(weights=WEIGHTS.replace("float[4, 4] w2", "double[4, 4] w2")), "of MatMul"),
        (_changed(("y = Relu(i)", "y = Relu(i) z = Relu(h)")), "in b no output depends on Relu"),
        (_changed(weights=WEIGHTS + ", float[4] b2 = {}"), "depends on initializer 'b2'"),
        (_changed(("MatMul(g, w2)", "MatMul(g, w2, b1)")), "input 2 of MatMul"),
        (_changed(("d = Add(c, b1)", "k = Add(c, b1) d = Relu(k)")), "input 0 of Mul"),
    ],
)
def test_one_change_is_found_from_either_side(other: ir.Model, expected: str):
    found = differences(_model(), other)
    assert any(expected in line for line in found), found
    assert differences(other, _model()) != []
    assert all("\n" not in line for line in found)


def test_a_line_names_both_sides():
    other = _changed(("Sub(h, x)", "Sub(h, d)"))
    assert differences(_model(), other) == [
        "input 1 of Sub 'i': input 'x' in a, Add 'd' in b",
    ]


@pytest.mark.parametrize(("sizes", "found"), [((6, 4), 0), ((6, 2), 1), (("batch", 4), 1)])
def test_a_target_may_leave_one_size_out_where_all_are_fixed(sizes: tuple[object], found: int):
    """As one exporter writes it behind one operator, and not behind another."""
    open_, fixed = _model(), _changed(("{-1, 4}", "{6, 4}"))
    for model, shape in ((open_, (6, 4)), (fixed, sizes)):
        (reshape,) = (node for node in model.graph if node.op_type == "Reshape")
        reshape.outputs[0].shape = ir.Shape(shape)
    assert len(differences(open_, fixed)) == len(differences(fixed, open_)) == found


def test_an_unfolded_norm_is_found():
    unfolded = _changed(
        ("c = MatMul(x, w1)", "m = Mul(x, scale1) n = Add(m, shift1) c = MatMul(n, w1)"),
        weights=WEIGHTS + ", float[4] scale1 = {}, float[4] shift1 = {}",
    )
    assert differences(unfolded, _model()) == [
        "input 0 of MatMul 'c': Add 'n' in a, input 'x' in b",
    ]


#: Two equal branches: every node has a twin, so only the pairing tells the edges apart.
TWINS = (
    "{ a = Relu(x) b = Relu(x) c = Exp(a) d = Exp(b) e = Add(c, d) f = Add(e, a) y = Add(f, b) }"
)


@pytest.mark.parametrize(
    "body",
    [
        TWINS.replace("Exp(b)", "Exp(a)"),
        TWINS.replace("Add(c, d)", "Add(c, c)"),
        TWINS.replace("Add(c, d)", "Add(d, c)"),
        TWINS.replace("Add(f, b)", "Add(f, a)"),
    ],
)
def test_an_edge_moved_to_a_twin_is_found(body: str):
    first, second = _model(TWINS, ""), _model(body, "")
    assert any(" again" in line for line in differences(first, second))
    assert any(" again" in line for line in differences(second, first))


def test_one_node_read_twice_is_not_two_equal_nodes():
    two = _model("{ a = Relu(x) b = Relu(x) y = Add(a, b) }", "")
    one = _model("{ a = Relu(x) y = Add(a, a) }", "")
    assert differences(two, one) == ["input 1 of Add 'y': Relu 'b' in a, Relu 'a' again in b"]
    assert differences(one, two) == ["input 1 of Add 'y': Relu 'a' again in a, Relu 'b' in b"]


def test_an_output_of_a_node_is_told_from_another():
    def split(body: str) -> ir.Model:
        return _model(body, "", "(float[2] x) => (float[1] y, float[1] z)")

    body = "{ y, z = Split<axis = 0, num_outputs = 2>(x) }"
    assert differences(split(body), split(body.replace("y, z", "z, y"))) == [
        "output 0 of the graph: Split 'y' in a, output 1 of Split 'z' in b"
    ]


SIGNATURES = "(float[batch, seq] x, int64[batch, seq] m) => (float[batch, 4] y, float[batch] z)"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("batch", "n"), True),
        (("int64[batch, seq]", "int64[batch, batch]"), False),
        (("seq", "batch"), False),
        (("float[batch, 4] y", "float[batch, 5] y"), False),
        (("float[batch, 4] y", "float[batch, four] y"), False),
        (("float[batch, 4] y", "float16[batch, 4] y"), False),
        (("float[batch] z", "float[batch, 1] z"), False),
        (("float[batch] z", "float[] z"), False),
        ((", float[batch] z", ""), False),
        (
            (
                "float[batch, seq] x, int64[batch, seq] m",
                "int64[batch, seq] m, float[batch, seq] x",
            ),
            False,
        ),
    ],
)
def test_the_signature_is_compared_up_to_the_names_of_dimensions(
    change: tuple[str, str], same: bool
):
    def model(signature: str) -> ir.Model:
        return _model("{ y = Foo(x, m) z = Bar(x) }", "", signature)

    found = differences(model(SIGNATURES), model(SIGNATURES.replace(*change)))
    assert (found == []) is same, found


def test_an_input_that_is_an_output_has_a_place_of_its_own():
    signature = "(float[4] x, float[4] u) => (float[4] x, float[4] u)"
    swapped = "(float[4] x, float[4] u) => (float[4] u, float[4] x)"
    first = _model("{}", "", signature)
    assert differences(first, _model("{}", "", signature)) == []
    assert differences(first, _model("{}", "", swapped)) != []


class TestGainedBiases:
    """A fold may give a linear operator a bias; the caller names it, and it is passed over."""

    WITHOUT = "{ c = MatMul(x, w) y = Relu(c) }"
    WITH = "{ k = MatMul(x, w) c = Add(k, b) y = Relu(c) }"

    def test_an_add_behind_a_matmul(self):
        a = _model(self.WITH, "float[4, 4] w = {}, float[4] b = {}")
        b = _model(self.WITHOUT, "float[4, 4] w = {}")
        assert differences(a, b) == ["input 0 of Relu 'y': Add 'c' in a, MatMul 'c' in b"]
        assert differences(a, b, gained_biases=["c"]) == []

    def test_it_is_passed_over_wherever_it_is_read(self):
        a = _model(self.WITH.replace("Relu(c)", "Mul(c, c)"), "float[4, 4] w = {}, float[4] b = {}")
        b = _model(self.WITHOUT.replace("Relu(c)", "Mul(c, c)"), "float[4, 4] w = {}")
        assert differences(a, b, gained_biases=["c"]) == []

    @pytest.mark.parametrize("op", ["Gemm", "Conv"])
    def test_an_input_of_gemm_and_conv(self, op: str):
        a = _model(f"{{ c = {op}(x, w, b) y = Relu(c) }}", "float[4, 4] w = {}, float[4] b = {}")
        b = _model(f"{{ c = {op}(x, w) y = Relu(c) }}", "float[4, 4] w = {}")
        assert differences(a, b) != []
        assert differences(a, b, gained_biases=["c"]) == []

    def test_the_rest_of_the_operator_still_counts(self):
        a = _model(self.WITH, "float[4, 8] w = {}, float[4] b = {}")
        b = _model(self.WITHOUT, "float[4, 4] w = {}")
        (line,) = differences(a, b, gained_biases=["c"])
        assert line.startswith("input 1 of MatMul 'k'")

    def test_a_bias_that_both_have_is_not_gained(self):
        a = _model("{ c = Gemm(x, w, b) y = Relu(c) }", "float[4, 4] w = {}, float[4] b = {}")
        assert differences(a, a) == []
        assert differences(a, a, gained_biases=["c"]) == [
            "input 2 of Gemm 'c': nothing in a, constant 'b' FLOAT[4] = [0.0, 0.0, 0.0, 0.0] in b"
        ]

        a = _model(self.WITH, "float[4, 4] w = {}, float[4] b = {}")
        assert differences(a, a) == []
        assert differences(a, a, gained_biases=["c"]) == [
            "input 0 of Relu 'y': MatMul 'k' in a, Add 'c' in b"
        ]

    @pytest.mark.parametrize("name", ["y", "k", "nonesuch"])
    def test_a_name_that_is_no_gained_bias_is_a_difference(self, name: str):
        a = _model(self.WITH, "float[4, 4] w = {}, float[4] b = {}")
        assert f"a has no bias at {name!r} that b lacks" in differences(a, a, gained_biases=[name])

    def test_an_add_of_two_computed_tensors_is_no_bias(self):
        a = _model("{ k = MatMul(x, w) c = Add(k, x) y = Relu(c) }", "float[4, 4] w = {}")
        b = _model(self.WITHOUT, "float[4, 4] w = {}")
        assert differences(a, b, gained_biases=["c"]) != []


def _branches(then: str, otherwise: str, before: str = "h = Relu(x)") -> ir.Model:
    body = f"""{{
        {before}
        w = Exp(x)
        k = Add(h, w)
        y = If (p) <
            then_branch = t () => (float[4] r) {{ {then} }},
            else_branch = e () => (float[4] s) {{ {otherwise} }}
        >
        z = Add(y, k)
    }}"""
    signature = "(float[4] x, bool p) => (float[4] z)"
    return ir.from_proto(parser.parse_model(f"{HEADER} main {signature} {body}"))


@pytest.mark.parametrize(
    ("then", "otherwise", "before", "same"),
    [
        ("r = Add(h, w)", "s = Neg(h)", "h = Relu(x)", True),
        ("q = Add(h, w) r = Identity(q)", "s = Neg(h)", "h = Relu(x)", False),
        ("r = Add(w, h)", "s = Neg(h)", "h = Relu(x)", False),
        ("r = Add(h, w)", "s = Abs(h)", "h = Relu(x)", False),
        ("r = Add(h, w) q = Neg(h)", "s = Neg(h)", "h = Relu(x)", False),
        ("r = Add(h, w)", "s = Neg(h)", "h = Abs(x)", False),
        ("w2 = Exp(x) r = Add(h, w2)", "s = Neg(h)", "h = Relu(x)", False),
    ],
)
def test_bodies_of_control_flow_are_compared(then: str, otherwise: str, before: str, same: bool):
    first = _branches("r = Add(h, w)", "s = Neg(h)")
    second = _branches(then, otherwise, before)
    assert (differences(first, second) == []) is same
    assert (differences(second, first) == []) is same


def test_an_operator_outside_a_body_is_not_one_inside():
    outside = _branches("r = Add(h, v)", "s = Neg(h)", "h = Relu(x) v = Exp(x)")
    inside = _branches("v = Exp(x) r = Add(h, v)", "s = Neg(h)")
    assert differences(outside, inside) == [
        "input 1 of Add 'r': Exp 'v' in a, Exp 'v' of body 2 in b"
    ]


def test_inputs_of_a_loop_body_have_their_places():
    def loop(body: str) -> ir.Model:
        text = f"""{HEADER} main (float[4] x, int64 n, bool c) => (float[4] y) {{
            y = Loop(n, c, x) <body = b (int64 i, bool go, float[4] v) => (bool on, float[4] r)
                {{ {body} }}>
        }}"""
        return ir.from_proto(parser.parse_model(text))

    first = loop("on = Identity(go) r = Relu(v)")
    assert differences(first, loop("r = Relu(v) on = Identity(go)")) == []
    assert differences(first, loop("on = Identity(c) r = Relu(v)")) != []
    assert differences(first, loop("on = Identity(go) r = Relu(x)")) != []


def test_local_functions_must_be_inlined_first():
    text = """<ir_version: 10, opset_import: ["" : 20, "f" : 1]>
    main (float[4] x) => (float[4] y) { y = f.F(x) }
    <domain: "f", opset_import: ["" : 20]> F (a) => (b) { b = Relu(a) }"""
    model = ir.from_proto(parser.parse_model(text))
    with pytest.raises(InputError, match="inline them first"):
        differences(model, model)
