"""What a conversion costs on held-out data, by a named metric, with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from un_deploy.arguments.names import argument
from un_deploy.conversion.batches import Batches, evaluating
from un_deploy.conversion.divergence import Original
from un_deploy.conversion.interval import (
    Interval,
    few_changed,
    least_shown,
    mean_interval,
    samples_to_show,
)
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
            differences are paired. None for a score that is one number.
        outputs: the divergence of each output, where that is the metric.
        samples: how many it rests on: of the held-out data, or the examples scored.
        scores: before and after, where a score is the metric: the means over the examples.
        least_shown: where few samples changed, the least loss that so many samples can show: the
            interval's upper end if not one had changed.
    """

    value: float
    interval: Interval | None = None
    outputs: dict[str, float] | None = None
    samples: int | None = None
    scores: tuple[float, float] | None = None
    least_shown: float | None = None

    @property
    def most(self) -> float:
        """The interval's upper end, or the value where there is no interval."""
        return self.value if self.interval is None else self.interval[1]

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.value:.4g} (no interval)"
        low, high = self.interval
        return f"{self.value:.4g} ({low:.4g} to {high:.4g})"

    def why_not_shown(self, limit: float) -> str:
        """Why it is not shown to be below a limit although its value is; "" where it is shown."""
        if self.most <= limit or self.value > limit:
            return ""
        if self.least_shown == math.inf:
            return (
                f"all of {self.samples} samples are scored 0 before and after, which does not say "
                "how much one can lose: score what is right above 0"
            )
        if self.least_shown is not None and self.least_shown > limit:
            return f"{self.samples} samples cannot show a loss below {self.least_shown:.3g}"
        return f"its interval reaches to {self.most:.4g}: {self.samples} samples do not show more"


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
            value, interval, samples, least = max(found.values(), key=lambda one: one.value)
            outputs = {name: one.value for name, one in found.items()}
            return Loss(value, interval, outputs, samples, None, least)
        after = self._scores(model)
        if len(after) != len(self.before):
            raise InputError(
                f"{self.metric}: evaluate gave {len(self.before)} scores of the original and "
                f"{len(after)} of the converted model"
            )
        lost, samples = self.before - after, len(after)
        size = _size(torch.cat([self.before, after]))
        few = samples > 1 and few_changed(lost)
        return Loss(
            float(lost.mean()),
            mean_interval(lost, size),
            None,
            samples,
            (float(self.before.mean()), float(after.mean())),
            least_shown(samples, size) if few else None,
        )

    def require_samples(self, max_loss: float) -> None:
        """Hold a limit against what examples that are scored right or wrong can show.

        Raises:
            InputError: not even if no example changed, the upper end would be below the limit.
        """
        if self.evaluate is None or len(self.before) < 2 or len(self.before.unique()) > 2:
            return
        samples, size = len(self.before), _size(self.before)
        if size == math.inf:  # what the converted model scores may tell
            return
        if (least := least_shown(samples, size)) <= max_loss:
            return
        cure = f"give a larger {argument('max_loss')}"
        if max_loss > 0:
            cure += f", or {samples_to_show(max_loss, size)} examples or more"
        raise InputError(
            f"{self.metric}: {samples} samples cannot show a loss below {least:.3g} even where not "
            f"one changes, so none below {argument('max_loss')} {max_loss:g}: {cure}"
        )

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


def _size(scores: Tensor) -> float:
    """The largest change that a score can have, as far as was seen: the range of all scores.

    Where all are equal, how large they are: a score that is lost is 0 then. Where all are 0,
    infinite.
    """
    return float(scores.max() - scores.min()) or float(scores.abs().max()) or math.inf
