"""What goes into the norms of a model and comes out, and in which order they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, run


class Call(NamedTuple):
    """One run of a norm: what went in and came out, of one shape."""

    given: Tensor
    answer: Tensor


class _ReachedError(Exception):
    """Ends a forward at the norm that is looked at: what comes behind is not computed."""


def running_order(model: nn.Module, names: Sequence[str], batch: Batch) -> dict[str, int]:
    """How often each norm runs in one forward, in the order of their first runs."""
    runs: dict[str, int] = {}

    def count(name: str) -> Any:
        def hook(module: nn.Module, args: Any) -> None:
            runs[name] = runs.get(name, 0) + 1

        return hook

    hooks = [model.get_submodule(name).register_forward_pre_hook(count(name)) for name in names]
    try:
        run(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return runs


def calls(model: nn.Module, name: str, batch: Batch, runs: int) -> list[Call]:
    """The norm's runs in one forward of the batch, which ends at the last of them.

    Args:
        model: in evaluation mode.
        name: of the norm.
        batch: what the model is called with.
        runs: how often the norm runs in a forward.
    """
    seen: list[Call] = []

    def note(module: nn.Module, args: tuple[Tensor, ...], answer: Tensor) -> None:
        seen.append(Call(args[0].detach(), answer.detach()))
        if len(seen) == runs:
            raise _ReachedError

    hook = model.get_submodule(name).register_forward_hook(note)
    try:
        run(model, batch)
    except _ReachedError:
        pass
    finally:
        hook.remove()
    return seen
