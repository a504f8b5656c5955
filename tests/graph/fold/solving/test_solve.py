"""Propagation, the solution that follows from it, and the proof that its gauges are consistent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import (
    NORM,
    assert_folds,
    assert_stays,
    build,
    fold_and_prove,
    operators,
)
from un_deploy.graph.analysis.affine_map import Affine
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.edits import AddBias, Bypass, SetConstant
from un_deploy.graph.fold.graph_view import GraphView
from un_deploy.graph.fold.rules.protocol import Refuse
from un_deploy.graph.fold.solving.assignment import Assignment
from un_deploy.graph.fold.solving.propagate import certify, propagate
from un_deploy.graph.fold.solving.solve import solve

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"
WEIGHTS = {"a": (4,), "b": (4,), "w": (4, 5)}


def view_of(model: ir.Model) -> GraphView:
    return GraphView(model, Constants(model), Shapes(model))


def tensor(model: ir.Model, name: str) -> ir.Value:
    values = [*model.graph.inputs, *(value for node in model.graph for value in node.outputs)]
    return next(value for value in values if value.name == name)


def post_norm(layers: int = 3, outputs: str = "float[B,3,4] y") -> ir.Model:
    """A residual stream h0, h1, ... with a norm behind every sum; the last norm makes y."""
    body, weights = "h0 = MatMul(x, w0)", {"w0": (4, 4)}
    for i in range(1, layers + 1):
        name = "y" if i == layers else f"h{i}"
        body += f""" f{i} = MatMul(h{i - 1}, v{i}) g{i} = Add(f{i}, c{i}) r{i} = Relu(g{i})
                     p{i} = MatMul(r{i}, w{i}) q{i} = Add(p{i}, d{i}) s{i} = Add(h{i - 1}, q{i})
                     m{i} = Mul(s{i}, a{i}) {name} = Add(m{i}, b{i})"""
        weights |= {f"v{i}": (4, 6), f"w{i}": (6, 4), f"c{i}": (6,)}
        weights |= {f"{name}{i}": (4,) for name in ("d", "a", "b")}
    return build(f"float[B,3,4] x => {outputs}", body, **weights)


def test_forward_the_norms_output_has_its_affine_as_gauge() -> None:
    model = build(SIGNATURE, f"{NORM} t = Neg(n) y = MatMul(t, w)", **WEIGHTS)
    view = view_of(model)
    (site,) = view.sites
    made = solve(view, "forward")
    gauges = made.assignment.tensors
    assert gauges[site.x].is_identity
    assert gauges[site.y].same(site.affine)
    assert gauges[tensor(model, "t")].same(Affine(site.affine.scale, -site.affine.shift))
    assert tensor(model, "y") not in gauges
    assert made.assignment.vanished == {site}
    assert [type(edit) for edit in made.edits] == [SetConstant, AddBias, Bypass]
    assert made.cost == -1.5
    certify(view, made.assignment)


def test_a_post_norm_chain_is_one_plan_and_its_output_is_exact() -> None:
    model = post_norm()
    view = view_of(model)
    backward = solve(view, "backward")
    assert backward.assignment.vanished == set(view.sites)
    assert backward.assignment.tensors[tensor(model, "y")].is_identity
    scale = backward.assignment.tensors[tensor(model, "h0")].scale
    product = np.prod([site.affine.scale for site in view.sites], axis=0)
    np.testing.assert_allclose(scale, 1 / product, rtol=1e-14)
    folded = assert_folds(model)
    assert set(operators(folded.model)) == {"MatMul", "Add", "Relu"}
    assert operators(folded.model).count("Add") == 1 + 3 * 3  # h0 gains the bias of the stream


def test_between_two_outputs_one_norm_takes_in_what_the_others_leave() -> None:
    signature = "float[B,3,4] y, float[B,3,4] h1"
    folded = fold_and_prove(post_norm(3, signature))
    assert [site.status for site in folded.report.sites].count("stayed") == 1
    assert operators(folded.model).count("Mul") == 1


def test_a_shift_alone_is_not_gained_at_any_price() -> None:
    """A bias is half an operator: three are worth a norm of two, four are not."""

    def readers(count: int) -> ir.Model:
        outputs = ", ".join(f"float[B,3,5] y{i}" for i in range(count))
        body = " ".join(f"y{i} = MatMul(n, w{i})" for i in range(count))
        weights = {f"w{i}": (4, 5) for i in range(count)}
        return build(f"float[B,3,4] x => {outputs}", f"{NORM} {body}", a=(4,), b=(4,), **weights)

    folded = assert_folds(readers(3))
    assert len(folded.report.gained_biases) == 3
    for count in (4, 5):
        folded = fold_and_prove(readers(count))
        (site,) = folded.report.stayed
        assert f"{count} linear operators would gain a bias, which costs more" in site.reason
        assert operators(folded.model) == ["Add"] + ["MatMul"] * count  # the scale goes alone


def test_one_tensor_cannot_have_two_gauges() -> None:
    """Two norms of one tensor meet in a sum, and one of them is read elsewhere too."""
    body = (
        "h = Relu(x) n = Mul(h, a) k = Mul(h, a2) s = Add(n, k) y = MatMul(s, w) z = MatMul(n, w)"
    )
    signature = f"{SIGNATURE}, float[B,3,5] z"
    folded = fold_and_prove(build(signature, body, a=(4,), a2=(4,), w=(4, 5)))
    assert [site.status for site in folded.report.sites] == ["stayed", "stayed"]
    reason = folded.report.sites[0].reason
    assert "'k' would need two different scales or shifts" in reason


REFUSALS = {
    "an operator that does not commute": (
        SIGNATURE,
        f"{NORM} g = Sigmoid(n) y = MatMul(g, w)",
        WEIGHTS,
        "Sigmoid_2 (Sigmoid) does not commute with a scale and shift",
    ),
    "a refusal of a rule": (
        "float[4,3] x, float[5,4] z => float[5,3] y",
        f"{NORM} y = MatMul(z, n)",
        {"a": (4, 1), "b": (4, 1)},
        "forward: MatMul_2 (MatMul): it is no product of a computed and a constant operand",
    ),
    "a weight that would be too large for its type": (
        "float16[B,4] x => float16[B,2] y",
        "n = Mul(x, a) y = MatMul(n, w)",
        {"a": np.full(4, 100, np.float16), "w": np.full((4, 2), 1000, np.float16)},
        "'w' would leave the range of float16",
    ),
    "a weight of integers": (
        "float[B,4] x => float[B,5] y",
        f"{NORM} y = MatMul(n, w)",
        {"a": (4,), "b": (4,), "w": np.ones((4, 5), np.int64)},
        "the type of 'w' is not known to be floating",
    ),
    "a graph output": (
        "float[B,3,4] x => float[B,3,5] y, float[B,3,4] n",
        f"{NORM} y = MatMul(n, w)",
        WEIGHTS,
        "forward: 'n' is a graph output, so its value must stay",
    ),
    "a graph input": (
        "float[B,3,4] x => float[B,3,4] n",
        NORM,
        {"a": (4,), "b": (4,)},
        "backward: 'x' is a graph input, so its value must stay",
    ),
    "a scale that would overflow the tensor": (
        SIGNATURE,
        f"{NORM} y = MatMul(n, w)",
        {**WEIGHTS, "a": np.float32([1, 1, 1e30, 1])},
        "'n' would be scaled by 1e+30 in channel 2, too far from 1",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_stays_and_why(case: str) -> None:
    signature, body, weights, reason = REFUSALS[case]
    assert_stays(build(signature, body, **weights), reason)


@pytest.mark.parametrize("told", [True, False], ids=["told", "inferred"])
def test_float16_has_less_room(told: bool) -> None:
    scale = {"float": np.full(4, 300, np.float32), "float16": np.full(4, 300, np.float16)}
    body = f"{NORM} y = MatMul(n, w)"
    for name, kind in (("float", np.float32), ("float16", np.float16)):
        model = build(
            f"{name}[4] x => {name}[5] y",
            body,
            dtype=kind,
            claims=f"{name}[4] n" if told else "",
            **{**WEIGHTS, "a": scale[name]},
        )
        if name == "float":
            assert_folds(model)
        else:
            assert_stays(model, "'n' would be scaled by 300 in channel 0, too far from 1")


def test_a_norm_that_does_nothing_goes() -> None:
    nothing = {"a": np.ones(4, np.float32), "b": np.zeros(4, np.float32)}
    folded = assert_folds(build(SIGNATURE, f"{NORM} y = MatMul(n, w)", **nothing, w=(4, 5)))
    assert operators(folded.model) == ["MatMul"]
    at_both_ends = build("float[B,3,4] x => float[B,3,4] n", NORM, **nothing)
    assert_stays(at_both_ends, "both its ends are the graph's")


@pytest.mark.parametrize(
    ("second", "stay"), [(1.0, 1), (0.5, 2)], ids=["nothing twice", "there and back"]
)
def test_not_all_sites_between_an_input_and_an_output_go(second: float, stay: int) -> None:
    """Each alone could go, but not an input under the name of an output."""
    model = build(
        "float[B,3,4] x => float[B,3,4] z, float[B,3,5] y",
        "n = Mul(x, a) z = Mul(n, b) y = MatMul(n, w)",
        a=np.full(4, 1 / second, np.float32), b=np.full(4, second, np.float32), w=(4, 5),
    )  # fmt: skip
    folded = fold_and_prove(model)
    assert len(folded.report.stayed) == stay
    assert all("both its ends are the graph's" in one.reason for one in folded.report.stayed)
    assert [value.name for value in folded.model.graph.inputs] == ["x"]


def test_propagation_leaves_what_it_extends_as_it_is() -> None:
    model = build(SIGNATURE, f"{NORM} t = Neg(n) y = MatMul(t, w)", **WEIGHTS)
    view = view_of(model)
    (site,) = view.sites
    base = Assignment()
    grown = propagate(view, {site.x: Affine.identity(3), site.y: site.affine}, bool, base)
    assert not base.tensors and len(grown.tensors) == 3


def certified(view: GraphView, assignment: Assignment) -> bool:
    try:
        certify(view, assignment)
    except Refuse:
        return False
    return True


def moved(gauge: Affine) -> Affine:
    """One channel of the scale is off by a part in a thousand."""
    scale = gauge.scale.copy()
    scale.flat[-1] *= 1.001
    return Affine(scale, gauge.shift)


def test_a_gauge_that_one_operator_demands_cannot_be_changed() -> None:
    model = post_norm()
    view = view_of(model)
    assignment = solve(view, "backward").assignment
    assert certified(view, assignment)
    for value, gauge in assignment.tensors.items():
        assert not certified(view, with_gauge(assignment, value, moved(gauge))), value.name


def test_a_scale_given_to_an_output_is_seen() -> None:
    model = build("float[B,3,4] x => float[B,3,5] y", "y = MatMul(x, w)", w=(4, 5))
    view = view_of(model)
    scaled = Affine(np.full((1, 1, 1), 2.0), np.zeros((1, 1, 1)))
    with pytest.raises(Refuse, match="'y' is a graph output, and was given a scale or shift"):
        certify(view, Assignment({tensor(model, "y"): scaled}))
    certify(view, Assignment({tensor(model, "y"): Affine.identity(3)}))


def test_a_site_that_vanishes_without_its_gauge_is_seen() -> None:
    view = view_of(build(SIGNATURE, f"{NORM} y = MatMul(n, w)", **WEIGHTS))
    with pytest.raises(Refuse, match="would vanish, but its ends do not differ by it"):
        certify(view, Assignment(vanished=frozenset(view.sites)))


def test_a_unit_whose_ports_disagree_is_seen() -> None:
    view = view_of(build(SIGNATURE, f"{NORM} t = Neg(n) y = MatMul(t, w)", **WEIGHTS))
    assignment = solve(view, "forward").assignment
    lost = {value: g for value, g in assignment.tensors.items() if value.name != "t"}
    with pytest.raises(Refuse, match="Neg_2 does not agree with the gauge of its output"):
        certify(view, replace(assignment, tensors=lost))


def with_gauge(assignment: Assignment, value: ir.Value, gauge: Affine) -> Assignment:
    return replace(assignment, tensors={**assignment.tensors, value: gauge})


@pytest.mark.parametrize(
    "made", ["w = DequantizeLinear(w0, step)", "f = Cast<to=1>(w0) w = Mul(f, step)"]
)
def test_a_quantised_weight_stays_quantised(made: str) -> None:
    model = build(
        SIGNATURE,
        f"{NORM} {made} y = MatMul(n, w)",
        a=(4,),
        b=(4,),
        w0=np.arange(20).reshape(4, 5).astype(np.int8),
        step=np.array(0.1, np.float32),
    )
    assert_stays(model, "'w' is computed from integers, and would be stored as floats")
