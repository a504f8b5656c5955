"""What a model lost, by the divergence of its outputs or by a score, with its interval."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from un_deploy.conversion.interval import least_shown  # noqa: E402
from un_deploy.conversion.loss import Evaluate, Judge  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402
from un_deploy.quantiles import student_factor  # noqa: E402

pytestmark = pytest.mark.torch
X = torch.arange(12.0).reshape(6, 2)


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"same": x, "scaled": self.factor * x, "count": torch.tensor(3)}


def test_the_divergence_is_the_change_over_the_variance() -> None:
    loss = Judge(Scaled(1.0), [X[:4], X[4:]]).loss(Scaled(1.1))
    deviations = (X - X.mean(0)).square().sum()
    assert loss.value == pytest.approx(float((0.1 * X).square().sum() / deviations), rel=1e-5)
    assert loss.outputs == {"same": 0.0, "scaled": loss.value}
    low, high = loss.interval
    assert low < loss.value < high


def test_an_answer_that_ignores_the_input_has_lost_all() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return X.mean(0).expand(len(x), 2)

    assert Judge(nn.Identity(), [X]).loss(Constant()).value == pytest.approx(1.0)


def test_scores_are_paired() -> None:
    def score(model: nn.Module) -> list[float]:
        return [1.0, 2.0, 3.0] if model is first else [0.5, 1.5, 2.0]

    first, second = Scaled(1.0), Scaled(2.0)
    loss = Judge(first, None, score).loss(second)
    lost = torch.tensor([0.5, 0.5, 1.0])
    half = student_factor(2, 0.95) * float(lost.std()) / 3**0.5
    assert loss.value == pytest.approx(2 / 3)
    assert loss.interval == pytest.approx((2 / 3 - half, 2 / 3 + half), rel=1e-6)
    assert (loss.samples, loss.scores, loss.least_shown) == (3, (2.0, pytest.approx(4 / 3)), None)


def right(*wrong: int, of: int = 20, each: float = 1.0) -> Evaluate:
    """0 for these of the examples after the conversion, and for the last before too."""

    def score(model: Scaled) -> Tensor:
        scores = torch.full((of,), each)
        scores[-1] = 0.0
        scores[[] if model.factor == 1 else list(wrong)] = 0.0
        return scores

    return score


def test_of_20_examples_that_all_stay_the_same_little_is_known() -> None:
    """t^2 / 20 = 0.219 of them may be wrong elsewhere: 0 (0 to 0) was no interval."""
    loss = Judge(Scaled(1.0), None, right(each=100.0)).loss(Scaled(2.0))
    reach = 100 * student_factor(19, 0.95) ** 2 / 20
    assert loss.value == 0 and loss.interval == pytest.approx((-reach, reach))
    assert loss.least_shown == pytest.approx(reach)
    assert loss.why_not_shown(5.0) == "20 samples cannot show a loss below 21.9"
    assert loss.why_not_shown(22.0) == ""


def test_of_few_that_got_worse() -> None:
    loss = Judge(Scaled(1.0), None, right(3, 4, of=300)).loss(Scaled(2.0))
    assert loss.value == pytest.approx(2 / 300) and loss.least_shown == least_shown(300, 1.0)
    why = "its interval reaches to 0.02442: 300 samples do not show more"
    assert loss.why_not_shown(0.02) == why and loss.why_not_shown(0.001) == ""


def test_a_limit_finer_than_the_examples() -> None:
    judge = Judge(Scaled(1.0), None, right(), "loss of accuracy")
    said = (
        "loss of accuracy: 20 samples cannot show a loss below 0.219 even where not one changes, "
        "so none below max_loss 0.001: give a larger max_loss, or 3844 examples or more"
    )
    with pytest.raises(InputError, match=re.escape(said)):
        judge.require_samples(0.001)
    judge.require_samples(0.22)
    with pytest.raises(InputError, match=r"give a larger max_loss$"):
        judge.require_samples(-1.0)
    Judge(Scaled(1.0), None, lambda model: [0.1, 0.2, 0.3]).require_samples(1e-9)


def test_one_number_has_no_interval() -> None:
    loss = Judge(Scaled(1.0), None, lambda model: -model.factor).loss(Scaled(2.0))
    assert str(loss) == "1 (no interval)" and loss.most == 1
    assert (loss.scores, loss.samples, loss.why_not_shown(1.0)) == ((-1.0, -2.0), 1, "")


def test_examples_that_are_all_scored_0() -> None:
    """A divergence of ones own may be 0 before; what is 0 afterwards too shows nothing."""
    judge = Judge(Scaled(1.0), None, lambda model: (1 - model.factor) * torch.arange(1.0, 41.0))
    low, high = judge.loss(Scaled(2.0)).interval
    assert 0 < low < 20.5 < high < 41
    loss = judge.loss(Scaled(1.0))
    assert loss.most == float("inf") and "score what is right above 0" in loss.why_not_shown(1e9)


def test_a_divergence_of_few_that_changed() -> None:
    """An answer of -1 and 1: one of 40 turned over, by 4 variances."""

    class Sign(nn.Module):
        def __init__(self, border: float) -> None:
            super().__init__()
            self.border = border

        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x < self.border, -1.0, 1.0)

    x = torch.arange(40.0)[:, None]
    judge = Judge(Sign(20.0), [x[:25], x[25:]])
    loss = judge.loss(Sign(21.0))
    assert loss.value == pytest.approx(4 / 40)
    assert loss.value < loss.most <= 4 and loss.samples == 40
    same = judge.loss(Sign(20.0))
    assert same.value == 0 and same.most == same.least_shown == least_shown(40, 4.0)


@pytest.mark.parametrize("scores", [[], [float("nan")]])
def test_no_score(scores: list[float]) -> None:
    with pytest.raises(InputError, match="no finite score"):
        Judge(Scaled(1.0), None, lambda model: scores)


def test_nothing_to_judge_by() -> None:
    with pytest.raises(InputError, match="give heldout data, or evaluate="):
        Judge(Scaled(1.0), None)
    with pytest.raises(InputError, match="no floating-point tensor"):
        Judge(nn.Identity(), [torch.arange(3)])
