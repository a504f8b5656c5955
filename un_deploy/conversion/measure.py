"""What each LayerNorm of a network costs to lose, measured one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from un_deploy.conversion import batches as of_data
from un_deploy.conversion.batches import Batches, Padding, evaluating, run
from un_deploy.conversion.fits.centre import centre_writers
from un_deploy.conversion.fits.fixed_affine import set_affine
from un_deploy.conversion.fits.least_squares import ChannelFit
from un_deploy.conversion.loss import Evaluate, Judge, Loss
from un_deploy.conversion.norm_io import Call
from un_deploy.conversion.places import Places, find, mask, stays, tokens, unified
from un_deploy.json_form import JsonForm
from un_deploy.nn import convert_norms
from un_deploy.printed import Part, Printed, Table


@dataclass(frozen=True)
class NormHarm(JsonForm):
    """What one LayerNorm costs to lose.

    Attributes:
        name: of the module.
        varies: standard deviation over mean of its input's root mean square, token by token: what
            a fixed scale cannot follow.
        unexplained: the part of its output's variance over tokens that no affine per channel
            gives, 0 to 1.
        loss: what the network loses where this norm alone becomes the nearest affine.
    """

    name: str
    varies: float
    unexplained: float
    loss: Loss


@dataclass(frozen=True)
class Harm(JsonForm, Printed):
    """The harm of each norm alone.

    Attributes:
        metric: what `loss` counts.
        norms: in the order in which they run.
        left: every other normalization, with the reason why it stays.
    """

    metric: str
    norms: tuple[NormHarm, ...]
    left: dict[str, str]

    @property
    def ordered(self) -> tuple[str, ...]:
        """The names, the least harmful first; of equal ones the better explained."""
        return tuple(
            norm.name
            for norm in sorted(self.norms, key=lambda norm: (norm.loss.value, norm.unexplained))
        )

    def told(self) -> Iterator[Part]:
        """What each norm alone costs, and which were not tried."""
        yield from self.norms_told()
        yield from stays(self.left)

    def norms_told(self) -> Iterator[Part]:
        """What each norm alone costs."""
        yield f"Each norm alone, as the nearest scale and shift ({self.metric}):"
        rows = [
            (one.name, f"{one.varies:.2f}", f"{one.unexplained:.1%}", str(one.loss))
            for one in self.norms
        ]
        yield Table(("norm", ">input varies", ">unexplained", ">loss"), rows, whole=True)


def measure(
    model: nn.Module,
    data: Batches,
    *,
    heldout: Batches | None = None,
    evaluate: Evaluate | None = None,
    metric: str | None = None,
    only: str | Sequence[str] | None = None,
    keep: str | Sequence[str] = (),
    padding: Padding | None = None,
) -> Harm:
    """The harm of each LayerNorm alone: the model's loss where it becomes the nearest affine.

    Args:
        model: a trained network; unchanged.
        data: batches for the fits.
        heldout: batches for the divergence; without them, and without `evaluate`, it is taken
            on `data`.
        evaluate: scores a model, higher is better; a number or one of each example.
        metric: the name of that score.
        only, keep: patterns of names, as of `convert_norms`.
        padding: from a batch to its mask, True where a token is padding.

    Raises:
        InputError: the model does not take the data, or has no LayerNorm to convert.
    """
    first = of_data.check(data, "data")
    places = find(model, first, only=only, keep=keep)
    judge = Judge(model, data if heldout is None else heldout, evaluate, metric)
    model = deepcopy(model)
    centre_writers(model, first, set(places.channels.values()))
    fits, spreads = _fits(model, places, data, padding)
    norms = []
    for name in places.runs:
        trial = deepcopy(model)
        convert_norms(trial, only=name, keep_affine=False)
        set_affine(unified(trial, [name])[name], fits[name])
        fit, spread = fits[name], spreads[name]
        norms.append(NormHarm(name, spread.varies(), fit.unexplained(), judge.loss(trial)))
    return Harm(judge.metric, tuple(norms), places.left)


class _Spread:
    """Mean and deviation of the tokens' root mean square."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, 0.0, 0.0

    def add(self, x: Tensor) -> None:
        rms = x.double().square().mean(1).sqrt()
        self.count += len(rms)
        self.sum += float(rms.sum())
        self.squares += float(rms.square().sum())

    def varies(self) -> float:
        mean = self.sum / self.count
        variance = max(0.0, self.squares / self.count - mean * mean)
        return math.sqrt(variance) / mean if mean else 0.0


def _fits(
    model: nn.Module, places: Places, data: Batches, padding: Padding | None
) -> tuple[dict[str, ChannelFit], dict[str, _Spread]]:
    """All fits from one pass, since the other norms are in place while one is judged."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    fits = {name: ChannelFit(channels, device) for name, channels in places.channels.items()}
    spreads = {name: _Spread() for name in fits}
    hidden: Tensor | None = None
    hooks = []
    for name in fits:

        def note(
            module: nn.Module, args: tuple[Tensor, ...], answer: Tensor, name: str = name
        ) -> None:
            given, wanted = tokens(Call(args[0], answer), places.axes[name], hidden)
            fits[name].add(given, wanted)
            spreads[name].add(given)

        hooks.append(model.get_submodule(name).register_forward_hook(note))
    try:
        with evaluating(model):
            for batch in data:
                hidden = mask(padding, batch)
                run(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    for name, fit in fits.items():
        fit.require_tokens(name)
    return fits, spreads
