"""Trained-like networks: the kinds of one network share what they should and are reproducible."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from models.recipes import Recipe  # noqa: E402  (needs torch)
from models.vit import vit_micro  # noqa: E402
from tests.support.networks.cases import with_micros  # noqa: E402
from tests.support.networks.kept import FOLDER  # noqa: E402
from tests.support.networks.trained_like import FORWARDS, NORM_LAYERS, norms, variant, variants  # noqa: E402
from un_deploy.pipeline.export.calling import call  # noqa: E402

pytestmark = pytest.mark.torch

recipes = pytest.mark.parametrize("recipe", with_micros(()), ids=str)


@recipes
def test_kinds_share_their_weights(recipe: Recipe) -> None:
    models = variants(recipe.factory)
    assert list(models) == list(NORM_LAYERS)
    trained = models["un"].state_dict()
    for kind, model in models.items():
        assert not model.training
        for key, value in model.state_dict().items():
            assert torch.equal(value, trained[key]), (kind, key)
    assert set(models["ln"].state_dict()) < set(models["released"].state_dict()) <= set(trained)
    assert not any("norm" in key for key in models["none"].state_dict())


@recipes
def test_no_norm_is_left_at_its_initial_state(recipe: Recipe) -> None:
    found = list(norms(variant(recipe.factory, "un")))
    assert len(found) == recipe.norms
    for norm in found:
        assert norm.iters.item() == FORWARDS
        assert norm.weight.min() >= 0.5
        assert norm.weight.max() <= 1.5
        assert norm.weight.std().item() == pytest.approx(12**-0.5, rel=0.3)  # uniform, width 1
        assert norm.bias.std().item() == pytest.approx(0.2, rel=0.3)
        assert norm.running_var.min() > 0
        assert (norm.running_var - 1).abs().max() > 0.1
        assert norm.running_var.std() > 0


@recipes
def test_the_released_style_computes_what_ours_computes(recipe: Recipe) -> None:
    models = variants(recipe.factory)
    inputs = models["un"].example_inputs()
    with torch.no_grad():
        outputs = {
            kind: call(model.double(), to_double(inputs))[0][1] for kind, model in models.items()
        }
    torch.testing.assert_close(outputs["released"], outputs["un"], rtol=1e-12, atol=1e-12)
    for other in ("ln", "none"):
        assert (outputs[other] - outputs["un"]).abs().max() > 0.01


def test_a_seed_gives_one_network_and_leaves_the_global_generator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(FOLDER)  # each is trained anew
    before = torch.random.get_rng_state()
    first, again, other = (variant(vit_micro, "un", seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    for key in ("head.weight", "norm.weight", "norm.running_var"):
        assert not torch.equal(first[key], other[key])


def to_double(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
