"""Takes a network's statistics anew from data, or freezes them; weights stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from un_deploy.arguments.check import checked
from un_deploy.errors import InputError, UnDeployError, first_line
from un_deploy.nn.networks.checkpoint import some
from un_deploy.nn.statistics import HISTORY
from un_deploy.nn.unified_norm import UnifiedNorm


@checked
def recalibrate(
    model: nn.Module, loader: Iterable[Any], *, forward: Callable[[Any], object] | None = None
) -> None:
    """Give every `UnifiedNorm` in a model new statistics, from data alone.

    For weights that no training step has seen: averaged ones, pruned or merged ones. It does what
    `torch.optim.swa_utils.update_bn` does for batch normalization, which passes over other norms.
    Weights stay, nothing gets a gradient, and all modules but the norms run as in evaluation,
    without dropout, since that is what is deployed. Frozen norms keep their statistics.

    Each norm's `running_var` becomes the mean, over all batches, of its rule's own estimate: of
    robust the median of the last nine batches' moments, so that a batch with an outlier has no
    part in it. What the first eight batches give, before there are nine, is not in the mean.
    With a `process_group` all ranks call this, each with its part of every batch.

    Args:
        model: in any mode; it is as it was afterwards.
        loader: batches. The model is called with a tensor, with the first of a sequence (inputs
            and labels, as `update_bn` has it), or with a mapping by name; tensors go to the
            device of the model's first parameter.
        forward: runs one batch of the loader instead, for models of other inputs or with a mask.

    Raises:
        InputError: the model holds no UnifiedNorm to recalibrate, or one that no batch reached, or
            does not run on a batch.
            Statistics are then what they were, as with any error that the model raises.
    """
    norms = {
        name or type(module).__name__: module
        for name, module in model.named_modules()
        if isinstance(module, UnifiedNorm) and not module.frozen
    }
    if not norms:
        raise InputError(f"{type(model).__name__} holds no UnifiedNorm that is not frozen")
    means = {name: norm.running_var.clone() for name, norm in norms.items()}
    full = dict.fromkeys(norms, 0)
    with _learning_anew(model, list(norms.values())), torch.no_grad():
        for batch in loader:
            before = {name: int(norm.iters) for name, norm in norms.items()}
            _run(model, batch) if forward is None else forward(batch)
            for name, norm in norms.items():
                if int(norm.iters) > before[name]:
                    full[name] += int(norm.iters) > HISTORY
                    means[name].lerp_(norm.running_var, 1 / max(1, full[name]))
        if unseen := [name for name, norm in norms.items() if int(norm.iters) == 0]:
            raise InputError(f"no batch reached {some(unseen)}: its statistics are as they were")
        for name, norm in norms.items():
            norm.running_var.copy_(means[name])


def freeze_statistics(model: nn.Module, frozen: bool = True) -> None:
    """Keep the statistics of every `UnifiedNorm` in a model, in training too, or let them go on.

    For fine-tuning on little data or small batches. A frozen norm computes in training what it
    does in evaluation, `weight * x / sqrt(running_var + eps) + bias`, whatever `train()` is called
    afterwards; its weight and bias are trained. The switch, `norm.frozen`, is copied with the
    module and is not in its state_dict.

    Raises:
        InputError: the model holds no UnifiedNorm.
    """
    norms = [module for module in model.modules() if isinstance(module, UnifiedNorm)]
    if not norms:
        raise InputError(f"{type(model).__name__} holds no UnifiedNorm")
    for norm in norms:
        norm.frozen = frozen


@contextmanager
def _learning_anew(model: nn.Module, norms: list[UnifiedNorm]) -> Iterator[None]:
    """Statistics begin anew, each forward's estimate taken whole; back as it was after an error."""
    modes = {module: module.training for module in model.modules()}
    rules = [norm.rule for norm in norms]
    states = [{name: b.clone() for name, b in norm.named_buffers()} for norm in norms]
    model.eval()
    for norm in norms:
        norm.training = True
        norm.rule = replace(norm.rule, momentum=0.0)
        norm.reset_running_stats()
    try:
        yield
    except BaseException:
        for norm, state in zip(norms, states, strict=True):
            for name, value in state.items():
                norm.get_buffer(name).copy_(value)
        raise
    finally:
        for norm, rule in zip(norms, rules, strict=True):
            norm.rule = rule
        for module, training in modes.items():
            module.training = training


def _run(model: nn.Module, batch: Any) -> None:
    try:
        _called(model, batch)
    except UnDeployError:
        raise
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        name, reason = type(model).__name__, first_line(error)
        raise InputError(f"{name} does not run on a batch of the loader: {reason}") from error


def _called(model: nn.Module, batch: Any) -> None:
    place = next(model.parameters(), torch.empty(0)).device
    if isinstance(batch, Mapping):
        model(**{name: _moved(value, place) for name, value in batch.items()})
    else:
        model(_moved(batch[0] if isinstance(batch, (list, tuple)) else batch, place))


def _moved(value: Any, place: torch.device) -> Any:
    return value.to(place) if isinstance(value, Tensor) else value
