"""A norm that measures its data takes what is behind it into its own scale and shift."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import assert_stays, build, fold_and_prove, operators, stored, to_bytes
from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

ROWS, IMAGES = "float[B,3,4] x => float[B,3,4] y", "float[B,4,5,5] x => float[B,4,5,5] y"
BEHIND = "m = Mul(h, a) n = Add(m, b) y = Tanh(n)"
ROW = {"a": (4,), "b": (4,), "ag": (4,), "c": (4,)}
COLUMN = {"a": (4, 1, 1), "b": (4, 1, 1), "ag": (4,), "c": (4,)}


def parameters(model: ir.Model, first: int = 0) -> list[np.ndarray]:
    return [stored(value) for value in model.graph[first].inputs[1:] if value is not None]


@pytest.mark.parametrize(
    ("signature", "norm", "constants", "opset"),
    [
        (ROWS, "LayerNormalization(x, ag, c)", ROW, 17),
        (ROWS, "LayerNormalization<stash_type=1, epsilon=0.5>(x, ag, c)", ROW, 20),
        (IMAGES, "InstanceNormalization(x, ag, c)", COLUMN, 13),
        (IMAGES, "GroupNormalization<num_groups=2>(x, ag, c)", COLUMN, 21),
    ],
)
def test_scale_and_shift_behind_it_become_its_own(
    signature: str, norm: str, constants: dict[str, tuple[int, ...]], opset: int
) -> None:
    model = build(signature, f"h = {norm} {BEHIND}", opset, **constants)
    folded = fold_and_prove(model, eps=2.0**-20)
    assert operators(folded.model) == [norm.partition("<")[0].partition("(")[0], "Tanh"]
    given = {name: stored(value) for name, value in model.graph.initializers.items()}
    a, b = given["a"].reshape(-1), given["b"].reshape(-1)
    gamma, beta = parameters(folded.model)
    np.testing.assert_allclose(gamma, given["ag"] * a, rtol=2.0**-23)
    np.testing.assert_allclose(beta, given["c"] * a + b, rtol=0, atol=2.0**-22)
    (site,) = folded.report.folded
    assert site.into == (model.graph[0].name,)


def test_a_layer_norm_without_a_shift_gains_one() -> None:
    model = build(ROWS, f"h = LayerNormalization(x, ag) {BEHIND}", a=(4,), b=(4,), ag=(4,))
    folded = fold_and_prove(model, eps=2.0**-20)
    assert folded.report.gained_biases == ("h",)
    np.testing.assert_allclose(
        parameters(folded.model)[1], stored(model.graph.initializers["b"]), rtol=2.0**-23
    )


def test_a_scale_that_two_norms_share_is_changed_for_one_alone() -> None:
    body = f"o = LayerNormalization(x, ag, c) p = Tanh(o) h = LayerNormalization(p, ag, c) {BEHIND}"
    folded = fold_and_prove(build(ROWS, body, **ROW), eps=2.0**-20)
    first, second = (n for n in folded.model.graph if n.op_type == "LayerNormalization")
    assert str(first.inputs[1].name) == "ag" and str(second.inputs[1].name) != "ag"


def test_over_several_axes_each_entry_takes_its_channel_in() -> None:
    body = f"h = LayerNormalization<axis=-2>(x, ag, c) {BEHIND}"
    model = build(ROWS, body, a=(4,), b=(4,), ag=(3, 4), c=(3, 4))
    folded = fold_and_prove(model, eps=2.0**-20)
    assert operators(folded.model) == ["LayerNormalization", "Tanh"]
    given = {name: stored(value) for name, value in model.graph.initializers.items()}
    np.testing.assert_allclose(parameters(folded.model)[0], given["ag"] * given["a"], rtol=2.0**-23)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_round_once(dtype: str) -> None:
    body = "t = Cast<to=TYPE>(x) h = LayerNormalization(t, ag, c) m = Mul(h, a) n = Add(m, b) "
    kind = ir.DataType[dtype.upper()]
    body = body.replace("TYPE", str(int(kind))) + "z = Cast<to=1>(n) y = Tanh(z)"
    model = build(ROWS, body, dtype=kind.numpy(), **ROW)
    folded = fold_graph(model.clone())
    assert prove(model, folded).passed
    assert operators(folded.model) == ["Cast", "LayerNormalization", "Cast", "Tanh"]
    gamma, _ = parameters(folded.model, 1)
    given = {name: stored(value) for name, value in model.graph.initializers.items()}
    wanted = (given["ag"] * given["a"]).astype(kind.numpy()).astype(np.float64)
    np.testing.assert_array_equal(gamma, wanted)


def test_digits_that_a_half_type_would_lose_are_refused() -> None:
    tiny, small = np.full(4, 5e-3, np.float16), np.full(4, 1e-3, np.float16)
    body = "h = LayerNormalization(x, ag, c) m = Mul(h, a) y = Tanh(m)"
    signature = ROWS.replace("float", "float16")
    model = build(signature, body, dtype=np.float16, a=tiny, ag=small, c=(4,))
    assert_stays(model, "'ag' would lose digits")


POST_NORM = (
    "h = {} p = MatMul(h, w) q = Add(p, d) s = Add(h, q) m = Mul(s, a) n = Add(m, b) "
    "f = MatMul(n, v) g = Add(f, e) t = Add(n, g) y = {}"
)
BLOCK = {**ROW, "w": (4, 4), "d": (4,), "v": (4, 4), "e": (4,)}


def test_between_two_layer_norms_that_stay_a_norm_goes_into_the_first() -> None:
    """The stream is scaled up to there, and its shift goes to what is added to it."""
    norms = "LayerNormalization(x, ag, c)", "LayerNormalization(t, ag, c)"
    folded = fold_and_prove(build(ROWS, POST_NORM.format(*norms), **BLOCK), eps=2.0**-18)
    rest = ["MatMul", "Add", "Add"]
    assert operators(folded.model) == ["LayerNormalization", *rest, *rest, "LayerNormalization"]
    assert folded.report.gained_biases == ()


def test_an_rms_norm_takes_the_scale_and_the_branch_the_shift() -> None:
    norms = "RMSNormalization(x, ag)", "RMSNormalization(t, ag)"
    block = {name: shape for name, shape in BLOCK.items() if name != "c"}
    folded = fold_and_prove(build(ROWS, POST_NORM.format(*norms), 23, **block), eps=2.0**-18)
    assert "Mul" not in operators(folded.model)


def test_a_norm_in_front_of_a_sum_would_rather_not_take_its_shift() -> None:
    """Else its other readers would have to subtract it again."""
    norms = "LayerNormalization(x, ag, c)", "LayerNormalization(t, ag, c)"
    model = build(ROWS, POST_NORM.format(*norms), **BLOCK)
    changes = {change.old for change in fold_graph(model.clone()).report.changes}
    assert changes == {"ag", "c", "w", "d"}
    (beta,) = parameters(fold_graph(model.clone()).model)[1:]
    given = {name: stored(value) for name, value in model.graph.initializers.items()}
    np.testing.assert_allclose(beta, given["c"] * given["a"], rtol=2.0**-23)


def test_a_dead_channel_is_lost_in_front_of_it() -> None:
    dead = np.array([1, 0, 2, 3], np.float32)
    model = build(ROWS, f"h = LayerNormalization(x, ag, c) {BEHIND}", **{**ROW, "a": dead})
    folded = fold_and_prove(model, eps=2.0**-20)
    gamma, beta = parameters(folded.model)
    assert gamma[1] == 0 and beta[1] == stored(model.graph.initializers["b"])[1]


@pytest.mark.parametrize("name", ["ag", "c"])
def test_one_per_cent_of_one_entry_is_seen(name: str) -> None:
    """Also where the fold itself would have computed it so: the proof computes both norms."""
    norms = "LayerNormalization(x, ag, c)", "LayerNormalization(t, ag, c)"
    model = build(ROWS, POST_NORM.format(*norms), **BLOCK)
    folded = fold_graph(model.clone())
    changed = next(c.new for c in folded.report.changes if c.old == name)
    for entry in range(4):
        right = folded.exact[changed]()
        wrong = right.copy()
        wrong[entry] *= 1.01
        exact = {**folded.exact, changed: type(folded.exact[changed]).held(wrong)}
        proof = prove(model, type(folded)(**{**vars(folded), "exact": exact}))
        assert any(problem.differs for problem in proof.problems)


PASSES_NOTHING_IN = "it measures what it reads, so that has to stay"


@pytest.mark.parametrize(
    "body",
    [
        "m = Mul(x, a) n = Add(m, b) y = LayerNormalization(n, ag, c)",
        "m = Mul(x, a) n = Relu(m) y = LayerNormalization(n, ag, c)",
    ],
)
def test_nothing_passes_into_what_it_measures(body: str) -> None:
    row = {name: shape for name, shape in ROW.items() if f" {name})" in body}
    assert_stays(build(ROWS, body, **row, ag=(4,)), PASSES_NOTHING_IN)


REFUSED = {
    "a scale that is an input": (
        "float[B,3,4] x, float[4] g => float[B,3,4] y",
        "h = LayerNormalization(x, g, c)", 17, "its scale or shift is no constant",
    ),
    "a shift that is an input": (
        "float[B,3,4] x, float[4] g => float[B,3,4] y",
        "h = LayerNormalization(x, ag, g)", 17, "its scale or shift is no constant",
    ),
    "a mean that is read": (
        "float[B,3,4] x => float[B,3,4] y, float[B,3,1] mean",
        "h, mean = LayerNormalization(x, ag, c)", 17, "its mean or deviation is given, too",
    ),
    "a scale of one number": (
        ROWS, "h = LayerNormalization(x, one, one)", 17,
        "its scale and shift are not one number for each entry that they scale",
    ),
    "a shift behind an RMSNorm": (
        ROWS, "h = RMSNormalization(x, ag)", 23, "it has no shift that could take in another",
    ),
    "an RMSNorm of another type": (
        ROWS.replace("float[B,3,4] x", "float16[B,3,4] x"),
        "h = RMSNormalization(x, ag)", 23, "its scale has another type than what it measures",
    ),
    "no shift, over several axes": (
        ROWS, "h = LayerNormalization<axis=1>(x, wide)", 17,
        "it has no shift yet, and measures more than the channels",
    ),
    "a scale of each group": (
        ROWS, "h = GroupNormalization<num_groups=1>(x, one, one)", 18,
        "the shape of 'h' is not known",
    ),
    "a form of ONNX Runtime's": (
        ROWS, "h = SimplifiedLayerNormalization(x, ag)", 17,
        "(SimplifiedLayerNormalization) does not commute with a scale and shift",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_where_it_cannot_take_it_in_it_says_why(case: str) -> None:
    signature, norm, opset, reason = REFUSED[case]
    read = f"{norm} {BEHIND}".replace(")", ",").replace("(", ",").split()
    named = {name.strip(",") for word in read for name in word.split(",")}
    constants = {**ROW, "one": (1,), "wide": (3, 4)}
    used = {name: shape for name, shape in constants.items() if name in named}
    folded = fold_graph(
        build(signature, f"{norm} {BEHIND}", opset, claims="float[B,3,4] h", **used)
    )
    (site,) = folded.report.stayed
    assert reason in site.reason, site.reason


@pytest.mark.parametrize(
    ("signature", "norm", "constants", "axis"),
    [
        (ROWS, "LayerNormalization(x, ag, c)", {**ROW, "a": (3, 1), "b": (3, 1)}, 1),
        (IMAGES, "InstanceNormalization(x, ag, c)", {**COLUMN, "a": (5, 1), "b": (5, 1)}, 2),
    ],
)
def test_along_other_axes_than_its_own_it_takes_nothing_in(
    signature: str, norm: str, constants: dict[str, tuple[int, ...]], axis: int
) -> None:
    model = build(signature, f"h = {norm} {BEHIND}", **constants)
    assert_stays(model, f"the scale and shift vary along axis {axis}, and its own does not")


def test_a_norm_that_gave_its_scale_and_shift_does_not_take_them_in_again() -> None:
    model = build(ROWS, "h = LayerNormalization(x, ag, c) y = Tanh(h)", ag=(4,), c=(4,))
    (site,) = fold_graph(model, fold_norm_affine=True).report.stayed
    assert "is a LayerNormalization without its scale and shift" in site.reason


def test_one_that_is_kept_takes_nothing_in() -> None:
    model = build(ROWS, f"h = LayerNormalization(x, ag, c) {BEHIND}", **ROW)
    folded = fold_graph(model.clone(), keep=["LayerNormalization_0"])
    assert to_bytes(folded.model) == to_bytes(model)
    (site,) = folded.report.stayed
    assert "LayerNormalization_0 is kept, so its output must stay" in site.reason
