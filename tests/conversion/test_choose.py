"""Which norms stay: greedily, the most harmful first, until the loss is below the limit."""

from __future__ import annotations

from copy import deepcopy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from tests.conversion.networks import images, pre_norm  # noqa: E402
from un_deploy.conversion import choose  # noqa: E402
from un_deploy.conversion.divergence import Original  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402

pytestmark = pytest.mark.torch


def layer_norms(model: nn.Module) -> set[str]:
    return {name for name, m in model.named_modules() if isinstance(m, nn.LayerNorm)}


def test_as_many_stay_as_the_limit_asks_for() -> None:
    original = pre_norm()
    limits = (1.0, 0.1, 0.0)
    kept = []
    for limit in limits:
        model = deepcopy(original)
        choice = choose(model, images(2), images(2, seed=1), max_loss=limit)
        assert layer_norms(model) == set(choice.kept)
        assert choice.kept == choice.harm.ordered[::-1][: len(choice.kept)]
        assert [len(trial.kept) for trial in choice.trials] == list(range(len(choice.trials)))
        assert all(trial.loss.most > limit for trial in choice.trials[:-1])
        (found,) = Original(original, images(2, seed=1)).divergence(model).values()
        assert choice.loss.value == pytest.approx(found[0], rel=1e-4, abs=1e-9)
        assert choice.loss.most <= limit
        kept.append(len(choice.kept))
    assert kept[0] == 0 < kept[1] < 5 and kept[2] == 5


def test_a_limit_that_the_examples_cannot_show() -> None:
    """20 right answers that all stay right do not show that less than 0.001 is lost."""
    model = pre_norm()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    arguments = model, images(1), images(1, seed=1)
    with pytest.raises(InputError, match=r"20 samples cannot show a loss below 0\.219"):
        choose(*arguments, max_loss=0.001, evaluate=lambda model: [1.0] * 20)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    scores = iter([[1.0, 0.5] * 10] * 99)  # which of three values is right, nobody says
    choice = choose(*arguments, max_loss=0.05, evaluate=lambda model: [*next(scores), 0.7])
    assert choice.calibration is None and len(choice.kept) == 5 and choice.loss.most == 0
    assert choice.why_all_stay.endswith("21 samples cannot show a loss below 0.104")
    assert str(choice).endswith(f"Every norm stays: {choice.why_all_stay}.")


def test_one_number_chooses_by_its_value_and_says_so() -> None:
    model = pre_norm()
    choice = choose(model, images(1), images(1, seed=1), max_loss=0.1, evaluate=lambda model: 1.0)
    assert choice.kept == () and "its value alone chose" in str(choice)
    assert "With 0 kept the rest costs 0 (no interval)." in str(choice)


def test_a_score_of_ones_own() -> None:
    """A score of each example gives an interval; higher is better."""
    calls = []

    def minus_error(model: nn.Module) -> torch.Tensor:
        calls.append(model.training)
        with torch.no_grad():
            (batch,) = images(1, seed=3)
            return -(model(**batch) - wanted).square().mean(1)

    original = pre_norm()
    wanted = original(**images(1, seed=3)[0]).detach()
    model = deepcopy(original)
    choice = choose(
        model, images(1), images(1, seed=1), max_loss=0.5, evaluate=minus_error, metric="mse"
    )
    assert choice.metric == "mse" and not any(calls)
    low, high = choice.loss.interval
    assert 0 <= low < choice.loss.value < high
    assert choice.loss.value == pytest.approx(float(-minus_error(model).mean()), rel=1e-3, abs=1e-9)
