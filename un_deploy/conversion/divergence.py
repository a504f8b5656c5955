"""How far a converted model's answers are from the original's."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from un_deploy.conversion.batches import Batches, evaluating, outputs, run
from un_deploy.errors import InputError

Interval = tuple[float, float]


def mean_interval(values: Tensor) -> Interval | None:
    """The 95 % interval of a mean, from its values; None for fewer than two."""
    if len(values) < 2:
        return None
    middle, half = float(values.mean()), 1.96 * float(values.std()) / math.sqrt(len(values))
    return middle - half, middle + half


class Original:
    """A model as it was, with its answers to held-out data.

    Raises:
        InputError: it answers with no floating-point tensor.
    """

    def __init__(self, model: nn.Module, data: Batches) -> None:
        self.data = data
        with evaluating(model):
            self.answers = [
                {name: x.cpu() for name, x in outputs(run(model, batch)).items()} for batch in data
            ]
        names = [name for name, x in self.answers[0].items() if x.numel()]
        if not names:
            raise InputError(f"{type(model).__name__} answers with no floating-point tensor")
        self.varies = {name: self._varies(name) for name in names}

    def divergence(self, model: nn.Module) -> dict[str, tuple[float, Interval | None]]:
        """Of each output: the square of what changed, over the original's variance, and its range.

        The variance is over all but the last axis, so that 0 is the same answer, and 1 is as far
        off as an answer that does not depend on the input. The interval (95 %) is that of a ratio
        of sums over samples, which are axis 0 of the outputs.
        """
        changed: dict[str, list[Tensor]] = {name: [] for name in self.varies}
        with evaluating(model):
            for batch, before in zip(self.data, self.answers, strict=True):
                after = outputs(run(model, batch))
                for name, squares in changed.items():
                    step = after[name].cpu().double() - before[name].double()
                    squares.append(_of_samples(step.square()))
        return {name: _ratio(torch.cat(x), self.varies[name]) for name, x in changed.items()}

    def _varies(self, name: str) -> Tensor:
        """Of each sample: the sum of squares of its deviations, (samples,) float64."""
        answers = [answers[name].double() for answers in self.answers]
        rows = [x.reshape(-1, x.shape[-1] if x.dim() > 1 else 1) for x in answers]
        mean = sum(x.sum(0) for x in rows) / sum(len(x) for x in rows)
        return torch.cat([_of_samples((x - mean).square()) for x in answers])


def _of_samples(x: Tensor) -> Tensor:
    return x.reshape(len(x), -1).sum(1) if x.dim() else x.reshape(1)


def _ratio(changed: Tensor, varies: Tensor) -> tuple[float, Interval | None]:
    whole = float(varies.sum())
    if whole == 0:
        return (0.0 if float(changed.sum()) == 0 else math.inf), None
    ratio = float(changed.sum()) / whole
    if len(changed) < 2:
        return ratio, None
    low, high = mean_interval((changed - ratio * varies) / varies.mean()) or (0.0, 0.0)
    return ratio, (ratio + low, ratio + high)
