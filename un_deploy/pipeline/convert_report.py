"""What a conversion did, and what it cost, as data and in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from un_deploy.arguments.names import argument
from un_deploy.json_form import JsonForm
from un_deploy.printed import Part, Printed, Words, number_of

if TYPE_CHECKING:
    from un_deploy.conversion import Calibration, Choice, Harm
    from un_deploy.conversion.loss import Loss

CHOOSES = "the half of the held-out samples that chooses"
JUDGES = "the half of the held-out samples that judges, and neither fitted nor chose"


@dataclass(frozen=True)
class Stage(JsonForm):
    """One stage of a conversion: what was done, what the network had lost then, how long it took.

    Attributes:
        name: of the stage.
        loss: by the metric; a divergence is on held-out data that neither fitted nor chose
            anything, a score on the samples of its own function.
        seconds: the stage's time.
        divergence: beside a score, that of the outputs on the same held-out data.
    """

    name: Literal["calibrated", "trained"]
    loss: Loss
    seconds: float
    divergence: Loss | None = None

    def told(self) -> Iterator[str]:
        """What was lost, and of what."""
        took = f"  {self.name} in {self.seconds:.0f} s: "
        if self.loss.scores is None:
            yield f"{took}{self.loss}"
        else:
            before, after = self.loss.scores
            on = f" on {self.loss.samples} samples" if self.loss.interval else ", one number"
            yield f"{took}{before:#.4g} -> {after:#.4g}{on}, lost {self.loss}"
        if self.divergence is not None:
            yield f"    divergence of the outputs: {self.divergence}"


@dataclass(frozen=True)
class ConvertReport(JsonForm, Printed):
    """What a conversion did, and what it cost.

    Attributes:
        model, checkpoint, target: what was converted, and the file written.
        metric: what `loss` counts.
        choice: the harm of each norm alone, and what was tried; None where nothing was chosen.
        measured: the harm of each norm alone, where nothing was chosen but a page was asked for.
        calibration: which norms went, how well they fit, what was centred and refitted.
        stages: in their order; what the last one lost is what the file has lost.
        max_loss: the limit; None where there was none.
        gone_before: norms that the checkpoint had lost already: the losses are against it.
    """

    model: str
    checkpoint: str
    target: str
    metric: str
    choice: Choice | None
    measured: Harm | None
    calibration: Calibration
    stages: tuple[Stage, ...]
    max_loss: float | None = None
    gone_before: tuple[str, ...] = ()
    version: int = 1

    @property
    def harm(self) -> Harm | None:
        """Of each norm alone, where it was measured."""
        return self.measured if self.choice is None else self.choice.harm

    @property
    def judged_by_what_chose(self) -> bool:
        """Whether a score of the user's chose what stays, and the same samples gave the losses."""
        return self.choice is not None and self.loss.outputs is None

    @property
    def loss(self) -> Loss:
        """What the network in the file has lost."""
        return self.stages[-1].loss

    def told(self) -> Iterator[Part]:
        """The harm of each norm, what was tried, what it cost, and where the file is."""
        if self.gone_before:
            yield Words(converted_already(self.checkpoint, len(self.gone_before)), "bad")
        scored = self.loss.outputs is None
        if self.choice is not None:
            yield from self.choice.told("the samples scored" if scored else CHOOSES)
        else:
            if self.measured is not None:
                yield from self.measured.norms_told()
            yield from self.calibration.told()
        if scored:
            chose = ""
            if self.judged_by_what_chose:
                chose = ", which chose what stays too: score it once more on others"
            yield (
                f"The {self.metric}, on the samples of that function{chose}. Whether the fits saw "
                "them, un-deploy cannot know."
            )
            if (beside := self.stages[-1].divergence) is not None:
                yield f"The divergence, on {JUDGES} ({beside.samples})."
        else:
            yield f"On {JUDGES} ({self.loss.samples}), {self.metric}:"
        for stage in self.stages:
            yield from stage.told()
        if self.max_loss is not None:
            yield from self._limit_told(self.max_loss)
        yield f"Wrote {self.target}"

    def _limit_told(self, limit: float) -> Iterator[Part]:
        """What the loss does not say of the limit that it was held against."""
        named = f"{argument('max_loss')} {limit:g}"
        if self.loss.interval is None:
            yield Words(f"One number has no interval: its value alone is within {named}.", "bad")
        elif why := self.loss.why_not_shown(limit):
            yield Words(f"That the loss is within {named} is not shown: {why}.", "bad")


def converted_already(checkpoint: str, norms: int) -> str:
    """That a checkpoint was converted before.

    Args:
        checkpoint: its path.
        norms: how many are gone in it.
    """
    gone = f"{number_of(norms, 'norm')} of it {'is' if norms == 1 else 'are'} gone"
    return (
        f"{checkpoint} is converted already, {gone}: every loss here is against that network, not "
        "against the one with all LayerNorms."
    )
