"""Trains a converted network to answer as the original does; no labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, Batches, evaluating, outputs, run
from un_deploy.conversion.training.schedule import Schedule
from un_deploy.errors import InputError


def distillation_loss(answer: Any, original: Any) -> Tensor:
    """The mean square of what differs, over the original's variance; of all outputs, the mean.

    That is the divergence that conversions are measured by, on one batch.

    Args:
        answer: of the network that is trained: a tensor, or a sequence or mapping of some.
        original: of the original to the same batch.

    Returns:
        A scalar, 0 where the answers are the same.
    """
    given, wanted = outputs(answer), outputs(original)
    parts = []
    for name, target in wanted.items():
        target = target.detach().float()
        rows = target.reshape(-1, target.shape[-1]) if target.dim() > 1 else target.reshape(-1, 1)
        variance = rows.var(0, unbiased=False).mean() + torch.finfo(torch.float32).eps
        parts.append((given[name].float() - target).square().mean() / variance)
    return torch.stack(parts).mean()


def distil(
    model: nn.Module,
    original: nn.Module,
    data: Batches,
    steps: int,
    *,
    schedule: Schedule | None = None,
    learning_rate: float = 1e-3,
    tell: Callable[[int, int, float], None] = lambda done, steps, loss: None,
) -> list[float]:
    """Train the model to answer as the original: AdamW, 5 % warm-up, then a cosine to zero.

    Args:
        model: in training mode meanwhile; the statistics of its norms are to be frozen.
        original: answers in evaluation mode.
        data: gone through again and again.
        steps: batches to train on.
        schedule: fades the model's norms meanwhile, where it has some to fade.
        learning_rate: the largest.
        tell: is given the steps done, those in all, and the loss.

    Returns:
        The loss of each step.

    Raises:
        InputError: the loss became infinite or NaN.
    """
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=learning_rate, weight_decay=0.0
    )
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    losses: list[float] = []
    model.train()
    for batch in islice(_endless(data), steps):
        with evaluating(original):
            wanted = run(original, batch)
        loss = distillation_loss(run(model, batch), wanted)
        if not bool(torch.isfinite(loss.detach())):
            raise InputError(f"the loss of step {len(losses)} is no finite number: train slower")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
        if schedule is not None:
            schedule.step()
        losses.append(float(loss.detach()))
        tell(len(losses), steps, losses[-1])
    model.eval()
    return losses


def _rate(step: int, steps: int) -> float:
    """The part of the largest learning rate, of a step counted from 0."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _endless(data: Batches) -> Iterator[Batch]:
    while True:
        yield from data
