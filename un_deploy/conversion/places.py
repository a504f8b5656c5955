"""The LayerNorms of a model that run on the data, and what calibrates one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, Padding, evaluating, run
from un_deploy.conversion.norm_io import Call, running_order
from un_deploy.errors import InputError
from un_deploy.nn import UnifiedNorm, convert_norms

GONE = "gone already: it is a scale and a shift"


@dataclass(frozen=True)
class Places:
    """Where a model's LayerNorms stand.

    Attributes:
        runs: how often each that can be converted runs in a forward, in the order of first runs.
        channels: of each.
        axes: of each, that of the channels: 1 or -1.
        left: every other normalization, with the reason why it stays; `GONE` of a UnifiedNorm.
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
    with evaluating(trial):
        run(trial, batch)
    report = convert_norms(trial, only=only, keep=keep, example_inputs=batch)
    with evaluating(trial):
        runs = running_order(trial, report.converted, batch)
    left = report.left | {
        name: "did not run on the data" for name in report.converted if name not in runs
    }
    left |= {
        name: GONE
        for name, module in model.named_modules()
        if name in left and isinstance(module, UnifiedNorm)
    }
    if not runs:
        why = " ".join(stays(left))
        raise InputError(f"{type(model).__name__} has no LayerNorm to convert. {why}".strip())
    norms = unified(trial, list(runs))
    channels = {name: norm.num_channels for name, norm in norms.items()}
    axes = {name: 1 if norm.channel_first else -1 for name, norm in norms.items()}
    return Places(runs, channels, axes, left)


def stays(left: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each norm that stays, and one for all that are gone already.

    Args:
        left: names and reasons.
    """
    yield from (f"{name} stays: {why}." for name, why in left.items() if why != GONE)
    if gone := [name for name, why in left.items() if why == GONE]:
        yield f"Gone already, as a scale and a shift: {', '.join(gone)}."


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
