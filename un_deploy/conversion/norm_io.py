"""What goes into the norms of a model and the layers beside them, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from un_deploy.conversion.batches import Batch, run


class Call(NamedTuple):
    """One run of a norm or a layer: what went in and came out."""

    given: Tensor
    answer: Tensor


class _ReachedError(Exception):
    """Ends a forward behind what is looked at: the rest is not computed."""


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


def calls(model: nn.Module, runs: Mapping[str, int], batch: Batch) -> dict[str, list[Call]]:
    """Runs of modules in one forward of the batch, which ends when all of them were seen.

    Args:
        model: in evaluation mode.
        runs: how many runs of each module are wanted; its first are given.
        batch: what the model is called with.
    """
    seen: dict[str, list[Call]] = {name: [] for name in runs}

    def note(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...], answer: Tensor) -> None:
            if len(seen[name]) < runs[name]:
                seen[name].append(Call(args[0].detach(), answer.detach()))
            if all(len(seen[one]) == count for one, count in runs.items()):
                raise _ReachedError

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(note(name)) for name in runs]
    try:
        run(model, batch)
    except _ReachedError:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return seen
