"""Unified Normalization as a module: trains by one of three rules, deploys as a fixed affine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from un_deploy.errors import InputError
from un_deploy.nn.official import OfficialRule
from un_deploy.nn.paper import PaperRule
from un_deploy.nn.robust import RobustRule
from un_deploy.nn.rule import State, TrainingRule
from un_deploy.nn.statistics import is_recomputed

RULES: dict[str, type[TrainingRule]] = {
    "robust": RobustRule,
    "paper": PaperRule,
    "official": OfficialRule,
}


def _on_its_own(module: nn.Module, args: object) -> None:
    """A hook that does nothing; with one, nn.TransformerEncoderLayer calls its norms.

    Without hooks its evaluation reads their weight, bias and eps, and computes LayerNorm.
    """


class UnifiedNorm(nn.Module):
    """Normalises channels, those of the last axis, by smoothed second moments over all tokens.

    Evaluation computes `weight * x / sqrt(running_var + eps) + bias`: per channel, nothing
    depends on the input, so a deployed graph can merge it into the operators next to it. No mean
    is subtracted. Training normalises by statistics of the last `window_size` iterations; how,
    is the mode's rule, one file each: `robust`, `paper`, `official`
    ("Unified Normalization for Accelerating and Stabilizing Transformers", arXiv 2208.01313).

    It takes the place of `nn.LayerNorm(dim)` in a model's `norm_layer` argument.

    Args:
        num_channels: length C of the last axis, an int or a sequence of one int.
        window_size: iterations M smoothed over; `mode="official"` also takes a pair, one for
            the forward and one for the backward statistics.
        warmup_iters: first iterations that are not smoothed; None is the mode's default, 0 for
            robust and 4000 for the others. Keep it below a tenth of a training's steps.
        outlier_filtration: leave iterations unlike their neighbours unsmoothed; None is the
            mode's default, on for robust, off for the others.
        eps: added to second moments.
        momentum: weight of the old value in exponential averages, in [0, 1). (PyTorch's batch
            norm calls 1 minus this its momentum.)
        mode: "robust", "paper" or "official".
        channel_first: the channels are axis 1, as of (B, C, H, W), and not the last.
        device, dtype: of weight and bias. Statistics are float32 or wider whatever the dtype.

    Raises:
        InputError: an argument is out of range.

    Counting: `iters`, the window and the warm-up count forwards in training mode that held a real
    token, not optimizer steps. A forward replayed by activation checkpointing is not counted
    (official: it is). Who accumulates gradients over k micro-batches and wants the window and
    the warm-up to span as many optimizer steps, multiplies both by k.

    Data parallel: every process normalises by its own tokens and nothing is exchanged.
    `DistributedDataParallel` broadcasts rank 0's buffers by default, so rank 0's statistics
    are the ones trained and saved.

    Fine-tuning: robust statistics follow the new data without a reset. In the other modes the
    warm-up is over in a loaded checkpoint; `reset_running_stats` starts it again.

    Padding inside networks whose forwards pass no mask on: see `un_deploy.nn.padding`.

    `torch.compile` takes the training of robust and paper as one graph. `torch.export` in training
    mode keeps robust whole, so that the exported program trains on; of paper it keeps the forward
    alone, and the gradient of an exported graph is not the rule's.

    Outlier tokens: in robust training a token of more than twice the usual size of the batch's
    large tokens is scaled to half of it (`un_deploy.nn.outlier_tokens`), so that it does not
    spend the batch of the others. Evaluation scales nothing.

    A channel that is zero in most batches gets a near-zero `running_var` and large outputs where
    it is alive.
    """

    weight: nn.Parameter
    bias: nn.Parameter
    running_var: Tensor
    iters: Tensor

    def __init__(
        self,
        num_channels: int | Sequence[int],
        *,
        window_size: int | tuple[int, int] = 4,
        warmup_iters: int | None = None,
        outlier_filtration: bool | None = None,
        eps: float = 1e-5,
        momentum: float = 0.9,
        mode: str = "robust",
        channel_first: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if mode not in RULES:
            raise InputError(f"mode must be one of {', '.join(RULES)}, not {mode!r}")
        asked: dict[str, Any] = {
            "window_size": window_size,
            "warmup_iters": warmup_iters,
            "outlier_filtration": outlier_filtration,
            "eps": eps,
            "momentum": momentum,
        }
        self.mode = mode
        self.num_channels = _one_axis(num_channels)
        self.channel_first = channel_first
        self.outer_mask: Tensor | None = None  # set by `un_deploy.nn.padding`
        self._was_masked = False
        self.rule = RULES[mode](**{name: x for name, x in asked.items() if x is not None})
        self.weight = nn.Parameter(torch.ones(self.num_channels, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.zeros(self.num_channels, device=device, dtype=dtype))
        for name, start in self._initial_state().items():
            self.register_buffer(name, start)
        self.register_forward_pre_hook(_on_its_own)

    @property
    def eps(self) -> float:
        """What is added to second moments."""
        return self.rule.eps

    def reset_running_stats(self) -> None:
        """Forget all data: statistics and counters as in a new module, parameters untouched."""
        for name, start in self._initial_state().items():
            getattr(self, name).copy_(start)

    def reset_parameters(self) -> None:
        """A new module's state: weight 1, bias 0, statistics forgotten."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        self.reset_running_stats()

    def forward(self, x: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Normalise x.

        Args:
            x: (..., C), or (B, C, ...) with `channel_first`; floating point.
            padding_mask: bool of x's shape without the channels, True where a token is padding.
                It keeps padding out of training's statistics; evaluation does not read it.

        Returns:
            y of x's shape and dtype. (mode="official" in training promotes as the released
            module does: float32 weights make the output float32.)

        Raises:
            InputError: the channels' axis is not C long, the mask does not fit x, x is a nested
                tensor, or a replayed forward lacks the mask of `un_deploy.nn.padding`.
        """
        if not torch.jit.is_tracing():  # a traced size is no number, and comparing it warns
            self._check_channels(x)
        if not self.training:
            return self._deployed(x)
        rows = x.movedim(1, -1) if self.channel_first else x
        mask = self._mask(padding_mask)
        if mask is not None:
            _check_mask(rows, mask)
        state = cast(State, self._buffers)
        y = self.rule.train(rows, self.weight, self.bias, mask, state)
        return y.movedim(-1, 1) if self.channel_first else y

    def extra_repr(self) -> str:
        rule = self.rule
        return (
            f"{self.num_channels}, mode={self.mode!r}, window_size={rule.window_size}, "
            f"warmup_iters={rule.warmup_iters}, outlier_filtration={rule.outlier_filtration}, "
            f"eps={rule.eps}, momentum={rule.momentum}"
            f"{', channel_first=True' if self.channel_first else ''}"
        )

    def _deployed(self, x: Tensor) -> Tensor:
        scale = self.weight / torch.sqrt(self.running_var + self.eps)
        shift: Tensor = self.bias
        if self.channel_first:
            shape = (-1, *[1] * (x.dim() - 2))
            scale, shift = scale.view(shape), shift.view(shape)
        return x * scale.to(x.dtype) + shift.to(x.dtype)

    def _mask(self, given: Tensor | None) -> Tensor | None:
        """The mask of a forward: the given one, else that of `un_deploy.nn.padding`."""
        mask = self.outer_mask if given is None else given
        if torch.compiler.is_compiling():
            return mask
        if not is_recomputed():
            self._was_masked = mask is not None
        elif mask is None and self._was_masked:
            raise InputError(
                "activation checkpointing replays a forward that had a padding mask: "
                "put the backward inside `with padding(...)` too"
            )
        return mask

    def _initial_state(self) -> State:
        return self.rule.initial_state(self.num_channels, self.weight.device)

    def _check_channels(self, x: Tensor) -> None:
        if x.is_nested:
            raise InputError(
                f"UnifiedNorm({self.num_channels}) takes no nested tensor; convert_norms keeps "
                "nn.TransformerEncoder from making one, as does its enable_nested_tensor=False"
            )
        axis = 1 if self.channel_first else -1
        if x.dim() <= max(axis, 0) or x.shape[axis] != self.num_channels:
            raise InputError(
                f"UnifiedNorm({self.num_channels}) got an input of shape {tuple(x.shape)}: its "
                f"{'axis 1' if self.channel_first else 'last axis'} must be {self.num_channels} "
                "long"
            )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> UnifiedNorm:
        """Module.to and friends, except that statistics never become narrower than float32."""
        before = {name: b for name, b in self.named_buffers(recurse=False) if b.is_floating_point()}
        super()._apply(fn, recurse)
        for name, old in before.items():
            new = getattr(self, name)
            if torch.promote_types(new.dtype, torch.float32) != new.dtype:
                setattr(self, name, old.to(new.device))
        return self


def _one_axis(num_channels: int | Sequence[int]) -> int:
    sizes = [num_channels] if isinstance(num_channels, int) else list(num_channels)
    if len(sizes) != 1 or sizes[0] < 1:
        raise InputError(
            f"UnifiedNorm normalises one axis of at least 1 channel, not {num_channels!r}"
        )
    return sizes[0]


def _check_mask(x: Tensor, padding_mask: Tensor) -> None:
    if padding_mask.dtype != torch.bool or padding_mask.shape != x.shape[:-1]:
        raise InputError(
            f"padding_mask must be bool of shape {tuple(x.shape[:-1])}, not "
            f"{padding_mask.dtype} of shape {tuple(padding_mask.shape)}"
        )
