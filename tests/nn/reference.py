"""The robust rule as its equations stand, in float64: slow, and the derivative is autograd's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from un_deploy.nn import UnifiedNorm

HISTORY = 8
TAU = 2.0


@dataclass
class Reference:
    """A norm with its state in plain Python, called as the module is.

    Attributes:
        weight, bias: (C,), float64, trained.
        moments: (C,) of each iteration that counted, oldest first.
        running_var: (C,).
    """

    weight: Tensor
    bias: Tensor
    window_size: int = 4
    warmup_iters: int = 0
    eps: float = 1e-5
    momentum: float = 0.9
    moments: list[Tensor] = field(default_factory=list)
    running_var: Tensor = field(default_factory=lambda: torch.ones((), dtype=torch.float64))

    @classmethod
    def of(cls, norm: UnifiedNorm) -> Reference:
        """The same parameters and settings as a new module's."""
        weight, bias = (p.detach().double().requires_grad_() for p in (norm.weight, norm.bias))
        assert isinstance(norm.rule.window_size, int)
        return cls(weight, bias, norm.rule.window_size, norm.rule.warmup_iters)

    def __call__(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """One iteration: y, (..., C) float64, of x (..., C)."""
        x = spared(x.double(), padding_mask)
        real = x.reshape(-1, x.shape[-1]) if padding_mask is None else x[~padding_mask]
        if not len(real):
            return self.weight * x / (self.running_var + self.eps).sqrt() + self.bias
        moment = (real * real).mean(0)
        self.moments.append(moment.detach())
        median = torch.stack(self.moments[-HISTORY - 1 :]).quantile(0.5, dim=0)
        self.running_var = self.momentum * self.running_var + (1 - self.momentum) * median
        r = ((moment + self.eps) / self._smoothed()).sqrt().detach()
        return self.weight * r * x / (moment + self.eps).sqrt() + self.bias

    def _smoothed(self) -> Tensor:
        """v, (C,): the geometric mean of those of the window that agree with the newest."""
        newest = self.moments[-1] + self.eps
        if len(self.moments) <= self.warmup_iters:
            return newest
        logs = (torch.stack(self.moments[-self.window_size :]) + self.eps).log()
        agree = (logs - newest.log()).abs() <= math.log(TAU)
        return ((logs * agree).sum(0) / agree.sum(0)).exp()


def spared(x: Tensor, padding_mask: Tensor | None) -> Tensor:
    """x (sequences, positions, C) with its outlier tokens at half of the usual size."""
    if x.dim() != 3:
        return x
    sizes = x.detach().square().sum(-1).sqrt()
    if padding_mask is not None:
        sizes = sizes.masked_fill(padding_mask, 0)
    usual = 0.0
    for lines in (sizes, sizes.T):
        largest = [line.max().item() for line in lines]
        ordered = sorted(one or max(largest) for one in largest)
        usual = max(usual, ordered[(len(ordered) - 1) // 2])
    return x * torch.where(sizes > 2 * usual, usual / 2 / sizes, 1.0).unsqueeze(-1)
