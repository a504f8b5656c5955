"""What a training rule of Unified Normalization is: settings, state and a forward."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from un_deploy.errors import InputError
from un_deploy.nn.ranks import ALONE, Ranks

State = dict[str, Tensor]


@dataclass(frozen=True)
class TrainingRule(ABC):
    """Settings of one way to train a UN; `mode` of `UnifiedNorm` picks the subclass.

    Every rule deploys to the same affine, `weight * x / sqrt(running_var + eps) + bias`, so each
    keeps a buffer `running_var` and a counter `iters` of the forwards it has learnt from.

    Attributes:
        window_size: iterations M that a statistic is smoothed over, at least 1.
        warmup_iters: first iterations that are normalised by their own moment alone.
        outlier_filtration: whether iterations unlike their neighbours are left unsmoothed.
        eps: added to second moments, in units of x squared.
        momentum: weight of the old value in every exponential average, in [0, 1).
        ranks: the processes whose tokens count as one batch.
    """

    window_size: int | tuple[int, int] = 4
    warmup_iters: int = 4000
    outlier_filtration: bool = False
    eps: float = 1e-5
    momentum: float = 0.9
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        if isinstance(self.window_size, bool) or not isinstance(self.window_size, int):
            raise InputError(f"window_size must be one whole number, not {self.window_size!r}")
        if self.window_size < 1:
            raise InputError(f"window_size must be at least 1, not {self.window_size}")
        self._check_numbers()

    def _check_numbers(self) -> None:
        if self.warmup_iters < 0:
            raise InputError(f"warmup_iters must be 0 or more, not {self.warmup_iters}")
        if not self.eps > 0:
            raise InputError(f"eps must be above 0, not {self.eps}")
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum must lie in [0, 1), not {self.momentum}")

    @abstractmethod
    def initial_state(self, num_channels: int, device: torch.device | None) -> State:
        """The buffers of a norm that has seen no data, float32 but for the counters (int64)."""

    @abstractmethod
    def train(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        """Normalise x by this iteration's statistics and update `state` in place.

        Args:
            x: (..., C), floating point.
            weight, bias: (C,).
            padding_mask: None or bool of shape x.shape[:-1], True where a token is padding.
            state: the tensors `initial_state` declared.

        Returns:
            y, of x's shape.
        """
