"""Swaps a model's LayerNorms for Unified Normalization, for nn.Identity, or for any other norm."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import nn

from un_deploy.arguments.check import checked, shown
from un_deploy.errors import InputError, UnDeployError, first_line
from un_deploy.nn.networks.kind_of_norm import Kind, kind_of
from un_deploy.nn.networks.norm_calls import Calls, ExampleInputs, find_calls
from un_deploy.nn.unified_norm import UnifiedNorm
from un_deploy.printed import Part, Printed, Table

NormFactory = Callable[..., nn.Module]
Patterns = str | Sequence[str]

_FACTORIES: dict[str, NormFactory] = {
    "un": UnifiedNorm,
    "none": lambda channels, **_: nn.Identity(),
}


@dataclass(frozen=True)
class Conversion(Printed):
    """What `convert_norms` did, by module name.

    Attributes:
        converted: the norms swapped, in the model's order; a norm used under two names is
            listed under both.
        left: every other normalization met, with the reason: other kinds, norms kept, and, where
            example inputs were run, forwards that call a normalization by themselves.
    """

    converted: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    def told(self) -> Iterator[Part]:
        """How many were swapped, and what stayed, with the reasons."""
        if self.left:
            yield Table(("stays", "since"), [*self.left.items()])
        yield f"{len(self.converted)} norms swapped: {', '.join(self.converted) or 'none'}."


@checked
def convert_norms(
    model: nn.Module,
    to: Literal["un", "none"] | NormFactory = "un",
    *,
    only: Patterns | None = None,
    keep: Patterns = (),
    example_inputs: ExampleInputs | None = None,
    keep_affine: bool = True,
    keep_eps: bool = False,
) -> Conversion:
    """Swap, in place, every module that computes a LayerNorm of the last axis or of axis 1.

    What a module computes is found by running a copy of it, so that subclasses and other
    libraries' LayerNorms count, whatever they are named. The model needs training afterwards: a
    UN's statistics cannot be known from a LayerNorm.

    nn.TransformerEncoderLayer and nn.TransformerEncoder have a fused path for evaluation without
    gradient that computes LayerNorm whatever their norms are: where a norm was swapped they no
    longer take it. Forwards that compute with a norm's weights themselves, not through the norm,
    are seen only with `example_inputs`; without, such a UN never learns anything, and
    `require_trained` names it.

    Args:
        model: holds the norms; it cannot be one itself.
        to: "un" for `UnifiedNorm`, "none" for `nn.Identity` (the network without norms), or a
            callable that makes a norm from its number of channels, for example
            `functools.partial(UnifiedNorm, mode="paper")`. For a norm over axis 1, as of
            (B, C, H, W), it is called with ``channel_first=True`` too.
        only: patterns as of `fnmatch`, against the norms' names; other norms stay.
        keep: patterns of norms that stay; they go before `only`.
        example_inputs: what the model is called with, once, in evaluation and without gradient: a
            tensor, a sequence of positional arguments, or a mapping by name. A norm whose weights
            are read outside its forward then stays.
        keep_affine: keep weight and bias as the LayerNorm has them: both, no bias, or neither (the
            new norm is then made with ``bias=False`` or ``elementwise_affine=False``), their
            values, and whether they are trained. What a callable makes without taking these
            arguments has the missing ones at 1 and 0, frozen. False: all as made.
        keep_eps: pass the LayerNorm's eps to the new norm; a LayerNorm's is relative to a
            variance, so the new norm's own default is the better start.

    Returns:
        The names converted, and those of every other normalization with the reason it stayed.

    Raises:
        InputError: `to` is no known name or makes no norm, the model is itself a LayerNorm, a
            pattern matches no normalization, or the model does not run on the example inputs.
            Nothing is swapped then.
    """
    if isinstance(to, str) and to not in _FACTORIES:
        raise InputError(f"norms convert to {' or '.join(_FACTORIES)}, or by a callable: {to!r}")
    factory = _FACTORIES[to] if isinstance(to, str) else to
    kinds = {module: kind for module in model.modules() if (kind := kind_of(module))}
    if model in kinds and not kinds[model].why_not:
        raise InputError("the model is itself a LayerNorm: there is no place to put another norm")
    calls = Calls({}, {})
    if example_inputs is not None:
        calls = find_calls(model, example_inputs, list(kinds))
        kinds |= _that_call_one(model, calls)
    named = [(name, m) for name, m in model.named_modules(remove_duplicate=False) if m in kinds]
    names = [name for name, _ in named]
    chosen = names if only is None else _matches(only, names, "only")
    kept = _matches(keep, names, "keep")

    report = Conversion()
    made: dict[nn.Module, nn.Module] = {}
    places: list[tuple[nn.Module, str, nn.Module]] = []
    place = next(model.parameters(), torch.empty(0)).device
    shared: dict[nn.Parameter, nn.Parameter] = {}
    for name, norm in named:
        reason = kinds[norm].why_not or _why_not(norm, kinds[norm], calls, factory)
        if name in kept or name not in chosen:
            reason = reason or ("named by keep" if name in kept else "not named by only")
        if reason:
            report.left[name or type(norm).__name__] = reason
            continue
        if norm not in made:
            settings = _settings(norm, kinds[norm], factory, keep_affine, keep_eps)
            made[norm] = _placed(norm, _made(factory, kinds[norm].channels, settings), place)
            if keep_affine:
                _keep_affine(norm, made[norm], shared)
        parent, _, child = name.rpartition(".")
        places.append((model.get_submodule(parent), child, made[norm]))
        report.converted.append(name)
    for owner, child, new in places:
        setattr(owner, child, new)
    for where, functions in calls.functional.items():
        if where not in names:
            report.left[where] = f"its forward calls {', '.join(dict.fromkeys(functions))} itself"
    _leave_fused_path(model)
    return report


def _that_call_one(model: nn.Module, calls: Calls) -> dict[nn.Module, Kind]:
    """Modules that, though not named like one, turned out to be LayerNorms by running them."""
    found: dict[nn.Module, Kind] = {}
    for name, module in model.named_modules():
        if name and name in calls.functional and next(module.children(), None) is None:
            kind = kind_of(module, calls_one=True)
            if kind and not kind.why_not:
                found[module] = kind
    return found


def _matches(patterns: Patterns, names: Sequence[str], argument: str) -> set[str]:
    """The names that one of the patterns matches; each must match some."""
    found: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        matched = [name for name in names if fnmatchcase(name, pattern)]
        if not matched:
            near = get_close_matches(pattern, names, n=3, cutoff=0)
            told = f"the nearest are {', '.join(near)}" if near else "the model has none"
            raise InputError(f"{argument}={pattern!r} matches no normalization; {told}")
        found.update(matched)
    return found


def _why_not(norm: nn.Module, kind: Kind, calls: Calls, factory: NormFactory) -> str | None:
    """Why a LayerNorm must stay in this model, or None."""
    name = type(norm).__name__
    if norm._forward_hooks or norm._forward_pre_hooks:
        return f"{name} has forward hooks, which the norm to put there would lack"
    if norm in calls.reads:
        return f"{name}'s weights are read by {calls.reads[norm]}, not through the norm"
    if kind.channel_first and not _takes(factory, "channel_first"):
        return f"{name} normalises axis 1, and the norm to put there takes no channel_first"
    return None


def _takes(factory: NormFactory, argument: str) -> bool:
    parameters = inspect.signature(factory).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return anything or argument in parameters


def _settings(
    norm: nn.Module, kind: Kind, factory: NormFactory, keep_affine: bool, keep_eps: bool
) -> dict[str, Any]:
    """What the factory is called with, besides the number of channels."""
    settings: dict[str, Any] = {"eps": norm.eps} if keep_eps and hasattr(norm, "eps") else {}
    if kind.channel_first:
        settings["channel_first"] = True
    weight, bias = (getattr(norm, name, None) is not None for name in ("weight", "bias"))
    if keep_affine and not bias:
        absent = "bias" if weight else "elementwise_affine"
        if _takes(factory, absent):
            settings[absent] = False
    return settings


def _made(factory: NormFactory, channels: int, settings: dict[str, Any]) -> nn.Module:
    try:
        new = factory(channels, **settings)
    except UnDeployError:
        raise
    except Exception as error:
        reason = first_line(error)
        raise InputError(f"to makes no norm of {channels} channels: {reason}") from error
    if not isinstance(new, nn.Module):
        raise InputError(f"to must make a torch.nn.Module, not {shown(new)}")
    return new


def _placed(norm: nn.Module, new: nn.Module, place: torch.device) -> nn.Module:
    """The new norm in the old one's mode, device and dtype; `place` is for one without a weight."""
    new.train(norm.training)
    weight = getattr(norm, "weight", None)
    return new.to(place) if weight is None else new.to(weight.device, weight.dtype)


def _keep_affine(old: nn.Module, new: nn.Module, shared: dict[nn.Parameter, nn.Parameter]) -> None:
    """Copy values and whether they are trained; freeze what had no counterpart.

    Parameters that norms shared stay shared: `shared` holds the new one of each old one.
    """
    for name in ("weight", "bias"):
        source, target = getattr(old, name, None), getattr(new, name, None)
        if not isinstance(target, nn.Parameter):
            continue
        if source in shared:
            setattr(new, name, shared[source])
            continue
        target.requires_grad_(source is not None and source.requires_grad)
        if source is not None:
            shared[source] = target
            with torch.no_grad():
                target.copy_(source.flatten())  # some hold (C, 1, 1)


def _leave_fused_path(model: nn.Module) -> None:
    """Let PyTorch's encoder layers and encoders call the norms that are no LayerNorm.

    Both attributes are the ones by which PyTorch itself keeps to the plain path: for an activation
    that the fused one lacks, and for an encoder whose layers take no nested tensors.
    """
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and _has_other_norms(module):
            module.activation_relu_or_gelu = 0
        elif isinstance(module, nn.TransformerEncoder):
            layers = (x for x in module.modules() if isinstance(x, nn.TransformerEncoderLayer))
            if any(map(_has_other_norms, layers)):
                module.use_nested_tensor = False


def _has_other_norms(layer: nn.TransformerEncoderLayer) -> bool:
    return not all(isinstance(norm, nn.LayerNorm) for norm in (layer.norm1, layer.norm2))
