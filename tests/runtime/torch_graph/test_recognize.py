"""What is taken for attention, a linear layer or GELU, and what only looks like it."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("torch")

from un_deploy.graph.model.input_specs import input_specs
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.torch_graph.recognize import counts

pytestmark = pytest.mark.torch

ROUNDING = 16 * np.finfo(np.float32).eps  # of the range of what is compared


def found(inputs: str, constants: str, body: str) -> dict[str, int]:
    """How often each pattern is one call in a graph; without the calls it computes the same.

    The graph's outputs are y and, where the body makes it, z.
    """
    outputs = ", ".join(f"float {name}" for name in "yz" if f"{name} = " in body)
    model = ir.from_onnx_text(
        f'<ir_version: 8, opset_import: ["": 20]> g ({inputs}) => ({outputs}) '
        f"<{constants}> {{ {body} }}"
    )
    rng = np.random.default_rng(0)
    feeds = {
        spec.name: rng.standard_normal(spec.shape).astype(spec.dtype)
        for spec in input_specs(model)
        if spec.shape is not None
    }
    sessions = [TorchRuntime(recognize=recognize).load(model) for recognize in (True, False)]
    for got, wanted in zip(*(session.run(feeds).values() for session in sessions), strict=True):
        assert got.shape == wanted.shape
        assert np.max(np.abs(got - wanted)) <= ROUNDING * max(1, np.ptp(wanted))
    recognised, decomposed = (counts(session.module(feeds)) for session in sessions)
    assert not any(decomposed.values())
    return {name: count for name, count in recognised.items() if count}


QKV = "float[2,3,5,4] q, float[2,3,4,6] k, float[2,3,6,4] v"
"""Queries, keys as the product takes them, and values, of two sequences and three heads."""

NUMBERS = (
    "float c = {0.3}, float[1] one = {1.7}, float less = {-0.3}, float zero = {0}, "
    "float half = {0.5}, float low = {-1000000000}, float[1,1,1,1,1] deep = {0.3}"
)

ATTENTION = {
    "plain": "s = MatMul(q, k)  p = Softmax(s)  y = MatMul(p, v)",
    "axis by its number": "s = MatMul(q, k)  p = Softmax<axis = 3>(s)  y = MatMul(p, v)",
    "scaled": "s = MatMul(q, k)  t = Mul(c, s)  p = Softmax(t)  y = MatMul(p, v)",
    "divided": "s = MatMul(q, k)  t = Div(s, one)  p = Softmax(t)  y = MatMul(p, v)",
    "both sides scaled": (
        "a = Mul(q, c)  b = Div(k, one)  s = MatMul(a, b)  t = Mul(s, one)  p = Softmax(t)  "
        "y = MatMul(p, v)"
    ),
    "guarded": (
        "s = MatMul(q, k)  p = Softmax(s)  n = IsNaN(p)  w = Where(n, zero, p)  y = MatMul(w, v)"
    ),
    "the product is read elsewhere": (
        "s = MatMul(q, k)  p = Softmax(s)  y = MatMul(p, v)  z = Relu(s)"
    ),
    "the weights are read elsewhere": "s = MatMul(q, k)  p = Softmax(s)  y = MatMul(p, v)  z = "
    "Relu(p)",
    "a scale that is computed, on the queries": (
        "f = ReduceMax<keepdims = 0>(v)  a = Mul(q, f)  s = MatMul(a, k)  p = Softmax(s)  "
        "y = MatMul(p, v)"
    ),
    "a mask that is a product": (
        "s = MatMul(q, k)  r = MatMul(q, k)  t = Add(r, s)  p = Softmax(t)  y = MatMul(p, v)"
    ),
}

NO_ATTENTION = {
    "another axis": "s = MatMul(q, k)  p = Softmax<axis = 2>(s)  y = MatMul(p, v)",
    "a scale that is a tensor": (
        "f = ReduceMax<keepdims = 0>(v)  s = MatMul(q, k)  t = Mul(s, f)  p = Softmax(t)  "
        "y = MatMul(p, v)"
    ),
    "a scale below 0": "s = MatMul(q, k)  t = Mul(s, less)  p = Softmax(t)  y = MatMul(p, v)",
    "a scale of 0": "s = MatMul(q, k)  t = Mul(s, zero)  p = Softmax(t)  y = MatMul(p, v)",
    "a scale that adds an axis": (
        "s = MatMul(q, k)  t = Mul(s, deep)  p = Softmax(t)  y = MatMul(p, v)"
    ),
    "a guard that fills": (
        "s = MatMul(q, k)  p = Softmax(s)  n = IsNaN(p)  w = Where(n, half, p)  y = MatMul(w, v)"
    ),
    "a guard of other weights": (
        "s = MatMul(q, k)  p = Softmax(s)  n = IsNaN(s)  w = Where(n, zero, p)  y = MatMul(w, v)"
    ),
    "scores that are chosen": (
        "s = MatMul(q, k)  n = Less(s, zero)  t = Where(n, low, s)  p = Softmax(t)  "
        "y = MatMul(p, v)"
    ),
    "weights that are scaled": (
        "s = MatMul(q, k)  p = Softmax(s)  w = Mul(p, half)  y = MatMul(w, v)"
    ),
    "the softmax on the right": (
        "s = MatMul(q, k)  p = Softmax(s)  t = Transpose<perm = [0, 1, 3, 2]>(v)  "
        "o = Transpose<perm = [0, 1, 3, 2]>(p)  y = MatMul(t, o)"
    ),
}


@pytest.mark.parametrize("body", ATTENTION.values(), ids=ATTENTION)
def test_attention(body: str) -> None:
    assert found(QKV, NUMBERS, body) == {"attention": 1}


@pytest.mark.parametrize("body", NO_ATTENTION.values(), ids=NO_ATTENTION)
def test_no_attention(body: str) -> None:
    assert found(QKV, NUMBERS, body) == {}


@pytest.mark.parametrize(
    "shape", ["", "[1]", "[6]", "[5, 1]", "[5, 6]", "[3, 1, 6]", "[2, 1, 1, 6]", "[2, 3, 5, 6]"]
)
@pytest.mark.parametrize("mask", ["float{} m", ""], ids=["computed", "constant"])
def test_masks_of_every_rank(shape: str, mask: str) -> None:
    sizes = [int(size) for size in shape.strip("[]").split(",") if size]
    inputs, constants = f"{QKV}, {mask.format(shape)}", NUMBERS
    if not mask:
        numbers = ", ".join(f"{math.sin(k):.3f}" for k in range(math.prod(sizes)))
        inputs, constants = QKV, f"{NUMBERS}, float{shape} m = {{{numbers}}}"
    for total in ("Add(t, m)", "Add(m, t)"):
        body = f"s = MatMul(q, k)  t = Mul(s, c)  u = {total}  p = Softmax(u)  y = MatMul(p, v)"
        assert found(inputs, constants, body) == {"attention": 1}


def test_masks_that_are_none() -> None:
    deep = "s = MatMul(q, k)  t = Add(s, m)  p = Softmax(t)  y = MatMul(p, v)"
    assert found(f"{QKV}, float[4, 2, 3, 5, 6] m", NUMBERS, deep) == {}
    scaled = "s = MatMul(q, k)  t = Add(s, m)  u = Mul(t, c)  p = Softmax(u)  y = MatMul(p, v)"
    assert found(f"{QKV}, float[5, 6] m", NUMBERS, scaled) == {}
    wider = (
        "s = MatMul(q, k)  d = Cast<to = 11>(s)  t = Add(d, m)  p = Softmax(t)  "
        "w = Cast<to = 1>(p)  y = MatMul(w, v)"
    )
    assert found(f"{QKV}, double[5, 6] m", NUMBERS, wider) == {}
    # No such sum in ONNX, yet torch would compute it.
    mixed = "s = MatMul(q, k)  t = Add(s, m)  p = Softmax(t)  z = Cast<to = 1>(p)  y = Relu(z)"
    assert found(f"{QKV}, double[5, 6] m", NUMBERS, mixed) == {}


@pytest.mark.parametrize(
    ("shapes", "count"),
    [
        ("float[5,4] q, float[4,6] k, float[6,4] v", 0),
        ("float[3,5,4] q, float[3,4,6] k, float[3,6,4] v", 1),
        ("float[2,2,3,5,4] q, float[2,2,3,4,6] k, float[2,2,3,6,4] v", 1),
        ("float[2,3,5,4] q, float[1,3,4,6] k, float[1,3,6,4] v", 0),
        ("float[2,3,5,4] q, float[2,3,4,6] k, float[3,6,4] v", 0),
        ("float[2,3,5,4] q, float[2,1,4,6] k, float[2,3,6,4] v", 0),
        ("float[2,3,5,4] q, float[2,3,4,6] k, float[2,3,6,9] v", 1),
    ],
)
def test_shapes_of_attention(shapes: str, count: int) -> None:
    assert found(shapes, NUMBERS, ATTENTION["scaled"]).get("attention", 0) == count


def test_a_fixed_key_is_no_attention() -> None:
    body = ATTENTION["plain"]
    keys = f"float[1,4,1] k = {{1, 2, 3, 4}}, {NUMBERS}"
    assert found("float[1,5,4] q, float[1,1,4] v", keys, body) == {}


LAYER = "float[4,2] w = {1, -2, 3, 4, 0.5, 6, -7, 8}, float[2] b = {0.1, -3}"

LINEAR = {
    "MatMul and Add": "m = MatMul(x, w)  y = Add(m, b)",
    "the bias first": "m = MatMul(x, w)  y = Add(b, m)",
    "the product is read elsewhere": "m = MatMul(x, w)  y = Add(b, m)  z = Relu(m)",
    "Gemm": "y = Gemm(x, w, b)",
    "Gemm of a weight in PyTorch's layout": "t = Transpose(w)  y = Gemm<transB = 1>(x, t, b)",
    "Gemm without bias": "y = Gemm(x, w)",
    "a factor of a bias that is not there": "y = Gemm<beta = 0.5>(x, w)",
}

NO_LINEAR = {
    "no bias": "y = MatMul(x, w)",
    "alpha": "y = Gemm<alpha = 2.0>(x, w, b)",
    "beta": "y = Gemm<beta = 0.5>(x, w, b)",
    "transA": "t = Transpose(x)  y = Gemm<transA = 1>(t, w, b)",
    "a bias on the rows": "m = MatMul(x, w)  y = Add(m, rows)",
    "a bias on the rows of a Gemm": "y = Gemm(x, w, rows)",
    "one number as bias": "m = MatMul(x, w)  y = Add(m, one)",
    "a bias of two axes": "m = MatMul(x, w)  y = Add(m, flat)",
    "a computed bias": "m = MatMul(x, w)  r = ReduceMax<keepdims = 0>(x, axis)  y = Add(m, r)",
    "a sum with something computed": "m = MatMul(x, w)  r = MatMul(x, w)  y = Add(m, r)",
    "a computed weight": "t = Transpose(x)  m = MatMul(x, t)  y = Add(m, three)",
    "the weight on the left": "t = Transpose(x)  l = Transpose(w)  m = MatMul(l, t)  "
    "y = Add(m, three)",
}


@pytest.mark.parametrize("body", LINEAR.values(), ids=LINEAR)
def test_linear(body: str) -> None:
    assert found("float[3,4] x", LAYER, body) == {"linear": 1}


@pytest.mark.parametrize("body", NO_LINEAR.values(), ids=NO_LINEAR)
def test_no_linear(body: str) -> None:
    others = (
        "float[3,1] rows = {5, 6, 7}, float[1] one = {9}, float[1,2] flat = {5, 6}, "
        "float[3] three = {1, 2, 3}, int64[1] axis = {1}"
    )
    if "ReduceMax" in body:  # as many tokens as channels: the bias would fit
        assert found("float[2,4] x", f"{LAYER}, int64[1] axis = {{1}}", body) == {}
    else:
        assert found("float[3,4] x", f"{LAYER}, {others}", body) == {}


@pytest.mark.parametrize("shape", ["[4]", "[2, 3, 4]", "[2, 2, 3, 4]"])
def test_a_linear_layer_on_tensors_of_every_rank(shape: str) -> None:
    assert found(f"float{shape} x", LAYER, LINEAR["MatMul and Add"]) == {"linear": 1}


FACTORS = (
    f"float root = {{{math.sqrt(2)}}}, float turned = {{{math.sqrt(0.5)}}}, float[1] h = {{0.5}}, "
    "float[1] one = {1}, float two = {2}, float near = {1.41}, float quarter = {0.25}, "
    "float[1,1,1] deep = {0.5}, float[1,1,1] deep_one = {1}"
)

GELU = {
    "as PyTorch writes it": "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  "
    "y = Mul(m, h)",
    "the half first": "d = Mul(x, turned)  e = Erf(d)  a = Add(one, e)  m = Mul(h, x)  "
    "y = Mul(m, a)",
    "the half on the error function": "d = Mul(turned, x)  e = Erf(d)  a = Add(e, one)  "
    "m = Mul(a, h)  y = Mul(x, m)",
    "a quarter of the double": "d = Mul(turned, x)  e = Erf(d)  a = Add(e, one)  "
    "m = Mul(a, quarter)  n = Mul(x, two)  y = Mul(n, m)",
    "the inside is read elsewhere": "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  "
    "m = Mul(x, a)  y = Mul(m, h)  z = Relu(a)",
}

NO_GELU = {
    "another factor inside": "d = Div(x, near)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  "
    "y = Mul(m, h)",
    "no factor inside": "e = Erf(x)  a = Add(e, one)  m = Mul(x, a)  y = Mul(m, h)",
    "no half": "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  y = Mul(x, a)",
    "a quarter": "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  "
    "y = Mul(m, quarter)",
    "two instead of one": "d = Div(x, root)  e = Erf(d)  a = Add(e, two)  m = Mul(x, a)  "
    "y = Mul(m, h)",
    "one less": "d = Div(x, root)  e = Erf(d)  a = Sub(e, one)  m = Mul(x, a)  y = Mul(m, h)",
    "another tensor outside": "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  r = Relu(x)  "
    "m = Mul(r, a)  y = Mul(m, h)",
    "squared": "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  s = Mul(x, x)  m = Mul(s, h)  "
    "y = Mul(m, a)",
    "the root divided": "d = Div(root, x)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  "
    "y = Mul(m, h)",
    "a half that adds an axis": "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  "
    "y = Mul(m, deep)",
    "a one that adds an axis": "d = Div(x, root)  e = Erf(d)  a = Add(e, deep_one)  "
    "m = Mul(x, a)  y = Mul(m, h)",
}


@pytest.mark.parametrize("body", GELU.values(), ids=GELU)
def test_gelu(body: str) -> None:
    assert found("float[3,4] x", FACTORS, body) == {"gelu": 1}


@pytest.mark.parametrize("body", NO_GELU.values(), ids=NO_GELU)
def test_no_gelu(body: str) -> None:
    assert found("float[3,4] x", FACTORS, body) == {}


def test_the_gelu_operator_is_one_call_without_recognition_too() -> None:
    """Its parts are no operators of the graph."""
    model = ir.from_onnx_text(
        '<ir_version: 8, opset_import: ["": 20]> g (float[4] x) => (float[4] y) { y = Gelu(x) }'
    )
    module = TorchRuntime(recognize=False).load(model).module({"x": np.zeros(4, np.float32)})
    assert counts(module) == {"attention": 0, "linear": 0, "gelu": 1}


def test_a_row_without_keys_is_0_where_it_is_one_call() -> None:
    """The operators make NaN of it, and the exporter's guard makes that 0."""
    feeds = {
        name: np.ones(shape, np.float32)
        for name, shape in {"q": (1, 2, 4), "k": (1, 4, 3), "v": (1, 3, 4)}.items()
    }
    feeds["m"] = np.array([[0, 0, 0], [-np.inf] * 3], np.float32)
    inputs = "float[1,2,4] q, float[1,4,3] k, float[1,3,4] v, float[2,3] m"
    body = "s = MatMul(q, k)  t = Add(s, m)  p = Softmax(t)"
    for end, without in (
        ("y = MatMul(p, v)", [np.nan] * 4),
        ("n = IsNaN(p)  w = Where(n, zero, p)  y = MatMul(w, v)", [0.0] * 4),
    ):
        model = ir.from_onnx_text(
            f'<ir_version: 8, opset_import: ["": 20]> g ({inputs}) => (float[1,2,4] y) '
            f"<float zero = {{0}}> {{ {body}  {end} }}"
        )
        for recognize, last in ((True, [0.0] * 4), (False, without)):
            y = TorchRuntime(recognize=recognize).load(model).run(feeds)["y"]
            np.testing.assert_allclose(y[0], [[1.0] * 4, last], rtol=1e-6)
