"""How far a converted model's answers are from the original's."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from un_deploy.conversion.batches import Batches, evaluating, outputs, run
from un_deploy.conversion.interval import Interval, few_changed, least_shown, mean_interval
from un_deploy.errors import InputError


class Divergence(NamedTuple):
    """Of one output: its value, its 95 % interval, over how many samples, and what they can show.

    `least_shown` is the least loss that can be shown, where few samples changed.
    """

    value: float
    interval: Interval | None
    samples: int
    least_shown: float | None


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

    def divergence(self, model: nn.Module) -> dict[str, Divergence]:
        """Of each output: the square of what changed, over the original's variance.

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


def _ratio(changed: Tensor, varies: Tensor) -> Divergence:
    whole, samples = float(varies.sum()), len(changed)
    if whole == 0:
        return Divergence(0.0 if float(changed.sum()) == 0 else math.inf, None, samples, None)
    ratio = float(changed.sum()) / whole
    values = ratio + (changed - ratio * varies) / varies.mean()
    # Two answers as far from the mean as the farthest differ by twice that at most.
    size = 4 * float(varies.max() / varies.mean())
    few = samples > 1 and few_changed(changed)
    return Divergence(
        ratio,
        mean_interval(values, size, changed),
        samples,
        least_shown(samples, size) if few else None,
    )
