"""What a norm refuses, each in one line, before any statistic has changed."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import cast

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual
from torch.func import debug_unwrap

from un_deploy.errors import InputError, first_line


def one_axis(normalized_shape: int | Sequence[int]) -> int:
    """The number of channels that an nn.LayerNorm of this shape normalises.

    Raises:
        InputError: the shape has no axis or several, or none of a channel.
    """
    given = [normalized_shape] if isinstance(normalized_shape, Integral) else normalized_shape
    sizes = [int(size) for size in cast(Sequence[int], given)]
    if len(sizes) != 1 or sizes[0] < 1:
        raise InputError(
            f"UnifiedNorm normalises one axis of at least 1 channel, not {normalized_shape!r}"
        )
    return sizes[0]


def check_place(device: torch.device | str | int | None, dtype: torch.dtype | None) -> None:
    """Raises:
    InputError: there are no weights to be had on this device, or of this type.
    """
    try:
        torch.nn.Parameter(torch.empty(1, device=device, dtype=dtype))
    except (AssertionError, RuntimeError) as error:
        reason = first_line(error)
        raise InputError(f"no weights with device={device!r}, dtype={dtype}: {reason}") from error


def check_input(x: Tensor, channels: int, channel_first: bool) -> None:
    """Raises:
    InputError: x is no tensor (`torch.fx` traces with others) or a nested one, or its axis of
        channels is not as long.
    """
    if not isinstance(x, Tensor):
        raise InputError(
            f"UnifiedNorm({channels}) takes a tensor, not {type(x).__name__}: torch.fx.Tracer has "
            "to keep it whole (is_leaf_module), or use torch.export, which sees through it"
        )
    if x.is_nested:
        raise InputError(
            f"UnifiedNorm({channels}) takes no nested tensor; convert_norms keeps "
            "nn.TransformerEncoder from making one, as does its enable_nested_tensor=False"
        )
    axis = 1 if channel_first else -1
    if x.dim() <= max(axis, 0) or x.shape[axis] != channels:
        raise InputError(
            f"UnifiedNorm({channels}) got an input of shape {tuple(x.shape)}: its "
            f"{'axis 1' if channel_first else 'last axis'} must be {channels} long"
        )


def check_mask(x: Tensor, padding_mask: Tensor) -> None:
    """Raises:
    InputError: the mask is not bool, or not of x's shape without the channels.
    """
    if padding_mask.dtype != torch.bool or padding_mask.shape != x.shape[:-1]:
        raise InputError(
            f"padding_mask must be bool of shape {tuple(x.shape[:-1])}, not "
            f"{padding_mask.dtype} of shape {tuple(padding_mask.shape)}"
        )


def check_plain(*tensors: Tensor) -> None:
    """Refuse to train on tensors that a transform of PyTorch has wrapped.

    Training counts the batch into buffers, which no pure function does, and its gradient is the
    rule's own.

    Raises:
        InputError: one is inside `torch.func` (grad, vmap, jvp, ...), has a forward-mode tangent,
            or is traced by `torch.jit.trace`.
    """
    if torch.compiler.is_compiling():
        return
    if torch.jit.is_tracing():
        raise InputError(f"torch.jit.trace cannot trace UnifiedNorm in training: {_INSTEAD}")
    for tensor in tensors:
        if debug_unwrap(tensor, recurse=False) is not tensor:
            raise InputError(f"torch.func cannot transform UnifiedNorm in training: {_INSTEAD}")
        if unpack_dual(tensor).tangent is not None:
            raise InputError(f"UnifiedNorm in training has no forward-mode derivative: {_INSTEAD}")


_INSTEAD = (
    "it counts its batches into buffers; call eval(), or freeze_statistics(model) to go on training"
)
