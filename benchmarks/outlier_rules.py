"""Rules that keep an outlier token from harming the rest of its batch, as candidates.

Each scales a token down where its energy, the mean over channels of x squared, is above `limit`
times what is usual, to `target` times it. The factor is held constant in the derivative. They
differ in what they call usual, of one number a batch:

- fixed: the median energy of this batch.
- adaptive: the 0.99 quantile of energy, its median over past batches.
- own: the largest energy of each sequence (axis 0), their median over this batch; no state. A token
  that is always large, once a sequence, is usual at any length; a few sequences with an outlier
  move no median, in however many steps they come. One sequence alone is never scaled.
- both: the larger of own and of the same along the other axes, for inputs with the tokens first.
- past: of own's number, the median over this batch and past ones.

`python -m benchmarks.outlier_cells` compares them, `benchmarks.outlier_trainings` trains with them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from un_deploy.nn import UnifiedNorm
from un_deploy.nn.robust import RobustRule
from un_deploy.nn.rule import State
from un_deploy.nn.statistics import EMPTY, HISTORY, window_ending_with

SIZES = "sizes"


class Unprotected(RobustRule):
    """The rule as it was: an outlier's batch is spent."""

    def spared(self, x: Tensor, padding_mask: Tensor | None) -> Tensor:
        return x


@dataclass(frozen=True)
class Candidate(Unprotected):
    """Scales tokens down, then goes on as the rule without it does.

    Attributes:
        limit: a token above this many times the usual energy is scaled.
        target: to so many times it.
        counts: how many tokens were scaled, a number for each forward in training.
    """

    limit: float = 16.0
    target: float = 1.0
    counts: list[int] = field(default_factory=list, compare=False)

    @abstractmethod
    def usual(self, energies: Tensor, state: State) -> Tensor:
        """The usual energy, 0-dim or (1,); counts the batch into state[SIZES] (8, 1) if it does.

        Args:
            energies: (sequences, tokens).
            state: of the norm.
        """

    def count(self, above: Tensor) -> None:
        """Take down how many tokens are scaled."""
        self.counts.append(int(above.sum()))

    def train(
        self, x: Tensor, weight: Tensor, bias: Tensor, padding_mask: Tensor | None, state: State
    ) -> Tensor:
        """As the rule without it does, of x with tokens scaled down."""
        with torch.no_grad():
            norms = torch.linalg.vector_norm(x, dim=-1)
            energies = norms.square() / x.shape[-1]
            usual = self.usual(energies.view(x.shape[0], -1), state)
            above = energies > self.limit * usual
            factors = torch.where(above, (self.target * usual / energies).sqrt(), 1.0)
            self.count(above)
        x = x * factors.unsqueeze(-1)
        return super().train(x, weight, bias, padding_mask, state)


def over_batches(value: Tensor, state: State, with_this: bool) -> Tensor:
    """The median over past batches of a number, (1,), which is remembered."""
    window = window_ending_with(value.view(1), state[SIZES], state["iters"], False)
    usual = window.median()
    if not with_this:
        past = state[SIZES][state[SIZES] != EMPTY]
        usual = past.median() if len(past) else torch.full_like(usual, torch.inf)
    state[SIZES].copy_(window.entries[1:])
    return usual


class Fixed(Candidate):
    def usual(self, energies: Tensor, state: State) -> Tensor:
        return energies.median()


class Adaptive(Candidate):
    def usual(self, energies: Tensor, state: State) -> Tensor:
        large = energies.flatten().kthvalue(round(0.99 * energies.numel())).values
        return over_batches(large, state, with_this=False)


class Own(Candidate):
    def usual(self, energies: Tensor, state: State) -> Tensor:
        return energies.amax(1).nanmedian()


class Both(Candidate):
    def usual(self, energies: Tensor, state: State) -> Tensor:
        return torch.maximum(energies.amax(1).nanmedian(), energies.amax(0).nanmedian())


class Past(Candidate):
    def usual(self, energies: Tensor, state: State) -> Tensor:
        return over_batches(energies.amax(1).nanmedian(), state, with_this=True)


RULES: dict[str, Callable[[], RobustRule]] = {
    "un": Unprotected,
    "fixed": lambda: Fixed(limit=16.0, target=16.0),
    "adaptive": lambda: Adaptive(limit=4.0, target=0.25),
    "own-16-1": lambda: Own(limit=16.0, target=1.0),
    "own-4-1": lambda: Own(limit=4.0, target=1.0),
    "own-4-quarter": lambda: Own(limit=4.0, target=0.25),
    "both-4-quarter": lambda: Both(limit=4.0, target=0.25),
    "past-4-quarter": lambda: Past(limit=4.0, target=0.25),
}
"""`both-4-quarter` is what `un_deploy.nn.outlier_tokens` does; `fixed` cuts at 16 times the median;
`adaptive` as first tried: above 4 times, to a quarter."""


def norm_with(rule: str, channels: int) -> nn.Module:
    """A norm that trains by the rule; "ln" is nn.LayerNorm."""
    if rule == "ln":
        return nn.LayerNorm(channels)
    norm = UnifiedNorm(channels)
    norm.rule = RULES[rule]()
    norm.register_buffer(SIZES, torch.full((HISTORY, 1), EMPTY), persistent=False)
    return norm


def scaled_tokens(network: nn.Module) -> int:
    """How many tokens its norms have scaled so far, all together."""
    rules = [m.rule for m in network.modules() if isinstance(m, UnifiedNorm)]
    return sum(sum(rule.counts) for rule in rules if isinstance(rule, Candidate))
