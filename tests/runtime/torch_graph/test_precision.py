"""A float32 graph run in half precision stays close to itself, finite, and within the type."""

from __future__ import annotations

from typing import get_args

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

import torch

from models.recipes import Recipe
from tests.support.networks.cases import feeds_of, first_of, graph_of, with_micros
from tests.support.networks.exports import FORMS
from un_deploy.errors import InputError
from un_deploy.runtime.protocol import Session
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.torch_graph.precision import Half
from un_deploy.runtime.torch_graph.recognize import counts

pytestmark = pytest.mark.torch

LOWEST = float(np.finfo(np.float32).min)
SCORES = np.array([[-30.0, 2.0, 1.0]], np.float32)


@pytest.fixture(params=get_args(Half))
def half(request: pytest.FixtureRequest) -> Half:
    return request.param


def eps(half: Half) -> float:
    return torch.finfo(getattr(torch, half)).eps


def loaded(graph: str, half: Half) -> Session:
    model = ir.from_onnx_text(f'<ir_version: 8, opset_import: ["": 20]> {graph}')
    return TorchRuntime(dtype=half).load(model)


#: Both half types of each form, one recognised and the other decomposed, in turn.
IN_TURN = [
    (form, half, (turn + place) % 2 == 0)
    for turn, form in enumerate(FORMS)
    for place, half in enumerate(get_args(Half))
]


@pytest.mark.parametrize(("recipe", "form", "half", "recognize"), with_micros(*IN_TURN), ids=str)
def test_networks_stay_close_to_float32(
    recipe: Recipe, form: str, half: Half, recognize: bool
) -> None:
    model, feeds = graph_of(recipe, form, "torchscript", True), feeds_of(recipe)[0]
    single = TorchRuntime(recognize=recognize).load(model)
    session = TorchRuntime(recognize=recognize, dtype=half).load(model)
    wanted, got = (first_of(s.run(feeds)) for s in (single, session))
    assert got.dtype == np.float32
    assert np.isfinite(got).all()
    assert 0 < np.max(np.abs(got - wanted)) <= 4 * eps(half) * np.ptp(wanted)
    assert counts(session.module(feeds)) == counts(single.module(feeds))


@pytest.mark.parametrize("recipe", with_micros(()), ids=str)
def test_nothing_is_computed_in_float32_on_the_way(recipe: Recipe, half: Half) -> None:
    model, feeds = graph_of(recipe, "released", "torchscript", True), feeds_of(recipe)[0]
    module = TorchRuntime(dtype=half).load(model).module(feeds)
    values = [node.meta.get("val") for node in module.graph.nodes]
    tensors = [value for value in values if isinstance(value, torch.Tensor)]
    types = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    assert types == {getattr(torch, half)}


@pytest.mark.parametrize("recipe", with_micros(()), ids=str)
def test_the_model_given_stays(recipe: Recipe, half: Half) -> None:
    """Other variants and a run in float32 read the same model."""
    model, feeds = graph_of(recipe, "un", "torchscript", True), feeds_of(recipe)[0]
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    TorchRuntime(dtype=half).load(model).run(feeds)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


MASKED = """g (float[1, 3] scores{more}) => (float[1, 3] weights)
<{constants}> {{ {mask} s = Add(scores, m)  weights = Softmax(s) }}"""


@pytest.mark.parametrize("lowest", [LOWEST, LOWEST / 2], ids=["lowest", "half the lowest"])
@pytest.mark.parametrize(
    ("constants", "mask"),
    [
        ("float[1, 3] m = {{0, 0, {0!r}}}", ""),
        ("", "m = Constant<value = float[1, 3] {{0, 0, {0!r}}}>()"),
        ("", "m = Constant<value_floats = [0.0, 0.0, {0!r}]>()"),
        ("float[1, 3] f = {{0, 0, 1}}", "l = Constant<value_float = {0!r}>()  m = Mul(f, l)"),
        (
            "int64[1] n = {{1}}, float[1, 2] z = {{0, 0}}, int64[1] axis = {{0}}",
            "l = ConstantOfShape<value = float[1] {{{0!r}}}>(n)  u = Unsqueeze(l, axis)  "
            "m = Concat<axis = 1>(z, u)",
        ),
    ],
    ids=["initializer", "Constant", "value_floats", "value_float", "ConstantOfShape"],
)
def test_a_mask_stays_finite_and_masks(
    half: Half, lowest: float, constants: str, mask: str
) -> None:
    graph = MASKED.format(constants=constants.format(lowest), mask=mask.format(lowest), more="")
    session = loaded(graph, half)
    got = session.run({"scores": SCORES}, ["weights", "m"])
    assert np.isfinite(got["m"]).all()
    assert got["m"].dtype == np.float32
    np.testing.assert_allclose(got["weights"], [[0, 1, 0]], atol=eps(half))


def test_a_mask_that_is_fed_stays_finite_and_masks(half: Half) -> None:
    session = loaded(MASKED.format(constants="", mask="", more=", float[1, 3] m"), half)
    mask = np.array([[0, 0, LOWEST]], np.float32)
    np.testing.assert_allclose(
        session.run({"scores": SCORES, "m": mask})["weights"], [[0, 1, 0]], atol=eps(half)
    )


def test_a_row_without_keys_stays_finite(half: Half) -> None:
    """The mask is half the type's lowest number: with a score added it does not become -inf."""
    lowest = f"float[1, 3] m = {{{', '.join([repr(LOWEST)] * 3)}}}"
    session = loaded(MASKED.format(constants=lowest, mask="", more=""), half)
    got = session.run({"scores": 10 * SCORES}, ["s", "weights"])
    assert np.isfinite(got["s"]).all()
    assert got["weights"].sum() == pytest.approx(1, abs=4 * eps(half))


def test_infinities_stay(half: Half) -> None:
    session = loaded(
        MASKED.format(constants="float[1, 3] m = {0, -inf, 0}", mask="", more=""), half
    )
    got = session.run({"scores": SCORES}, ["m", "weights"])
    assert got["m"].tolist() == [[0, -np.inf, 0]]
    np.testing.assert_allclose(got["weights"], [[0, 0, 1]], atol=eps(half))


SUM = "g (float[2] x) => (float[2] y) <{}> {{ {} y = Add(x, c) }}"


@pytest.mark.parametrize("number", ["70000", "-1000000000"])
@pytest.mark.parametrize(
    ("constants", "body", "where"),
    [
        ("float[2] c = {{1, {}}}", "", "initializer c"),
        ("", "c = Constant<value = float[2] {{1, {}}}>()", "the Constant c"),
        ("", "c = Constant<value_float = {}.0>()", "the Constant c"),
        (
            "int64[1] two = {{2}}",
            "c = ConstantOfShape<value = float[1] {{{}}}>(two)",
            "the ConstantOfShape c",
        ),
    ],
    ids=["initializer", "Constant", "value_float", "ConstantOfShape"],
)
def test_a_number_beyond_float16_is_refused_by_name(
    constants: str, body: str, where: str, number: str
) -> None:
    graph = SUM.format(constants.format(number), body.format(number))
    told = rf"^torch cannot load the graph: {where} holds {float(number):g}, beyond the range of "
    with pytest.raises(InputError, match=told.replace("+", r"\+") + "float16$"):
        loaded(graph, "float16")
    got = loaded(graph, "bfloat16").run({"x": np.zeros(2, np.float32)})["y"]
    assert got[1] == pytest.approx(float(number), rel=eps("bfloat16"))


def test_an_input_beyond_float16_is_refused_by_name() -> None:
    feeds = {"x": np.array([0, 1e6], np.float32)}
    graph = SUM.format("float[2] c = {1, 1}", "")
    with pytest.raises(InputError, match="input x holds 1e\\+06, beyond the range of float16"):
        loaded(graph, "float16").run(feeds)


def test_casts_and_made_tensors_become_half(half: Half) -> None:
    """A Cast to float32, and what ConstantOfShape makes without a value, which is float32 too."""
    session = loaded(
        "g (float[2] x, int64[2] n) => (float[2] y) <int64[1] two = {2}> "
        "{ c = Cast<to = 1>(n)  zero = ConstantOfShape(two)  one = Constant<value_float = 1.0>() "
        "  a = Add(x, c)  b = Add(a, zero)  y = Add(b, one) }",
        half,
    )
    feeds = {"x": np.array([1, 2], np.float32), "n": np.array([3, 4])}
    got = session.run(feeds, ["y", "c", "zero", "one"])
    assert got["y"].tolist() == [5, 7]
    assert {name: array.dtype for name, array in got.items()} == dict.fromkeys(got, np.float32)
    module = session.module(feeds)  # type: ignore[attr-defined]
    (output,) = next(node for node in module.graph.nodes if node.op == "output").args[0]
    assert output.meta["val"].dtype == getattr(torch, half)


def test_other_types_stay(half: Half) -> None:
    session = loaded(
        "g (double[2] x, int64[2] n) => (double[2] y, int64[2] m) <double[1] c = {1e300}> "
        "{ y = Mul(x, c)  m = Add(n, n) }",
        half,
    )
    got = session.run({"x": np.array([1.0, 2.0]), "n": np.array([70000, 1])})
    assert got["y"].tolist() == [1e300, 2e300]
    assert got["m"].tolist() == [140000, 2]
