"""Swaps a model's LayerNorms for Unified Normalization, for nn.Identity, or for any other norm."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from un_deploy.errors import InputError
from un_deploy.nn.unified_norm import UnifiedNorm

NormFactory = Callable[..., nn.Module]

_FACTORIES: dict[str, NormFactory] = {
    "un": UnifiedNorm,
    "none": lambda channels, **_: nn.Identity(),
}


@dataclass(frozen=True)
class Conversion:
    """What `convert_norms` did, by module name.

    Attributes:
        converted: the norms swapped, in the model's order; a norm used under two names is
            listed under both.
        left: the LayerNorms that stayed, each with the reason.
    """

    converted: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def convert_norms(
    model: nn.Module,
    to: Literal["un", "none"] | NormFactory = "un",
    *,
    keep_affine: bool = True,
    keep_eps: bool = False,
) -> Conversion:
    """Swap, in place, every `nn.LayerNorm` over the last axis, subclasses included.

    The model needs training afterwards: a UN's statistics cannot be known from a LayerNorm.

    Args:
        model: holds the norms; it cannot be one itself.
        to: "un" for `UnifiedNorm`, "none" for `nn.Identity` (the network without norms), or a
            callable that makes a norm from its number of channels, for example
            `functools.partial(UnifiedNorm, mode="paper")`.
        keep_affine: copy weight and bias, and whether they are trained. One that the LayerNorm
            lacks stays at 1 or 0 and is frozen. Modules without such parameters are left as made.
        keep_eps: pass the LayerNorm's eps to the new norm; a LayerNorm's is relative to a
            variance, so the new norm's own default is the better start.

    Returns:
        The names converted, and those left with the reason: a norm over several axes, or a
        subclass that computes something else, such as a channel-first LayerNorm2d.

    Raises:
        InputError: `to` is no known name, or the model is itself a LayerNorm.
    """
    if isinstance(to, str) and to not in _FACTORIES:
        raise InputError(f"norms convert to {' or '.join(_FACTORIES)}, or by a callable: {to!r}")
    if isinstance(model, nn.LayerNorm):
        raise InputError("the model is itself a LayerNorm: there is no place to put another norm")
    factory = _FACTORIES[to] if isinstance(to, str) else to

    report = Conversion()
    made: dict[nn.LayerNorm, nn.Module] = {}
    for name, norm in list(model.named_modules(remove_duplicate=False)):
        if not isinstance(norm, nn.LayerNorm):
            continue
        reason = _why_not(norm)
        if reason:
            report.left[name] = reason
            continue
        if norm not in made:
            made[norm] = _replacement(norm, factory, keep_affine, keep_eps)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, made[norm])
        report.converted.append(name)
    return report


def _replacement(
    norm: nn.LayerNorm, factory: NormFactory, keep_affine: bool, keep_eps: bool
) -> nn.Module:
    (channels,) = norm.normalized_shape
    new = factory(channels, eps=norm.eps) if keep_eps else factory(channels)
    if norm.weight is not None:
        new.to(norm.weight.device, norm.weight.dtype)
    if keep_affine:
        for name in ("weight", "bias"):
            _keep_parameter(getattr(norm, name), getattr(new, name, None))
    return new.train(norm.training)


def _keep_parameter(old: nn.Parameter | None, new: object) -> None:
    """Copy the value and whether it is trained; freeze what had no counterpart."""
    if not isinstance(new, nn.Parameter):
        return
    new.requires_grad_(old is not None and old.requires_grad)
    if old is not None:
        with torch.no_grad():
            new.copy_(old)


def _why_not(norm: nn.LayerNorm) -> str | None:
    """Why a norm must stay, or None."""
    if len(norm.normalized_shape) != 1:
        return f"normalises over {len(norm.normalized_shape)} axes {tuple(norm.normalized_shape)}"
    if type(norm).forward is not nn.LayerNorm.forward and not _is_layer_norm(norm):
        return f"{type(norm).__name__} does not compute a LayerNorm of the last axis"
    return None


def _is_layer_norm(norm: nn.LayerNorm) -> bool:
    """Whether a subclass with its own forward is LayerNorm over the last axis: it is run.

    A copy gets random parameters first, since those of a zero-initialised norm would hide what
    the class does.
    """
    channels = norm.normalized_shape[0]
    tokens = 3 if channels != 3 else 5
    copy = deepcopy(norm).to(device="cpu", dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        x = torch.randn(2, tokens, channels, generator=generator)
        try:
            y = copy(x)
        except Exception:  # whatever a channel-first forward raises, it is no LayerNorm here
            return False
        expected = F.layer_norm(x, (channels,), copy.weight, copy.bias, copy.eps)
    return y.shape == x.shape and torch.allclose(y, expected, rtol=1e-4, atol=1e-4)
