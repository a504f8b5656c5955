"""Takes the mean over channels out of what writes to the stream, where nothing else changes.

A LayerNorm subtracts the mean over channels of its input, so a layer that writes to its stream
may write numbers of mean zero instead (SliceGPT, arXiv 2401.15024; arXiv 2305.14858). The LayerNorm
then divides by a root mean square and nothing more, which an affine per channel comes nearer to.
Which layers may is found by trying: in double, on real data, the network's answers must stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, evaluating, outputs, run

SAME = 1e-9
"""Relative to an output's largest number, in float64: far above rounding, far below an effect."""


def centre_writers(model: nn.Module, batch: Batch, widths: set[int]) -> list[str]:
    """Centre, in place, every parameter of a stream whose mean the answers do not depend on.

    Args:
        model: its LayerNorms are in place.
        batch: a few samples; tried in float64.
        widths: numbers of channels of the LayerNorms.

    Returns:
        The names of what was centred: of modules, or of parameters that stand alone.
    """
    double = deepcopy(model).double()
    generator = torch.Generator().manual_seed(0)
    batch = _in_double(batch)
    done: list[str] = []
    with evaluating(model, double):
        before = outputs(run(double, batch))
        for name, parameters in _writers(double, widths).items():
            kept = [parameter.clone() for parameter, _ in parameters]
            for parameter, axis in parameters:
                parameter.sub_(parameter.mean(axis, keepdim=True))
            same = _same(before, outputs(run(double, batch)))
            centred = [parameter.clone() for parameter, _ in parameters]
            for (parameter, _), old in zip(parameters, kept, strict=True):
                drawn = torch.randn(old.shape, generator=generator).to(old)
                parameter.copy_(old + drawn * old.abs().mean())
            if same and not _same(before, outputs(run(double, batch))):
                done.append(name)
                kept = centred
            for (parameter, _), values in zip(parameters, kept, strict=True):
                parameter.copy_(values)
        mine, theirs = dict(model.named_parameters()), dict(double.named_parameters())
        for name, parameter in theirs.items():
            mine[name].copy_(parameter)
    return done


def _in_double(batch: Batch) -> Batch:
    def wide(value: object) -> object:
        return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value

    if isinstance(batch, Tensor):
        return batch.double() if batch.is_floating_point() else batch
    if isinstance(batch, Mapping):
        return {name: wide(value) for name, value in batch.items()}
    return [wide(value) for value in batch]


def _same(before: dict[str, Tensor], after: dict[str, Tensor]) -> bool:
    return all(
        float((after[name] - x).abs().max()) <= SAME * float(x.abs().max())
        for name, x in before.items()
        if x.numel()
    )


def _writers(model: nn.Module, widths: set[int]) -> dict[str, list[tuple[nn.Parameter, int]]]:
    """Parameters that could write to a stream of one of the widths, with the channels' axis."""
    found: dict[str, list[tuple[nn.Parameter, int]]] = {}
    seen: set[nn.Parameter] = set()
    for name, module in model.named_modules():
        layer = isinstance(module, (nn.Linear, nn.modules.conv._ConvNd))
        together = layer or isinstance(module, nn.Embedding) or hasattr(module, "weight")
        for own, parameter in module.named_parameters(recurse=False):
            axis = 0 if layer or parameter.dim() == 1 else parameter.dim() - 1
            if parameter in seen or parameter.shape[axis] not in widths:
                continue
            seen.add(parameter)
            found.setdefault(name if together else f"{name}.{own}".lstrip("."), []).append(
                (parameter, axis)
            )
    return found
