"""When each LayerNorm of a network fades: one by one, or all inner ones together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from torch import nn

from un_deploy.conversion.batches import Batch, evaluating
from un_deploy.conversion.places import find
from un_deploy.conversion.training.fading_norm import FadingNorm
from un_deploy.errors import InputError
from un_deploy.nn import UnifiedNorm, convert_norms


class Schedule:
    """Fades the LayerNorms of a network while any loop trains it.

        schedule = Schedule(model, batch, steps=1000)
        for ...:
            loss(model(...)).backward(); optimizer.step()
            schedule.step()
        schedule.finish()

    The parameters of the scale and shift exist from the start: make the optimizer afterwards.

    The last norm to run goes last, for it holds the scale of what the head is given: without it
    cross-entropy makes logits grow (TaperNorm, arXiv 2602.10408).

    Args:
        model: its LayerNorms are wrapped, in place.
        example: what the model is called with, once, to see which norms run and in which order.
        steps: of the whole training; after the last, all gates are 0.
        order: names, the first to go first, as `Harm.ordered` has them: they fade one by one.
            None: all fade together, but the last.
        start, end: the parts of the steps at which the first begins to fade and the last is gone;
            before, running averages are taken; behind, the network trains without norms.
        keep: patterns of norms that stay.

    Raises:
        InputError: a number is out of range, the model does not take the example, has no LayerNorm
            to convert, or `order` names others than those.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Batch,
        *,
        steps: int,
        order: Sequence[str] | None = None,
        start: float = 0.05,
        end: float = 0.6,
        keep: str | Sequence[str] = (),
    ) -> None:
        if steps < 2 or not 0 < start < end <= 1:
            raise InputError(
                f"a schedule has 0 < start < end <= 1 and two steps or more, not "
                f"start={start}, end={end}, steps={steps}"
            )
        places = find(model, example, only=None, keep=keep)
        names = list(places.runs)
        if order is not None and sorted(order) != sorted(names):
            unlike = sorted(set(order) ^ set(names))
            raise InputError(f"order must name each norm that is to go once; see {unlike}")
        self.model, self.steps, self.done = model, steps, 0
        self.spans = _spans(names, order, start, end)
        self.norms = _wrap(model, names)

    def step(self) -> None:
        """Count a step of the training, and set the gates."""
        self.done += 1
        self._set()

    @property
    def gates(self) -> dict[str, float]:
        """Of each norm, now: 1 where it is a LayerNorm, 0 where it is gone."""
        return {name: norm.gate for name, norm in self.norms.items()}

    def finish(self) -> list[str]:
        """Put a UnifiedNorm where each gate has come to 0, and the LayerNorm back elsewhere.

        Returns:
            The names of the norms that are gone.
        """
        for name, norm in self.norms.items():
            parent, _, child = name.rpartition(".")
            last = norm.unified if norm.gate <= 0 else norm.norm
            setattr(self.model.get_submodule(parent), child, last)
        return [name for name, norm in self.norms.items() if norm.gate <= 0]

    def state_dict(self) -> dict[str, Any]:
        """What the model's own state_dict does not hold."""
        return {"done": self.done, "gates": self.gates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another run stopped; the model's own state is loaded besides.

        Raises:
            InputError: it is of other norms.
        """
        if set(state["gates"]) != set(self.norms):
            raise InputError("the state is of a schedule with other norms")
        self.done = int(state["done"])
        for name, norm in self.norms.items():
            norm.gate = float(state["gates"][name])

    def _set(self) -> None:
        now = self.done / self.steps
        for name, norm in self.norms.items():
            start, end = self.spans[name]
            part = min(1.0, max(0.0, (now - start) / (end - start)))
            gate = 0.5 * (1 + math.cos(math.pi * part)) if part < 1 else 0.0
            if gate != norm.gate:
                norm.fade_to(gate)


def _spans(
    names: Sequence[str], order: Sequence[str] | None, start: float, end: float
) -> dict[str, tuple[float, float]]:
    """Of each norm the parts of the training at which it begins to fade, and is gone."""
    if len(names) == 1:
        return {names[0]: (start, end)}
    last = names[-1]
    if order is None:
        middle = start + 0.75 * (end - start)
        return {name: (middle, end) if name == last else (start, middle) for name in names}
    in_turn = [*(name for name in order if name != last), last]
    width = (end - start) / len(in_turn)
    return {name: (start + n * width, start + (n + 1) * width) for n, name in enumerate(in_turn)}


def _wrap(model: nn.Module, names: Sequence[str]) -> dict[str, FadingNorm]:
    """Put a fading norm in each place."""
    converted = deepcopy(model)
    with evaluating(converted):
        convert_norms(converted, only=list(names), keep_affine=False)
    wrapped: dict[str, FadingNorm] = {}
    for name in names:
        unified = converted.get_submodule(name)
        assert isinstance(unified, UnifiedNorm)
        norm = model.get_submodule(name)
        device = next(norm.parameters(), next(model.parameters())).device
        wrapped[name] = FadingNorm(norm, unified).to(device).train(norm.training)
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, wrapped[name])
    return wrapped
