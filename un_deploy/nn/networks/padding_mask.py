"""Gives a padding mask to the Unified Normalizations inside a network of any signature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from un_deploy.errors import InputError
from un_deploy.nn.unified_norm import UnifiedNorm


@contextmanager
def padding(module: nn.Module, mask: Tensor) -> Iterator[None]:
    """Within, every `UnifiedNorm` in `module` trains as if its forward were given `mask`.

    For networks whose forwards pass no mask on to their norms. Nothing is guessed: which norms
    are meant is said by the module, and a norm whose input the mask does not fit raises. A network
    with several token axes takes one for each part:

        with padding(model.encoder, source == PAD), padding(model.decoder, target == PAD):
            loss(model(source, target)).backward()

    The backward stands inside where activation checkpointing replays forwards; a replay outside
    raises. A mask given to a norm's forward itself goes first; evaluation reads none. Inside
    another `padding`, a norm takes the inner mask. `torch.compile` takes the forwards within.

    Args:
        module: a UnifiedNorm, or what holds some.
        mask: bool, True where a token is padding, of the shape of the norms' inputs without the
            channels: (B, T) for inputs (B, T, C). A Hugging Face attention_mask is its opposite:
            ``attention_mask == 0``.

    Raises:
        InputError: the mask is not bool, or `module` holds no UnifiedNorm; in a forward, the mask
            does not fit.
    """
    if mask.dtype != torch.bool:
        raise InputError(
            f"a padding mask must be bool, True where a token is padding, not {mask.dtype}; "
            "of an attention_mask it is attention_mask == 0"
        )
    norms = [norm for norm in module.modules() if isinstance(norm, UnifiedNorm)]
    if not norms:
        raise InputError(f"{type(module).__name__} holds no UnifiedNorm that a mask could reach")
    before = [norm.outer_mask for norm in norms]
    for norm in norms:
        norm.outer_mask = mask
    try:
        yield
    finally:
        for norm, old in zip(norms, before, strict=True):
            norm.outer_mask = old
