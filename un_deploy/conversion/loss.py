"""What a conversion costs on held-out data, by a named metric, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from un_deploy.conversion.batches import Batches, evaluating
from un_deploy.conversion.divergence import Interval, Original, mean_interval
from un_deploy.errors import InputError
from un_deploy.json_form import JsonForm

Evaluate = Callable[[nn.Module], float | Sequence[float] | Tensor]
"""A score of a model, the higher the better: one number, or one of each example."""

DIVERGENCE = "divergence of the outputs"


@dataclass(frozen=True)
class Loss(JsonForm):
    """What a converted model lost against the original.

    Attributes:
        value: the largest divergence of an output, or the score before less the score after.
        interval: 95 %, over the samples of the held-out data, or over the examples of a score; the
            differences are paired.
        outputs: the divergence of each output, where that is the metric.
    """

    value: float
    interval: Interval | None = None
    outputs: dict[str, float] | None = None

    @property
    def most(self) -> float:
        """The interval's upper end, or the value where there is no interval."""
        return self.value if self.interval is None else self.interval[1]

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.value:.4g}"
        low, high = self.interval
        return f"{self.value:.4g} ({low:.4g} to {high:.4g})"


class Judge:
    """Tells what a model lost against the original.

    Args:
        model: the original.
        heldout: batches, for the divergence.
        evaluate: the user's score instead: higher is better; a number, or one of each example,
            in the same order at every call.
        metric: the name of the user's score.

    Raises:
        InputError: there is neither data nor a score.
    """

    def __init__(
        self,
        model: nn.Module,
        heldout: Batches | None,
        evaluate: Evaluate | None = None,
        metric: str | None = None,
    ) -> None:
        self.evaluate = evaluate
        if evaluate is not None:
            self.metric = metric or f"loss of {getattr(evaluate, '__name__', 'evaluate')}"
            self.before = self._scores(model)
        elif heldout is not None:
            self.metric = DIVERGENCE
            self.original = Original(model, heldout)
        else:
            raise InputError("give heldout data, or evaluate=, a function that scores the model")

    def loss(self, model: nn.Module) -> Loss:
        """What the model lost."""
        if self.evaluate is None:
            found = self.original.divergence(model)
            value, interval = max(found.values(), key=lambda one: one[0])
            return Loss(value, interval, {name: one for name, (one, _) in found.items()})
        after = self._scores(model)
        if len(after) != len(self.before):
            raise InputError(
                f"{self.metric}: evaluate gave {len(self.before)} scores of the original and "
                f"{len(after)} of the converted model"
            )
        lost = self.before - after
        return Loss(float(lost.mean()), mean_interval(lost))

    def _scores(self, model: nn.Module) -> Tensor:
        assert self.evaluate is not None
        with evaluating(model):
            given = self.evaluate(model)
        try:
            scores = torch.as_tensor(given, dtype=torch.float64).flatten().cpu()
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{self.metric}: evaluate gave {type(given).__name__}") from error
        if not len(scores) or not bool(torch.isfinite(scores).all()):
            raise InputError(f"{self.metric}: evaluate gave {scores.tolist()[:3]}, no finite score")
        return scores
