"""The LayerNorms of a model that run on the data, and what calibrates one."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, Padding, evaluating
from un_deploy.conversion.norm_io import Call, running_order
from un_deploy.errors import InputError
from un_deploy.nn import UnifiedNorm, convert_norms


@dataclass(frozen=True)
class Places:
    """Where a model's LayerNorms stand.

    Attributes:
        runs: how often each that can be converted runs in a forward, in the order of first runs.
        channels: of each.
        axes: of each, that of the channels: 1 or -1.
        left: every other normalization, with the reason why it stays.
    """

    runs: dict[str, int]
    channels: dict[str, int]
    axes: dict[str, int]
    left: dict[str, str]


def find(
    model: nn.Module, batch: Batch, *, only: str | Sequence[str] | None, keep: str | Sequence[str]
) -> Places:
    """Find the LayerNorms that `convert_norms` would swap and that the batch reaches.

    Raises:
        InputError: there is none, or the model does not take the batch.
    """
    trial = deepcopy(model)
    report = convert_norms(trial, only=only, keep=keep, example_inputs=batch)
    with evaluating(trial):
        runs = running_order(trial, report.converted, batch)
    silent = {name: "did not run on the data" for name in report.converted if name not in runs}
    if not runs:
        why = "; ".join(f"{name}: {reason}" for name, reason in (report.left | silent).items())
        raise InputError(f"{type(model).__name__} has no LayerNorm to convert. {why}".strip())
    norms = unified(trial, list(runs))
    channels = {name: norm.num_channels for name, norm in norms.items()}
    axes = {name: 1 if norm.channel_first else -1 for name, norm in norms.items()}
    return Places(runs, channels, axes, report.left | silent)


def tokens(call: Call, axis: int, padding: Tensor | None) -> tuple[Tensor, Tensor]:
    """What went into a norm and came out as (tokens, C), without padding.

    A norm whose input the mask does not fit sees no padding, as behind pooling.

    Args:
        call: of the norm.
        axis: of the channels.
        padding: True where a token is padding.
    """
    given, answer = call.given.movedim(axis, -1), call.answer.movedim(axis, -1)
    if padding is not None and padding.shape == given.shape[:-1]:
        return given[~padding], answer[~padding]
    return given.reshape(-1, given.shape[-1]), answer.reshape(-1, answer.shape[-1])


def mask(padding: Padding | None, batch: Batch) -> Tensor | None:
    """The batch's mask, True where a token is padding."""
    return None if padding is None else padding(batch)


def unified(model: nn.Module, names: Sequence[str]) -> dict[str, UnifiedNorm]:
    """The UnifiedNorms of these names."""
    found = {name: model.get_submodule(name) for name in names}
    return {name: norm for name, norm in found.items() if isinstance(norm, UnifiedNorm)}
