"""What a model lost, by the divergence of its outputs or by a score, with its interval."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from un_deploy.conversion.loss import Judge  # noqa: E402
from un_deploy.errors import InputError  # noqa: E402

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
    half = 1.96 * float(lost.std()) / 3**0.5
    assert loss.value == pytest.approx(2 / 3)
    assert loss.interval == pytest.approx((2 / 3 - half, 2 / 3 + half))


@pytest.mark.parametrize("scores", [[], [float("nan")]])
def test_no_score(scores: list[float]) -> None:
    with pytest.raises(InputError, match="no finite score"):
        Judge(Scaled(1.0), None, lambda model: scores)


def test_nothing_to_judge_by() -> None:
    with pytest.raises(InputError, match="give heldout data, or evaluate="):
        Judge(Scaled(1.0), None)
    with pytest.raises(InputError, match="no floating-point tensor"):
        Judge(nn.Identity(), [torch.arange(3)])
