"""A folded graph's engine runs the kernels of the network without norms, and no other form does."""

from __future__ import annotations

from itertools import cycle

import pytest

from models.recipes import LARGE, MICRO, Recipe
from tests.support.networks.cases import forwards_of
from tests.support.networks.engine_graphs import engine_signatures
from tests.support.networks.exports import Form, exported
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

IN_TURN: tuple[tuple[Form, bool], ...] = (("released", False), ("un", True))
"""What has a norm, and whether its sizes are open."""

RECIPES = [*MICRO.values()]
EVERY = [
    pytest.param(
        recipe,
        *IN_TURN[(number + place) % 4],
        target,
        id=f"{recipe}-{'-'.join(target)}",
        marks=[pytest.mark.slow] if recipe.slow else [],
    )
    for number, recipe in enumerate(RECIPES)
    for place, target in enumerate(TARGETS)
    if (number + place) % 4 in (0, 1)
]
"""Every recipe against both writings of UN, and both for every target: an engine takes seconds, and
all builds together are in benchmarks/results/signatures.md. LN is compared in
tests/measure/speed/test_variant_engines.py."""


@pytest.mark.parametrize(("recipe", "other", "dynamic", "target"), EVERY)
def test_folded_is_no_norm_and_nothing_else_is(
    recipe: Recipe, other: Form, dynamic: bool, target: Target
) -> None:
    assert_kernels_of_no_norm(recipe, other, dynamic, target)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "target"), [*zip(cycle(RECIPES), LATER, strict=False)], ids=str)
def test_so_it_is_on_later_gpus(recipe: Recipe, target: Target) -> None:
    """Against "un" alone, the form closest to no norm."""
    assert_kernels_of_no_norm(recipe, "un", False, target)


def assert_kernels_of_no_norm(recipe: Recipe, other: Form, dynamic: bool, target: Target) -> None:
    """The folded network has those of the one without norms, the other form has not."""
    models = {
        "none": exported(recipe.folds_to, "none", dynamic),
        "folded": exported(recipe.factory, "folded", dynamic),
        other: exported(recipe.factory, other, dynamic),
    }
    found = {form: engine_signatures(model, *target) for form, model in models.items()}
    assert found["folded"] == found["none"]
    assert found[other] != found["none"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_turing_has_fp16_only(precision: Precision) -> None:
    model = exported(MICRO["vit_micro"].factory, "none", dynamic=False)
    with pytest.raises(InputError, match=r"with compute_capabilities='75': .+"):
        engine_signatures(model, precision, "75")


LARGEST = {recipe.factory.__module__: recipe for recipe in LARGE.values()}
LARGE_IN_TURN = [(r, r.name not in ("vit_base", "swin_tiny")) for r in LARGEST.values()]
"""The largest of each file of models/, with open or fixed sizes: an engine takes a minute,
the micro networks have both, and benchmarks/results/signatures.md has all."""


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "dynamic"), LARGE_IN_TURN, ids=str)
def test_large_networks_in_half_precision(recipe: Recipe, dynamic: bool) -> None:
    """BERT's untrained weights hold entries that fp16 has no digits for, and are refused in it."""
    precision: Precision = "bf16" if recipe.name == "bert_base" else "fp16"
    few = {"batch": recipe.batch, "forwards": forwards_of(recipe)}
    made = {"none": recipe.folds_to, "folded": recipe.factory, "un": recipe.factory}
    found = {
        form: engine_signatures(exported(factory, form, dynamic, **few), precision)
        for form, factory in made.items()
    }
    assert found["folded"] == found["none"]
    assert found["un"] != found["none"]
