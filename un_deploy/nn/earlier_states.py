"""Takes states that earlier versions of UnifiedNorm saved."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from un_deploy.nn.statistics import UNSEEN


def without_constants(norm: nn.Module, state: dict[str, Tensor], prefix: str) -> None:
    """Drop from a state the parameters of 1 and 0 that a norm without them was once saved with.

    `convert_norms` used to give every norm both, frozen at 1 and 0 where the LayerNorm had none.

    Args:
        norm: a UnifiedNorm.
        state: tensors by name, changed in place.
        prefix: what the norm's names begin with.
    """
    for name, constant in (("weight", 1), ("bias", 0)):
        value = state.get(prefix + name)
        if getattr(norm, name) is not None or value is None or value.is_meta:
            continue
        if bool((value == constant).all()):
            del state[prefix + name]


def without_filler(state: dict[str, Tensor], prefix: str) -> None:
    """UNSEEN in a history where it held a large negative number, for no iteration's moment.

    Args:
        state, prefix: as above.
    """
    history = state.get(prefix + "history")
    if isinstance(history, Tensor) and not history.is_meta:
        state[prefix + "history"] = torch.where(history < 0, UNSEEN, history)
