"""The linear layers beside a norm: those that read it, and those that write into the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, run


def readers(model: nn.Module, norm: str, batch: Batch) -> list[str]:
    """The names of the nn.Linear that are called with the norm's very output.

    Args:
        model: in evaluation mode.
        norm: its name.
        batch: a few samples.
    """
    answers: list[Tensor] = []
    found: list[str] = []

    def note(module: nn.Module, args: Any, answer: Tensor) -> None:
        answers.append(answer)

    def compare(name: str) -> Any:
        def hook(module: nn.Module, args: Any) -> None:
            if any(args and args[0] is answer for answer in answers):
                found.append(name)

        return hook

    with _hooked(model) as hooks:
        hooks.append(model.get_submodule(norm).register_forward_hook(note))
        for name in _linears(model):
            hooks.append(model.get_submodule(name).register_forward_pre_hook(compare(name)))
        run(model, batch)
    return list(dict.fromkeys(found))


def writer(model: nn.Module, norm: str, after: str | None, batch: Batch) -> str | None:
    """The last nn.Linear before the norm whose output is added to the norm's input as it is.

    Found by running: what is added to the linear layer's output must come out of the norm's input,
    number by number.

    Args:
        model: in evaluation mode.
        norm: the name of the norm that is written to.
        after: the norm that runs before it; only layers between them count.
        batch: a few samples.
    """
    order = _order(model, batch)
    if norm not in order:
        return None
    start = order.index(after) if after in order else -1
    between = [name for name in order[start + 1 : order.index(norm)] if name in _linears(model)]
    plain = _input_of(model, norm, batch)
    for name in reversed(between):
        step, moved = _moved(model, name, norm, batch)
        if step is not None and step.numel() == plain.numel():
            difference = (moved - plain).reshape(step.shape)
            if torch.allclose(difference, step, rtol=1e-3, atol=1e-3 * float(step.std())):
                return name
    return None


def _moved(model: nn.Module, name: str, norm: str, batch: Batch) -> tuple[Tensor | None, Tensor]:
    """What was added to a linear layer's output, None if it ran twice; the norm's input then."""
    generator = torch.Generator().manual_seed(0)
    added: list[Tensor] = []

    def add(module: nn.Module, args: Any, answer: Tensor) -> Tensor:
        added.append(torch.randn(answer.shape, generator=generator).to(answer) * answer.std())
        return answer + added[-1]

    with _hooked(model) as hooks:
        hooks.append(model.get_submodule(name).register_forward_hook(add))
        moved = _input_of(model, norm, batch)
    return (added[0] if len(added) == 1 else None), moved


def _linears(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if type(module) is nn.Linear]


def _order(model: nn.Module, batch: Batch) -> list[str]:
    """The names of all modules in the order of their first runs."""
    order: dict[str, None] = {}
    with _hooked(model) as hooks:
        for name, module in model.named_modules():
            hooks.append(
                module.register_forward_pre_hook(
                    lambda module, args, name=name: order.setdefault(name)
                )
            )
        run(model, batch)
    return list(order)


def _input_of(model: nn.Module, norm: str, batch: Batch) -> Tensor:
    seen: list[Tensor] = []
    with _hooked(model) as hooks:
        hooks.append(
            model.get_submodule(norm).register_forward_pre_hook(
                lambda module, args: seen.append(args[0])
            )
        )
        run(model, batch)
    return seen[0]


@contextmanager
def _hooked(model: nn.Module) -> Iterator[list[Any]]:
    hooks: list[Any] = []
    try:
        yield hooks
    finally:
        for hook in hooks:
            hook.remove()
