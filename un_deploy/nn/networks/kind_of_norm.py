"""What kind of normalization a module is: told by its class, else by running a copy of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.normalization import CrossMapLRN2d

from un_deploy.arguments.names import argument
from un_deploy.nn.unified_norm import UnifiedNorm

_NAMED = re.compile(r"norm(?!al(?!i[sz]ation))|grn$", re.IGNORECASE)
_NO_NORMS = (nn.Embedding, nn.Linear, _ConvNd)
_ANY_CHANNELS = 8

_AFFINE = "is a scale and a shift in evaluation, which fold as they are"


class Kind(NamedTuple):
    """What a normalization computes.

    Attributes:
        channels: of the LayerNorm that it is, 0 where it is none.
        channel_first: whether that is over axis 1, as of (B, C, H, W), and not over the last.
        why_not: why it is no LayerNorm of one axis; None where it is.
    """

    channels: int
    channel_first: bool
    why_not: str | None


def kind_of(module: nn.Module, *, calls_one: bool = False) -> Kind | None:
    """The kind of a normalization, None of any other module.

    A module is a normalization if it is one of PyTorch's, or if its class is named like one and
    it is no container. Which function it computes is not read from its name: a copy is run.

    Args:
        module: stays as it is.
        calls_one: take it for a normalization whatever its class is named.
    """
    name = type(module).__name__
    why_not = _of_torch(module)
    if why_not is None and isinstance(module, nn.LayerNorm):
        shape = tuple(module.normalized_shape)
        if len(shape) != 1:
            why_not = f"normalises over {len(shape)} axes {shape}"
        elif type(module).forward is nn.LayerNorm.forward and "forward" not in vars(module):
            return Kind(shape[0], False, None)
    elif why_not is None and not calls_one and not _is_named_norm(module):
        return None
    if why_not is None and len(inspect.signature(module.forward).parameters) != 1:
        why_not = "takes more than one input"
    if why_not is None:
        channels = _channels(module)
        forms = {form for form in _forms(module, channels) if form}
        layer_norm = forms in ({"last"}, {"first"})
        if layer_norm and channels:
            return Kind(channels, forms == {"first"}, None)
        if layer_norm:
            why_not = "has no weight that tells its number of channels"
        elif forms == {"rms"}:
            why_not = _rms_norm()
        elif forms == {"affine"}:
            why_not = _AFFINE
        elif not forms:
            why_not = "does not run by itself, so what it computes is unknown"
        else:
            why_not = "does not compute a LayerNorm of the last axis or of axis 1"
    return Kind(0, False, f"{name} {why_not}")


def _rms_norm() -> str:
    return f"computes an RMSNorm, whose weight folds with {argument('fold_norm_affine', True)}"


def _of_torch(module: nn.Module) -> str | None:
    """Why one of PyTorch's normalizations, or a UN, stays."""
    if isinstance(module, UnifiedNorm):
        return "is Unified Normalization already"
    if isinstance(module, nn.RMSNorm):
        return _rms_norm()
    if isinstance(module, _BatchNorm):
        if not module.track_running_stats:
            return "has no running statistics: it depends on its batch in evaluation too"
        return _AFFINE
    if isinstance(module, _InstanceNorm):
        return "normalises each channel of each sample"
    if isinstance(module, nn.GroupNorm):
        return "normalises groups of channels of each sample"
    if isinstance(module, (nn.LocalResponseNorm, CrossMapLRN2d)):
        return "normalises by the channels next to each"
    return None


def _is_named_norm(module: nn.Module) -> bool:
    """Whether a module is named like a normalization of activations and is no container.

    What `torch.nn.utils` makes normalises weights.
    """
    kind = type(module)
    if isinstance(module, _NO_NORMS) or kind.__module__.startswith("torch.nn.utils"):
        return False
    # The second is the state of the UN that its authors released.
    named = _NAMED.search(kind.__name__) or hasattr(module, "ema_gz")
    return bool(named) and not any(map(_holds_weights_or_norm, module.children()))


def _holds_weights_or_norm(child: nn.Module) -> bool:
    return next(child.parameters(), None) is not None or kind_of(child) is not None


def _channels(module: nn.Module) -> int:
    """The length of the normalised axis, 0 if the module does not tell."""
    if isinstance(module, nn.LayerNorm):
        return int(module.normalized_shape[0])
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.numel() != max(weight.shape, default=0):
        return 0
    return weight.numel()


def _forms(norm: nn.Module, channels: int) -> Iterator[str | None]:
    """What the norm computes of several shapes: "last", "first", "rms", "affine" or "other".

    None is for a shape that it does not take. Without a number of channels, the last axis alone is
    tried, since such a norm takes any shape. The copies get random parameters, since those of a
    zero-initialised norm would hide what the class does.
    """
    any_shape = not channels
    channels = channels or _ANY_CHANNELS
    height, width = [size for size in (3, 5, 7) if size != channels][:2]
    generator = torch.Generator().manual_seed(0)
    for shape, axis in (
        ((2, height, channels), 2),
        ((2, height, width, channels), 3),
        ((2, channels, height), 1),
        ((2, channels, height, width), 1),
        ((2, channels, height, width, 2), 1),
    ):
        if any_shape and axis == 1:
            continue
        x = 2 * torch.randn(shape, generator=generator) + 0.5
        with torch.no_grad():
            try:
                copy = deepcopy(norm).to(device="cpu", dtype=torch.float32).eval()
                for parameter in copy.parameters():
                    parameter.copy_(torch.randn(parameter.shape, generator=generator))
                form = _form(copy, x, axis, channels)
            except Exception:  # whatever is raised, it is no norm of this shape
                form = None
        yield form


def _form(norm: nn.Module, x: Tensor, axis: int, channels: int) -> str:
    y, other = norm(x), x.flip(0) * x.flip(-1)
    if _close(norm(x + other) + norm(0 * x), y + norm(other)):
        return "affine"
    weight, bias = (_flat(getattr(norm, name, None)) for name in ("weight", "bias"))
    if any(p is not None and len(p) != channels for p in (weight, bias)):
        return "other"
    eps = getattr(norm, "eps", getattr(norm, "variance_epsilon", 1e-5))
    rows, z = x.movedim(axis, -1), y.movedim(axis, -1)
    if _close(z, F.layer_norm(rows, (channels,), weight, bias, eps)):
        return "first" if axis == 1 else "last"
    root = F.rms_norm(rows, (channels,), None, eps)
    if bias is None and any(_close(z, root * gain) for gain in _gains(weight)):
        return "rms"
    return "other"


def _flat(parameter: Tensor | None) -> Tensor | None:
    """Some hold (C, 1, 1)."""
    return None if parameter is None else parameter.flatten()


def _close(x: Tensor, y: Tensor) -> bool:
    return x.shape == y.shape and torch.allclose(x, y, rtol=1e-4, atol=1e-4)


def _gains(weight: Tensor | None) -> tuple[Tensor | float, ...]:
    """What an RMSNorm multiplies by: its weight, or 1 + weight as in Gemma."""
    return (1.0,) if weight is None else (weight, 1 + weight)
