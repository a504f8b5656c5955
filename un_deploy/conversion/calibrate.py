"""Puts a fixed affine in the place of LayerNorms without training, as near as data allows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn

from un_deploy.conversion import batches as of_data
from un_deploy.conversion.batches import Batches, Padding, evaluating
from un_deploy.conversion.fits.centre import centre_writers
from un_deploy.conversion.fits.fixed_affine import set_affine
from un_deploy.conversion.fits.least_squares import ChannelFit
from un_deploy.conversion.fits.refit import refit_neighbours
from un_deploy.conversion.norm_io import calls
from un_deploy.conversion.places import Places, find, mask, stays, tokens, unified
from un_deploy.json_form import JsonForm
from un_deploy.nn import convert_norms
from un_deploy.printed import Part, Printed, number_of


@dataclass(frozen=True)
class Calibration(JsonForm, Printed):
    """What `calibrate` did.

    Attributes:
        converted: each LayerNorm swapped, in the order in which they run, with the part of its
            output's variance over tokens that no affine per channel gives, 0 to 1.
        left: every other normalization, with the reason why it stays.
        centred: layers and parameters whose output's mean over channels was taken out.
        refitted: linear layers whose weights were fitted anew.
        tokens: how many the fits rest on, the fewest of a norm.
    """

    converted: dict[str, float]
    left: dict[str, str]
    centred: tuple[str, ...]
    refitted: tuple[str, ...]
    tokens: int

    def told(self, chosen: Collection[str] = ()) -> Iterator[Part]:
        """What went, and why others stay.

        Args:
            chosen: norms that stay since their loss was too high.
        """
        yield (
            f"{number_of(len(self.converted), 'norm')} became a scale and a shift, fitted on "
            f"{number_of(self.tokens, 'token')}; layers centred: {len(self.centred)}, refitted: "
            f"{len(self.refitted)}."
        )
        yield from stays(
            {
                name: "its loss is too high" if name in chosen else why
                for name, why in self.left.items()
            }
        )


def calibrate(
    model: nn.Module,
    data: Batches,
    *,
    heldout: Batches | None = None,
    only: str | Sequence[str] | None = None,
    keep: str | Sequence[str] = (),
    padding: Padding | None = None,
    centre: bool = True,
) -> Calibration:
    """Swap, in place, LayerNorms for UnifiedNorms that compute the nearest affine; no training.

    First the mean over channels is taken out of what writes to the stream, wherever the answers do
    not depend on it. Then, in the order in which the norms run, each becomes the scale and shift
    per channel that comes nearest, by least squares, to what the original network has there, with
    all that came before in its new place. With `heldout`, the linear layers beside it are fitted
    anew in closed form, each only where that brings it nearer on the held-out data.

    Args:
        model: a trained network.
        data: batches for the fits, gone through several times; of a few hundred samples.
        heldout: other batches, that the fits do not see.
        only, keep: patterns of names, as of `convert_norms`.
        padding: from a batch to its mask, bool (B, T), True where a token is padding; padding is
            left out of every fit.
        centre: take the mean out where that changes nothing.

    Returns:
        What was swapped and how well it fits, and what stayed and why.

    Raises:
        InputError: the model does not take the data, or no LayerNorm can be swapped. The model is
            unchanged then.
    """
    first = of_data.check(data, "data")
    if heldout is not None:
        of_data.check(heldout, "heldout")
    places = find(model, first, only=only, keep=keep)
    trial = deepcopy(model)
    centred = centre_writers(trial, first, set(places.channels.values())) if centre else []
    original = deepcopy(trial)
    convert_norms(trial, only=list(places.runs), keep_affine=False)
    converted: dict[str, float] = {}
    refitted: list[str] = []
    counts: list[int] = []
    with evaluating(trial, original):
        for name in places.runs:
            fit = _fit(trial, original, name, places, data, padding)
            set_affine(unified(trial, [name])[name], fit)
            converted[name] = fit.unexplained()
            counts.append(fit.tokens)
            if heldout is not None:
                refitted += refit_neighbours(trial, original, name, places, data, heldout, padding)
    become(model, trial, list(converted))
    return Calibration(converted, places.left, tuple(centred), tuple(refitted), min(counts))


def become(model: nn.Module, converted: nn.Module, names: Sequence[str]) -> None:
    """Let a model be what a converted copy of it is.

    Args:
        model: changed in place, at once.
        converted: the copy.
        names: of the norms that were swapped in it.
    """
    convert_norms(model, only=list(names), keep_affine=False)
    model.load_state_dict(converted.state_dict())


def _fit(
    model: nn.Module,
    original: nn.Module,
    name: str,
    places: Places,
    data: Batches,
    padding: Padding | None,
) -> ChannelFit:
    """From the model's input of a norm to the original's output there."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    fit = ChannelFit(places.channels[name], device)
    for batch in data:
        hidden = mask(padding, batch)
        mine, theirs = (
            calls(one, {name: places.runs[name]}, batch)[name] for one in (model, original)
        )
        for now, then in zip(mine, theirs, strict=True):
            given, _ = tokens(now, places.axes[name], hidden)
            _, wanted = tokens(then, places.axes[name], hidden)
            fit.add(given, wanted)
    fit.require_tokens(name)
    return fit
