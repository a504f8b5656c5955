"""Which operators are a site, which nearly are, and which are none."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.float64 import run
from tests.support.graphs import NORM, build, feeds_for, fold_and_prove, stored
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.site import Site

SIGNATURE = "float[B,3,4] x => float[B,3,4] y"


def view_of(model: ir.Model, keep: tuple[str, ...] = ()) -> GraphView:
    return GraphView(model, Constants(model), Shapes(model), keep)


def only_site(model: ir.Model) -> Site:
    (site,) = view_of(model).sites
    return site


WRITINGS = {
    "as UN exports it": ("m = Mul(x, a) y = Add(m, b)", ("Mul", "Add")),
    "constants first": ("m = Mul(a, x) y = Add(b, m)", ("Mul", "Add")),
    "divided by a deviation": (
        "v = Add(var, e) s = Sqrt(v) d = Div(x, s) m = Mul(d, a) y = Add(m, b)",
        ("Div", "Mul", "Add"),
    ),
    "centred first": ("c = Sub(x, b) m = Mul(c, a) y = Add(m, b2)", ("Sub", "Mul", "Add")),
    "the shift reversed": ("m = Mul(x, a) y = Sub(b, m)", ("Mul", "Sub")),
    "negated": ("m = Mul(x, a) k = Neg(m) y = Add(k, b)", ("Mul", "Neg", "Add")),
    "a scalar between": ("m = Mul(x, a) k = Mul(m, half) y = Add(k, b)", ("Mul", "Mul", "Add")),
    "over the tokens": ("m = Mul(x, at) y = Add(m, bt)", ("Mul", "Add")),
    "a scale alone": ("y = Mul(x, a)", ("Mul",)),
}


@pytest.mark.parametrize("case", WRITINGS)
def test_a_site_is_the_affine_that_its_operators_compute(case: str) -> None:
    body, operators = WRITINGS[case]
    constants = {"a": (4,), "b": (4,), "b2": (4,), "var": (4,), "half": (), "at": (3, 1)}
    constants["bt"] = (3, 1)
    used = {name: shape for name, shape in constants.items() if f" {name})" in body}
    used |= {name: shape for name, shape in constants.items() if f"({name}," in body}
    if "var" in used:
        used |= {"var": np.float32([1, 2, 3, 4]), "e": np.array(1e-5, np.float32)}
    model = build(SIGNATURE, body, **used)
    site = only_site(model)
    assert tuple(node.op_type for node in site.nodes) == operators
    feeds = feeds_for(model)
    y = run(model, feeds, stored)["y"]
    np.testing.assert_allclose(site.affine(feeds["x"].astype(float)), y, rtol=1e-13, atol=1e-13)


def test_batch_normalization_is_a_site_on_axis_1() -> None:
    body = "y = BatchNormalization<epsilon=0.01>(x, a, b, mean, avar)"
    constants = dict.fromkeys(("a", "b", "mean", "avar"), (3,))
    model = build(SIGNATURE, body, **constants)
    site = only_site(model)
    assert site.affine.varies == {1} and site.cost == 2
    feeds = feeds_for(model)
    y = run(model, feeds, stored)["y"]
    np.testing.assert_allclose(site.affine(feeds["x"].astype(float)), y, rtol=1e-10, atol=1e-10)


NO_SITES = {
    "a scalar": ("y = Mul(x, k)", {"k": ()}),
    "a scalar in the shape of a channel": ("y = Mul(x, k)", {"k": (1,)}),
    "a shift alone": ("y = Add(x, b)", {"b": (4,)}),
    "the bias of a linear operator": ("p = MatMul(x, w) y = Add(p, b)", {"w": (4, 4), "b": (4,)}),
    "a product of two tensors": ("y = Mul(x, x)", {}),
    "a division by the tensor": ("y = Div(a, x)", {"a": (4,)}),
    "an outer product, as Mamba makes its decays": (
        "z = ReduceMean(x, i) y = Mul(z, a)",
        {"i": [2], "a": (4,)},
    ),
}


@pytest.mark.parametrize("case", NO_SITES)
def test_what_is_no_site(case: str) -> None:
    body, constants = NO_SITES[case]
    view = view_of(build(SIGNATURE, body, **constants))
    assert view.sites == [] and view.near_misses == []


ONE_CHANNEL = {
    "channel last": ("float[B,3,1] x => float[B,3,1] y", "m = Mul(x, a) y = Add(m, b)", (1,)),
    "channel second": ("float[B,1,3] x => float[B,1,3] y", "m = Div(x, a) y = Sub(m, b)", (1, 1)),
    "a batch norm": (
        "float[B,1,3] x => float[B,1,3] y",
        "y = BatchNormalization(x, a, b, b, a2)",
        (1,),
    ),
}


@pytest.mark.parametrize("case", ONE_CHANNEL)
def test_a_factor_and_a_shift_of_one_channel_are_a_norm(case: str) -> None:
    signature, body, shape = ONE_CHANNEL[case]
    names = ("a", "b", "a2") if "a2" in body else ("a", "b")
    site = only_site(build(signature, body, **dict.fromkeys(names, shape)))
    assert site.affine.scale.size == 1


NO_CHANNEL = {
    "a factor alone": ("y = Mul(x, a)", (1,)),
    "a mask, whose constants are plain numbers": ("m = Sub(b, x) y = Mul(m, a)", ()),
    "a mask, whose constants are vectors": ("m = Sub(b, x) y = Mul(m, a)", (1,)),
}


@pytest.mark.parametrize("case", NO_CHANNEL)
def test_a_scalar_elsewhere_is_none(case: str) -> None:
    body, shape = NO_CHANNEL[case]
    used = {name: shape for name in "ab" if name in body}
    assert view_of(build("float[B,1,1,7] x => float[B,1,1,7] y", body, **used)).sites == []


def test_whole_numbers_are_no_norm() -> None:
    model = build("int64[4] x => int64[4] y", "y = Mul(x, k)", k=[1, 2, 3, 4])
    assert view_of(model).sites == []


def test_two_sites_over_different_axes_are_not_one() -> None:
    body = "m = Mul(x, a) n = Add(m, b) k = Mul(n, at) y = Add(k, bt)"
    model = build(SIGNATURE, body, a=(4,), b=(4,), at=(3, 1), bt=(3, 1))
    assert [site.affine.varies for site in view_of(model).sites] == [{2}, {1}]


def test_a_site_ends_where_a_second_reader_or_an_output_is() -> None:
    body = "m = Mul(x, a) n = Add(m, b) z = Relu(m) y = Neg(n)"
    model = build("float[B,3,4] x => float[B,3,4] y, float[B,3,4] z", body, a=(4,), b=(4,))
    assert [node.op_type for node in only_site(model).nodes] == ["Mul"]
    output = build("float[B,3,4] x => float[B,3,4] m, float[B,3,4] n", NORM, a=(4,), b=(4,))
    assert [node.op_type for node in only_site(output).nodes] == ["Mul"]
    before = build(
        "float[B,3,4] x => float[B,3,4] c, float[B,3,4] m",
        "c = Add(x, b) m = Mul(c, a)",
        a=(4,),
        b=(4,),
    )
    assert only_site(before).x.name == "c"


def test_a_reader_of_its_shape_does_not_end_it() -> None:
    body = "m = Mul(x, a) s = Shape(m) y = Add(m, b)"
    model = build("float[B,3,4] x => float[B,3,4] y, int64[3] s", body, a=(4,), b=(4,))
    assert [node.op_type for node in only_site(model).nodes] == ["Mul", "Add"]


def test_its_names_are_what_a_user_may_call_it() -> None:
    model = build(SIGNATURE, "m = Mul(x, a) y = Add(m, b)", a=(4,), b=(4,))
    site = only_site(model)
    assert site.name == "Add_1" and site.label == "Mul_0"
    assert site.names == {"Mul_0", "Add_1", "m", "y"}
    (kept,) = view_of(model, keep=("m",)).sites
    assert kept.kept and not site.kept


CHANNELS = dict.fromkeys(("a", "b", "mean", "avar"), (3,))
BATCH_NORM = "BatchNormalization(x, a, b, mean, avar)"
NEAR_MISSES = {
    "a constant that may widen the tensor": (
        "float[B,3,N] x => float[B,3,M] y",
        "y = Mul(x, a)",
        {"a": (4,)},
        "might widen it",
    ),
    "an unknown shape": (
        "float[B,3,4] x, int64[3] s => float[B,3,4] y",
        "r = Expand(x, s) y = Mul(r, a)",
        {"a": (4,)},
        "the shape of 'r' is not known to be that of 'y'",
    ),
    "a constant that the caller may override": (
        SIGNATURE,
        "y = Mul(x, a)",
        {"a": (4,)},
        "its constant 'a' is a graph input, which the caller may override; leave it out",
    ),
    "a scale behind one": (
        SIGNATURE,
        "c = Reshape(a, s) d = Sqrt(c) y = Mul(x, d)",
        {"a": (4,), "s": [1, 1, 4]},
        "its constant 'a' is a graph input, which the caller may override",
    ),
    "a batch norm behind one": (
        "float[B,4,3] x => float[B,4,3] y",
        "v = Identity(a) y = BatchNormalization(x, b, b, mean, v)",
        dict.fromkeys(("a", "b", "mean"), (4,)),
        "its constant 'a' is a graph input, which the caller may override",
    ),
    "an infinite scale": (
        SIGNATURE,
        "y = Div(x, a)",
        {"a": np.float32([1, 2, 0, 4])},
        "its constant 'a' is not finite",
    ),
    "a shift that is no number": (
        SIGNATURE,
        "y = Add(x, b)",
        {"b": np.float32([1, 2, np.nan, 4])},
        "its constant 'b' is not finite",
    ),
    "a batch norm in training": (
        SIGNATURE,
        f"y = {BATCH_NORM.replace('(', '<training_mode=1>(', 1)}",
        CHANNELS,
        "it is in training mode",
    ),
    "a batch norm whose outputs tell that it is in training": (
        SIGNATURE,
        f"y, p, q = {BATCH_NORM}",
        CHANNELS,
        "it is in training mode",
    ),
    "a batch norm with a computed scale": (
        "float[B,3,4] x, float[3] s => float[B,3,4] y",
        "y = BatchNormalization(x, s, b, mean, avar)",
        {name: CHANNELS[name] for name in ("b", "mean", "avar")},
        "its parameters are not constant",
    ),
    "a BatchNormalization whose scale is no vector, as in a damaged file": (
        "float[2,4,5] x => float[2,4,5] y",
        "y = BatchNormalization(x, a, b, mean, avar)",
        {"a": (4, 1), "b": (4,), "mean": (4,), "avar": (4,)},
        "its parameters are not one number for each channel",
    ),
    "a batch norm of a vector": (
        "float[3] x => float[3] y",
        f"y = {BATCH_NORM}",
        CHANNELS,
        "the channels of 'x' are unknown",
    ),
    "a batch norm of unknown rank": (
        "float[B,3,4] x, int64[N] s => float[B,3,4] y",
        f"r = Expand(x, s) y = {BATCH_NORM.replace('x', 'r')}",
        CHANNELS,
        "the channels of 'r' are unknown",
    ),
    "a batch norm of unknown channels": (
        "float[B,C,4] x => float[B,C,4] y",
        f"y = {BATCH_NORM}",
        CHANNELS,
        "'x' is not known to have 3 channels",
    ),
    "a batch norm with a negative variance": (
        SIGNATURE,
        f"y = {BATCH_NORM}",
        {**CHANNELS, "avar": np.float32([1, -1, 1])},
        "its parameters are not finite",
    ),
}


@pytest.mark.parametrize("case", NEAR_MISSES)
def test_near_misses_are_listed_with_a_reason(case: str) -> None:
    signature, body, constants, reason = NEAR_MISSES[case]
    model = build(signature, body, **constants)
    if "override" in reason:
        model.graph.inputs.append(model.graph.initializers["a"])
    view = view_of(model)
    assert view.sites == []
    (miss,) = view.near_misses
    assert reason in miss.reason
    assert miss.node in [node.name for node in model.graph]


def test_a_row_of_too_many_operators_is_told_and_left() -> None:
    body, x = "z = Sigmoid(x)", "z"
    for i in range(51):
        body += f" m{i} = Mul({x}, a) n{i} = Add(m{i}, b)"
        x = f"n{i}"
    model = build("float[B,3,4] x => float[B,3,4] y", f"{body} y = Relu({x})", a=(4,), b=(4,))
    (site,) = fold_and_prove(model).report.sites
    assert (site.status, site.channels) == ("stayed", 4)
    assert site.reason == "a row of 102 operators is more than a proof follows"
