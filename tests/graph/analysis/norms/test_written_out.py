"""A written-out norm is found in every spelling, and nothing else is taken for it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.norms.find_norms import find_layernorms, find_norms
from un_deploy.graph.analysis.norms.norm import Norm
from un_deploy.graph.analysis.shapes import Shapes

SIGNATURE = "float[B,3,4] x => float[B,3,4] y"
NUMBERS = {"eps": 1e-5, "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4}
NUMBERS |= {"root": 0.5, "rsqrt": -0.5}
CONSTANTS = {name: np.array(number, np.float32) for name, number in NUMBERS.items()}
CONSTANTS |= {"axes": [-1], "last": [2], "other": [1], "gamma": (4,), "beta": (4,)}

VARIANCE = """
    a = Relu(x)
    mean = ReduceMean(a, axes)
    d = Sub(a, mean)
    square = Pow(d, two)
    variance = ReduceMean(square, axes)
    shifted = Add(variance, eps)
    s = Sqrt(shifted)
"""
TORCH = VARIANCE + "n = Div(d, s) g = Mul(n, gamma) h = Add(g, beta) y = Exp(h)"
KERAS = (
    VARIANCE.replace("Pow(d, two)", "Mul(d, d)")
    + """
    r = Reciprocal(s)
    k = Mul(r, gamma)
    scaled = Mul(a, k)
    of_mean = Mul(mean, k)
    shift = Sub(beta, of_mean)
    h = Add(scaled, shift)
    y = Exp(h)
"""
)


def _found(body: str, opset: int = 20, signature: str = SIGNATURE) -> list[Norm]:
    return _in(build(signature, body, opset, **CONSTANTS))


def _in(model: ir.Model) -> list[Norm]:
    return find_layernorms(model.graph, Constants(model), Shapes(model))


def _only(norms: list[Norm]) -> tuple[str | None, str | None]:
    """What the only norm reads and makes."""
    (norm,) = norms
    assert norm.nodes[0].inputs[0] is not None
    return norm.nodes[0].inputs[0].name, norm.y.name


@pytest.mark.parametrize(
    "body",
    [
        TORCH,
        TORCH.replace("Pow(d, two)", "Mul(d, d)"),
        TORCH.replace("Add(variance, eps)", "Add(eps, variance)"),
        TORCH.replace("Mul(n, gamma)", "Mul(gamma, n)").replace("Add(g, beta)", "Add(beta, g)"),
        TORCH.replace("n = Div(d, s)", "r = Reciprocal(s) n = Mul(d, r)"),
        KERAS,
        KERAS.replace("Add(scaled, shift)", "Add(shift, scaled)"),
        KERAS.replace("Sub(beta, of_mean)", "Neg(of_mean)"),
        KERAS.replace("Mul(mean, k)", "Mul(minus, k)")
        .replace("k = Mul", "minus = Neg(mean) k = Mul")
        .replace("Sub(beta, of_mean)", "Add(of_mean, beta)"),
        KERAS.replace("shift = Sub(beta, of_mean)", "").replace(
            "Add(scaled, shift)", "Sub(scaled, of_mean)"
        ),
        KERAS.replace("k = Mul(r, gamma)", "k = Identity(r)")
        .replace("k)", "r)")
        .replace("k = Identity(r)", ""),
    ],
)
def test_each_spelling_is_one_norm_from_a_to_h(body: str):
    assert _only(_found(body)) == ("a", "h")


def test_the_operator_itself():
    norms = _found("a = Relu(x) h = LayerNormalization(a, gamma, beta) y = Exp(h)")
    assert _only(norms) == ("a", "h")


def test_an_operator_whose_mean_is_read_says_so():
    (norm,) = _found("y, m = LayerNormalization(x, gamma) z = Relu(m)", signature=SIGNATURE)
    assert norm.obstacle == "its mean or deviation is read too"


def test_axes_are_an_attribute_before_opset_18():
    body = TORCH.replace("ReduceMean(a, axes)", "ReduceMean<axes = [-1]>(a)")
    body = body.replace("ReduceMean(square, axes)", "ReduceMean<axes = [-1]>(square)")
    assert _only(_found(body, opset=13)) == ("a", "h")
    other = body.replace("<axes = [-1]>(square)", "<axes = [1]>(square)")
    assert _found(other, opset=13) == []


@pytest.mark.parametrize(
    ("tail", "end"),
    [
        ("n = Div(d, s) y = Exp(n)", "n"),
        ("n = Div(d, s) h = Add(n, beta) y = Exp(h)", "h"),
        ("n = Div(d, s) y = Mul(n, gamma)", "y"),
        ("n = Div(d, s) g = Mul(n, gamma) y = Add(a, g)", "g"),
        ("n = Div(d, s) g = Mul(n, eps) y = Exp(g)", "n"),  # a scalar belongs to what follows
        ("n = Div(d, s) g = Mul(n, gamma) k = Mul(g, gamma) y = Exp(k)", "g"),
        ("n = Div(d, s) g = Mul(n, gamma) h = Exp(n) y = Add(g, h)", "n"),
    ],
)
def test_the_norm_ends_where_its_own_scale_and_shift_end(tail: str, end: str):
    assert _only(_found(VARIANCE + tail)) == ("a", end)


@pytest.mark.parametrize(
    "body",
    [
        VARIANCE + "y = Div(a, s)",  # not centred
        VARIANCE + "y = Mul(d, s)",  # multiplied by the deviation
        VARIANCE + "t = Add(a, mean) y = Div(t, s)",
        VARIANCE + "t = Div(a, s) y = Sub(t, mean)",
        VARIANCE + "t = Add(d, beta) y = Div(t, s)",
        VARIANCE + "e = Expand(s, size) y = Add(a, e)",
        VARIANCE + "n = Div(d, s) y = Add(n, mean)",  # the mean is read by another
        VARIANCE + "n = Div(d, s) y = Mul(n, s)",
        TORCH.replace("Pow(d, two)", "Mul(d, a)"),
        TORCH.replace("Pow(d, two)", "Pow(d, eps)"),
        TORCH.replace("Sub(a, mean)", "Sub(x, mean)"),
        TORCH.replace("Sub(a, mean)", "Sub(mean, a)"),
        TORCH.replace("ReduceMean(square, axes)", "ReduceMean(square, other)"),
        TORCH.replace("ReduceMean(a, axes)", "ReduceMean<keepdims = 0>(a, axes)").replace(
            "ReduceMean(square, axes)", "ReduceMean<keepdims = 0>(square, axes)"
        ),
        TORCH.replace("Add(variance, eps)", "Add(variance, gamma)"),
        KERAS.replace("Mul(mean, k)", "Mul(mean, r)"),
        KERAS.replace("Sub(beta, of_mean)", "Add(beta, of_mean)"),
        KERAS.replace("Add(scaled, shift)", "Mul(scaled, shift)"),
    ],
)
def test_what_computes_something_else_is_no_norm(body: str):
    model = build(SIGNATURE, body, **CONSTANTS, size=[2, 3, 4])
    assert _in(model) == []


def test_a_scale_of_another_module_is_not_the_norm_s():
    body = VARIANCE + "n = Div(d, s) g = Mul(n, gamma) y = Exp(g)"
    model = build(SIGNATURE, body, **CONSTANTS)
    for node in model.graph:
        module = "scale" if node.op_type == "Mul" else "norm"
        node.name = f"/block/{module}/{node.op_type}"
    assert _only(_in(model)) == ("a", "n")


def test_a_scale_that_might_widen_the_tensor_is_not_taken():
    body = VARIANCE + "n = Div(d, s) g = Mul(n, gamma) y = Exp(g)"
    assert _only(_found(body, signature="float[B,3,N] x => float[B,3,M] y")) == ("a", "n")
    assert _found(KERAS, signature="float[B,3,N] x => float[B,3,M] y") == []


def test_a_norm_without_names_has_its_scale_and_shift() -> None:
    model = build(SIGNATURE, TORCH, **CONSTANTS)
    for node in model.graph:
        node.name = ""
    (norm,) = _in(model)
    assert [node.op_type for node in norm.affine] == ["Mul", "Add"]


WIDE = """
    a = Relu(x)
    f = Cast<to = 1>(a)
    mean = ReduceMean(f, axes)
    d = Sub(f, mean)
    square = Pow(d, two)
    variance = ReduceMean(square, axes)
    shifted = Add(variance, eps)
    s = Sqrt(shifted)
    n = Div(d, s)
"""


@pytest.mark.parametrize(
    ("body", "start"),
    [
        # in float32 inside, the scale in float16 behind it or in float32 before the last Cast
        (WIDE + "c = Cast<to = 10>(n) g = Mul(c, gamma16) h = Add(g, beta16) y = Exp(h)", "f"),
        (WIDE + "g = Mul(n, gamma) h = Add(g, beta) c = Cast<to = 10>(h) y = Exp(c)", "f"),
        # the square alone in float32, as ONNX Runtime's own tests have it
        (
            "a = Relu(x) mean = ReduceMean(a, axes) d = Sub(a, mean) w = Cast<to = 1>(d) "
            "square = Pow(w, two) variance = ReduceMean(square, axes) shifted = Add(variance, eps) "
            "s = Sqrt(shifted) n = Div(w, s) c = Cast<to = 10>(n) g = Mul(c, gamma16) "
            "h = Add(g, beta16) y = Exp(h)",
            "a",
        ),
    ],
)
def test_casts_stand_around_a_norm_in_float16(body: str, start: str) -> None:
    halves = {f"{name}16": np.ones(4, np.float16) for name in ("gamma", "beta")}
    model = build("float16[B,3,4] x => float16[B,3,4] y", body, **CONSTANTS, **halves)
    assert _only(_in(model)) == (start, "h")
    (norm,) = _in(model)
    assert [node.op_type for node in norm.affine] == ["Mul", "Add"]


RMS = """
    a = Relu(x)
    square = Pow(a, two)
    mean = ReduceMean(square, axes)
    shifted = Add(mean, eps)
    s = Sqrt(shifted)
    r = Reciprocal(s)
    n = Mul(a, r)
    h = Mul(gamma, n)
    y = Exp(h)
"""


@pytest.mark.parametrize(
    "body",
    [
        RMS,
        RMS.replace("Pow(a, two)", "Mul(a, a)"),
        RMS.replace("r = Reciprocal(s)", "r = Div(one, s)"),
        RMS.replace("r = Reciprocal(s)", "").replace("Mul(a, r)", "Div(a, s)"),
        RMS.replace("s = Sqrt(shifted)", "").replace("Reciprocal(s)", "Pow(shifted, rsqrt)"),
        RMS.replace("s = Sqrt(shifted)", "s = Pow(shifted, root)"),
        RMS.replace("shifted = Add(mean, eps)", "shifted = Max(mean, eps)"),
        RMS.replace("s = Sqrt(shifted)", "q = Sqrt(mean) s = Add(q, eps)").replace(
            "shifted = Add(mean, eps)", ""
        ),
        RMS.replace("ReduceMean(square, axes)", "ReduceMean(square, last)"),
        RMS.replace(
            "mean = ReduceMean(square, axes)", "t = ReduceSum(square, axes) mean = Div(t, four)"
        ),
    ],
)
def test_each_spelling_of_an_rms_norm(body: str) -> None:
    model = build(SIGNATURE, body, **CONSTANTS)
    (norm,) = find_norms(model.graph, Constants(model), Shapes(model))
    assert (norm.kind, norm.y.name, norm.inner) == ("RMSNorm", "h", False)
    assert [node.outputs[0].name for node in norm.affine] == ["h"]
    assert _in(model) == []


@pytest.mark.parametrize(
    "body",
    [
        RMS.replace("Mul(a, r)", "Mul(x, r)"),  # another tensor is divided
        RMS.replace("Reciprocal(s)", "Neg(s)"),
        RMS.replace("Pow(a, two)", "Pow(a, eps)"),
        RMS.replace("ReduceMean(square", "ReduceSum(square"),
        RMS.replace("ReduceMean(square", "ReduceMean<keepdims = 0>(square"),
        RMS.replace("Mul(a, r)", "Mul(a, s)"),
    ],
)
def test_what_is_no_rms_norm(body: str) -> None:
    model = build(SIGNATURE, body, **CONSTANTS)
    assert find_norms(model.graph, Constants(model), Shapes(model)) == []


def test_keras_has_its_scale_and_shift_inside() -> None:
    (norm,) = _found(KERAS)
    assert norm.inner and norm.affine == ()


#: The variance as mean(x x) - mean(x) mean(x), the scale inside, the shift behind.
FLAX = """
    a = Relu(x)
    mean = ReduceMean(a, axes)
    square = Mul(a, a)
    of_square = ReduceMean(square, axes)
    of_mean = Mul(mean, mean)
    difference = Sub(of_square, of_mean)
    variance = Max(difference, zero)
    shifted = Add(variance, eps)
    s = Sqrt(shifted)
    r = Reciprocal(s)
    k = Mul(r, gamma)
    d = Sub(a, mean)
    n = Mul(d, k)
    h = Add(n, beta)
    y = Exp(h)
"""

#: As in "The Annotated Transformer": a mean of its own, an unbiased deviation, epsilon behind it.
ANNOTATED = """
    a = Relu(x)
    mean = ReduceMean(a, axes)
    d = Sub(a, mean)
    square = Mul(d, d)
    variance = ReduceMean(square, axes)
    more = Mul(variance, four)
    unbiased = Div(more, three)
    s = Sqrt(unbiased)
    e = Add(s, eps)
    mean2 = ReduceMean(a, axes)
    d2 = Sub(a, mean2)
    g = Mul(gamma, d2)
    n = Div(g, e)
    h = Add(n, beta)
    y = Exp(h)
"""


@pytest.mark.parametrize(
    "body",
    [
        FLAX,
        FLAX.replace("Mul(mean, mean)", "Pow(mean, two)"),
        FLAX.replace("variance = Max(difference, zero)", "").replace("(variance,", "(difference,"),
        ANNOTATED,
        ANNOTATED.replace("g = Mul(gamma, d2)", "").replace("Div(g, e)", "Div(d2, e)"),
    ],
)
def test_forms_whose_shift_alone_may_stand_behind(body: str) -> None:
    model = build(SIGNATURE, body, **CONSTANTS)
    assert _only(_in(model)) == ("a", "h")
    (norm,) = _in(model)
    assert [node.op_type for node in norm.affine] == ["Add"]
    assert norm.inner == ("gamma" in body)


@pytest.mark.parametrize(
    "body",
    [
        FLAX.replace("Mul(mean, mean)", "Mul(mean, a)"),
        FLAX.replace("Mul(mean, mean)", "Mul(r0, r0)").replace(
            "of_mean", "r0 = Neg(mean) of_mean", 1
        ),
        FLAX.replace("Sub(a, mean)", "Sub(x, mean)"),
        ANNOTATED.replace("mean2 = ReduceMean(a, axes)", "mean2 = ReduceMean(a, other)"),
        ANNOTATED.replace("mean2 = ReduceMean(a, axes)", "mean2 = ReduceMean(x, axes)"),
    ],
)
def test_what_only_resembles_these(body: str) -> None:
    model = build(SIGNATURE, body, **CONSTANTS)
    assert _in(model) == []


def test_axes_from_the_front_and_from_the_back() -> None:
    body = TORCH.replace("ReduceMean(square, axes)", "ReduceMean(square, last)")
    assert _only(_in(build(SIGNATURE, body, **CONSTANTS))) == ("a", "h")


def test_identities_may_stand_between() -> None:
    body = TORCH.replace("d = Sub(a, mean)", "m = Identity(mean) d = Sub(a, m)").replace(
        "g = Mul(n, gamma)", "i = Identity(n) g = Mul(i, gamma)"
    )
    assert _only(_found(body)) == ("a", "h")
