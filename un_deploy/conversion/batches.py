"""Data for a conversion: batches that a model is called with, as often as needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from un_deploy.errors import InputError, first_line

Batch = Tensor | Sequence[Any] | Mapping[str, Any]
"""What a model is called with: one tensor, positional arguments, or arguments by name."""

Batches = Iterable[Batch]
"""A list or a DataLoader; it is gone through several times, so no generator."""

Padding = Callable[[Any], Tensor]
"""From a batch to a bool tensor, True where a token is padding: (B, T) for norms on (B, T, C)."""


def check(data: Batches, name: str) -> Batch:
    """The first batch.

    Raises:
        InputError: the data can be gone through once only, or holds no batch.
    """
    if isinstance(data, (Tensor, Mapping)):
        raise InputError(f"{name} is one batch: give a list of batches, [batch]")
    if iter(data) is data:
        raise InputError(f"{name} can be gone through once only: give a list or a DataLoader")
    for batch in data:
        return batch
    raise InputError(f"{name} holds no batch")


def of_arrays(given: Any, where: str) -> Batch:
    """A batch with a tensor for each array in it.

    Args:
        given: a tensor or an array, a tuple or list of such as positional arguments, or a mapping
            of them by the names of forward's arguments.
        where: it comes from, for errors.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(given, Mapping):
        return {str(name): _tensor(value, where) for name, value in given.items()}
    if isinstance(given, (tuple, list)):
        return tuple(_tensor(value, where) for value in given)
    return _tensor(given, where)


def _tensor(given: Any, where: str) -> Tensor:
    if isinstance(given, Tensor):
        return given
    try:
        return torch.from_numpy(np.array(given))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where} gives {type(given).__name__}: a batch is a tensor or an array, a tuple of "
            "positional arguments, or a dict by the names of forward's arguments"
        ) from error


def run(model: nn.Module, batch: Batch) -> Any:
    """The model's answer to a batch.

    Raises:
        InputError: the model does not take the batch.
    """
    try:
        if isinstance(batch, Mapping):
            return model(**batch)
        return model(*((batch,) if isinstance(batch, Tensor) else batch))
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError) as error:
        hint = ""
        if not isinstance(batch, (Tensor, Mapping)) and len(batch) > 1:
            hint = f"; its {len(batch)} parts are positional arguments: leave labels out"
        raise InputError(
            f"{type(model).__name__} does not take a batch of the data: {first_line(error)}{hint}"
        ) from error


def outputs(answer: Any) -> dict[str, Tensor]:
    """The floating-point tensors of a model's answer, by name or by number."""
    if isinstance(answer, Tensor):
        answer = {"output": answer}
    elif not isinstance(answer, Mapping):
        answer = {str(number): value for number, value in enumerate(answer)}
    found: dict[str, Tensor] = {}
    for name, value in answer.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            found[name] = value
        elif isinstance(value, (tuple, list)):
            found |= {f"{name}.{inner}": tensor for inner, tensor in outputs(value).items()}
    return found


@contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradient; every module is put back as it was."""
    training = [module for model in models for module in model.modules() if module.training]
    for model in models:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
