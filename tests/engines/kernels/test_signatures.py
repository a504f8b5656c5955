"""A folded graph's engine runs the kernels of the network without norms, and no other form does."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from models.recipes import LARGE, MICRO, Recipe
from tests.support.networks.cases import MICROS
from tests.support.networks.engine_graphs import engine_signatures
from tests.support.networks.exports import FORMS, exported, forms
from un_deploy.errors import InputError
from un_deploy.graph.precision.convert import Precision

pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")

Target = tuple[Precision, str]

TARGETS: tuple[Target, ...] = (("fp32", ""), ("fp16", ""), ("fp16", "75"), ("bf16", ""))
"""Precision and compute capability; empty: TensorRT-RTX's own choice. They differ in kernels."""

LATER: tuple[Target, ...] = (
    ("fp32", "80"),
    ("bf16", "86"),
    ("fp16", "89"),
    ("bf16", "120"),
    ("fp16", "121"),
)
"""Every capability after 7.5 once: in all 1,260 builds of benchmarks/results/signatures.md their
kernels are those of TensorRT-RTX's own choice."""


@pytest.mark.parametrize(("precision", "target"), TARGETS)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("recipe", MICROS, ids=str)
def test_folded_is_no_norm_and_nothing_else_is(
    recipe: Recipe, dynamic: bool, precision: Precision, target: str
) -> None:
    assert with_kernels_of_no_norm(recipe, FORMS, dynamic, precision, target) == {"none", "folded"}


@pytest.mark.parametrize(("precision", "target"), LATER)
@pytest.mark.parametrize("recipe", MICROS, ids=str)
def test_so_it_is_on_later_gpus(recipe: Recipe, precision: Precision, target: str) -> None:
    """Against "un" alone, the form closest to no norm."""
    some = ("none", "folded", "un")
    assert with_kernels_of_no_norm(recipe, some, False, precision, target) == {"none", "folded"}


def with_kernels_of_no_norm(
    recipe: Recipe, some: Sequence[str], dynamic: bool, precision: Precision, target: str
) -> set[str]:
    models = forms(recipe.factory, dynamic) | {"none": exported(recipe.folds_to, "none", dynamic)}
    found = {form: engine_signatures(models[form], precision, target) for form in some}
    return {form for form in some if found[form] == found["none"]}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_turing_has_fp16_only(precision: Precision) -> None:
    model = exported(MICRO["vit_micro"].factory, "none", dynamic=False)
    with pytest.raises(InputError, match=r"with --computeCapability=75: .+"):
        engine_signatures(model, precision, "75")


IN_TURN = [(recipe, number % 2 == 0) for number, recipe in enumerate(LARGE.values())]
"""Open and fixed sizes in turn: an engine takes a minute, and the micro networks have both."""


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "dynamic"), IN_TURN, ids=str)
def test_large_networks_in_fp16(recipe: Recipe, dynamic: bool) -> None:
    made = {"none": recipe.folds_to, "folded": recipe.factory, "un": recipe.factory}
    found = {
        form: engine_signatures(exported(factory, form, dynamic, batch=recipe.batch), "fp16")
        for form, factory in made.items()
    }
    assert found["folded"] == found["none"]
    assert found["un"] != found["none"]
