"""What agrees at the numbers and sizes that are tried, and not at all others, is not proven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import NORM, build
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.proof import Proof
from un_deploy.graph.proof.prove import prove


def proof_of(new: str, old: str, signature: str, **constants: object) -> Proof:
    """Of one graph as another one, in which tensors of one name stand for each other."""
    original, other = (build(signature, body, **constants) for body in (old, new))  # type: ignore[arg-type]
    folded = fold_graph(original.clone())
    assert not folded.report.folded
    return prove(original, replace(folded, model=other))


TARGETS = [
    ("float[B,4,6] x, int64[3] t => float[B,P,Q] y", "s = Shape(x)", "s"),
    (
        "float[B,4,6] x, int64[2] t => float[B,24] y",
        "s = Shape<start=0,end=1>(x) m = Concat<axis=0>(s, rest)",
        "m",
    ),
]


@pytest.mark.parametrize(("signature", "shapes", "target"), TARGETS)
def test_a_target_that_is_data_is_not_taken_for_one_that_is_computed(
    signature: str, shapes: str, target: str
) -> None:
    right = f"{shapes} y = Reshape(x, {target})"
    assert not proof_of("y = Reshape(x, t)", right, signature, rest=[-1]).passed
    assert proof_of(right, right, signature, rest=[-1]).passed


def test_a_size_that_the_file_only_claims_is_not_taken_for_a_constant() -> None:
    """What an If gives may be of another shape than the file says."""
    branches = "then_branch = t () => (float[2,6] u) { u = Neg(x) },"
    branches += " else_branch = e () => (float[2,6] v) { v = Abs(x) }"
    given = f"g = If(c) <{branches}> s = Shape(g)"
    signature = "float[2,6] x, float[12] z, bool c => float[2,6] y"
    fixed = f"{given} y = Reshape(z, two_six)"
    assert not proof_of(fixed, f"{given} y = Reshape(z, s)", signature, two_six=[2, 6]).passed


def test_a_mask_that_lost_its_minus_infinity_differs() -> None:
    mask, none = np.float32([0, -np.inf, 0, 0]), np.zeros(4, np.float32)
    proof = proof_of(
        "y = Add(x, none)", "y = Add(x, mask)", "float[B,4] x => float[B,4] y", mask=mask, none=none
    )
    assert "-inf" in proof.problems[0].text


@pytest.mark.parametrize("size", ["8,8", "9,9", "16,17", "H,W"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("pads=[0,0,0,0]", "pads=[0,0,1,1]"),
        ('auto_pad="SAME_UPPER"', 'auto_pad="SAME_LOWER"'),
        ("pads=[1,1,1,1]", 'auto_pad="SAME_UPPER"'),
    ],
)
def test_windows_that_agree_at_some_sizes_are_not_the_same(old: str, new: str, size: str) -> None:
    signature = f"float[1,2,{size}] x => float[1,3,P,Q] y"
    a, b = (f"y = Conv<strides=[2,2], {attribute}>(x, w)" for attribute in (old, new))
    assert not proof_of(b, a, signature, w=(3, 2, 3, 3)).passed


def test_only_onnx_makes_constants() -> None:
    """An operator of another domain that is called Constant may give anything."""
    signature = "float[B,3,4] x => float[B,3,5] y"
    original = build(signature, f"{NORM} y = MatMul(n, w)", a=(4,), b=(4,), w=(4, 5))
    folded = fold_graph(original.clone())
    other = folded.model.clone()
    weight = other.graph.initializers["w"]
    made = ir.node("Constant", [], {"alpha": 1.0}, domain="own")
    other.graph.insert_before(other.graph[0], made)
    weight.replace_all_uses_with(made.outputs[0])
    other.graph.initializers.pop("w")
    made.outputs[0].name = "w"
    assert not prove(original, replace(folded, model=other)).passed


def test_two_open_sizes_are_not_called_one() -> None:
    original = build("float[B,S] x => float[B,S] y", "y = Neg(x)")
    folded = fold_graph(original.clone())
    for value in (*folded.model.graph.inputs, *folded.model.graph.outputs):
        value.shape = ir.Shape(["N", "N"])
    assert not prove(original, folded).passed
