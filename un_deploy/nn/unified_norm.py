"""Unified Normalization as a module: trains by one of three rules, deploys as a fixed affine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from un_deploy.arguments.check import checked
from un_deploy.errors import InputError
from un_deploy.nn.earlier_states import without_constants, without_filler
from un_deploy.nn.official import OfficialRule
from un_deploy.nn.paper import PaperRule
from un_deploy.nn.ranks import Ranks
from un_deploy.nn.refusals import check_input, check_mask, check_place, check_plain, one_axis
from un_deploy.nn.robust import RobustRule
from un_deploy.nn.rule import State, TrainingRule
from un_deploy.nn.statistics import is_recomputed

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

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

    It takes the place of `nn.LayerNorm` in a model's `norm_layer` argument, and its arguments in
    their order: without weight and bias too, as diffusion transformers have it, or without bias.

    Args:
        normalized_shape: length C of the last axis, an int or a sequence of one int.
        eps: added to second moments.
        elementwise_affine: whether there is a weight; without one there is no bias either.
        bias: whether there is a bias.
        device, dtype: of weight and bias. Statistics are float32 or wider whatever the dtype.
        window_size: iterations M smoothed over; `mode="official"` also takes a pair, one for
            the forward and one for the backward statistics.
        warmup_iters: first iterations that are not smoothed; None is the mode's default, 0 for
            robust and 4000 for the others. Keep it below a tenth of a training's steps.
        outlier_filtration: leave iterations unlike their neighbours unsmoothed; None is the
            mode's default, on for robust, off for the others.
        momentum: weight of the old value in exponential averages, in [0, 1). (PyTorch's batch
            norm calls 1 minus this its momentum.)
        mode: "robust", "paper" or "official".
        channel_first: the channels are axis 1, as of (B, C, H, W), and not the last.
        process_group: the processes whose batches count as one, `torch.distributed.group.WORLD`
            for all; None: this process's batch alone.

    Raises:
        InputError: an argument is out of range.

    Counting: `iters`, the window and the warm-up count forwards in training mode that held a real
    token, not optimizer steps. A forward replayed by activation checkpointing is not counted
    (official: it is). Who accumulates gradients over k micro-batches and wants the window and
    the warm-up to span as many optimizer steps, multiplies both by k.

    Data parallel: with a `process_group` every process normalises by the tokens of all, as one
    process on the whole batch would, and keeps the same statistics (which tokens are outliers, it
    tells by its own). Batches may differ in size;
    forwards and backwards must be as many in every process. Without one, every process normalises
    by its own tokens, and `DistributedDataParallel`, which broadcasts rank 0's buffers by default,
    trains and saves rank 0's statistics. The attribute `process_group` can be set later.

    Fine-tuning: robust statistics follow the new data without a reset. In the other modes the
    warm-up is over in a loaded checkpoint; `reset_running_stats` starts it again. With `frozen`
    set, training computes what evaluation does and leaves statistics alone: see
    `un_deploy.nn.freeze_statistics`.

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

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_var: Tensor
    iters: Tensor

    @checked
    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
        *,
        window_size: int | tuple[int, int] = 4,
        warmup_iters: int | None = None,
        outlier_filtration: bool | None = None,
        momentum: float = 0.9,
        mode: str = "robust",
        channel_first: bool = False,
        process_group: ProcessGroup | None = None,
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
        self.num_channels = one_axis(normalized_shape)
        self.normalized_shape = (self.num_channels,)
        self.elementwise_affine = elementwise_affine
        self.channel_first = channel_first
        self.outer_mask: Tensor | None = None  # set by `un_deploy.nn.padding`
        self._was_masked = False
        self.frozen = False
        self.rule = RULES[mode](**{name: x for name, x in asked.items() if x is not None})
        self.process_group = process_group
        check_place(device, dtype)
        like: dict[str, Any] = {"device": device, "dtype": dtype}
        parameters = {
            "weight": torch.ones(self.num_channels, **like) if elementwise_affine else None,
            "bias": torch.zeros(self.num_channels, **like) if elementwise_affine and bias else None,
        }
        for name, value in parameters.items():
            self.register_parameter(name, None if value is None else nn.Parameter(value))
        place = torch.empty(0, device=device).device
        for name, start in self.rule.initial_state(self.num_channels, place).items():
            self.register_buffer(name, start)
        self.register_forward_pre_hook(_on_its_own)

    @property
    def eps(self) -> float:
        """What is added to second moments."""
        return self.rule.eps

    @property
    def process_group(self) -> ProcessGroup | None:
        """The processes whose batches count as one."""
        return self.rule.ranks.group

    @process_group.setter
    def process_group(self, group: ProcessGroup | None) -> None:
        self.rule = replace(self.rule, ranks=Ranks(group))

    def reset_running_stats(self) -> None:
        """Forget all data: statistics and counters as in a new module, parameters untouched."""
        place = self.running_var.device
        for name, start in self.rule.initial_state(self.num_channels, place).items():
            getattr(self, name).copy_(start)

    def reset_parameters(self) -> None:
        """A new module's state: weight 1, bias 0, statistics forgotten."""
        if self.weight is not None:
            nn.init.ones_(self.weight)
        if self.bias is not None:
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
            InputError: the channels' axis is not C long, the mask does not fit x, x is no tensor
                or a nested one, a replayed forward lacks the mask of `un_deploy.nn.padding`, or,
                in training, a transform of PyTorch that cannot take it (`torch.func`, tracing).
        """
        if not torch.jit.is_tracing():  # a traced size is no number, and comparing it warns
            check_input(x, self.num_channels, self.channel_first)
        if not self.training or self.frozen:
            return self._deployed(x)
        rows = x.movedim(1, -1) if self.channel_first else x
        mask = self._mask(padding_mask)
        if mask is not None:
            check_mask(rows, mask)
        state = cast(State, self._buffers)
        # Constants in the place of parameters that there are none of: rules know one form only.
        weight: Tensor | None = self.weight
        bias: Tensor | None = self.bias
        if weight is None:
            weight = rows.new_ones(self.num_channels)
        if bias is None:
            bias = rows.new_zeros(self.num_channels)
        check_plain(x, weight, bias, state["running_var"])
        y = self.rule.train(rows, weight, bias, mask, state)
        return y.movedim(-1, 1) if self.channel_first else y

    def extra_repr(self) -> str:
        rule = self.rule
        absent = "" if self.elementwise_affine else ", elementwise_affine=False"
        if self.weight is not None and self.bias is None:
            absent = ", bias=False"
        return (
            f"{self.num_channels}, mode={self.mode!r}, window_size={rule.window_size}, "
            f"warmup_iters={rule.warmup_iters}, outlier_filtration={rule.outlier_filtration}, "
            f"eps={rule.eps}, momentum={rule.momentum}"
            f"{', channel_first=True' if self.channel_first else ''}{absent}"
            f"{', frozen' if self.frozen else ''}"
        )

    def _deployed(self, x: Tensor) -> Tensor:
        var = self.running_var + self.eps
        scale = torch.rsqrt(var) if self.weight is None else self.weight / torch.sqrt(var)
        shift: Tensor | None = self.bias
        if self.channel_first:
            shape = (-1, *[1] * (x.dim() - 2))
            scale, shift = scale.view(shape), None if shift is None else shift.view(shape)
        y = x * scale.to(x.dtype)
        return y if shift is None else y + shift.to(x.dtype)

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

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        """nn.Module's; takes states of earlier versions too."""
        without_constants(self, state_dict, prefix)
        without_filler(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __prepare_scriptable__(self) -> nn.Module:
        raise InputError(
            f"torch.jit.script cannot compile UnifiedNorm({self.num_channels}): in evaluation "
            "torch.jit.trace and torch.export take it"
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
