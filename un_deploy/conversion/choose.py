"""Chooses which LayerNorms stay: as few as keep the loss on held-out data below a limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

from torch import nn

from un_deploy.conversion import batches as of_data
from un_deploy.conversion.batches import Batches, Padding
from un_deploy.conversion.calibrate import Calibration, become, calibrate
from un_deploy.conversion.loss import Evaluate, Judge, Loss
from un_deploy.conversion.measure import Harm, measure
from un_deploy.json_form import JsonForm
from un_deploy.printed import Part, Printed


@dataclass(frozen=True)
class Trial(JsonForm):
    """One choice that was tried: the norms kept, and what the rest cost to lose together."""

    kept: tuple[str, ...]
    loss: Loss


@dataclass(frozen=True)
class Choice(JsonForm, Printed):
    """What `choose` did.

    Attributes:
        metric: what the losses count.
        max_loss: the limit.
        kept: LayerNorms that stay, the most harmful first.
        loss: of the model as it is now, on the held-out data.
        trials: every choice tried, in the order of trying.
        harm: of each norm alone.
        calibration: of the model as it is now; None where every norm stays.
    """

    metric: str
    max_loss: float
    kept: tuple[str, ...]
    loss: Loss
    trials: tuple[Trial, ...]
    harm: Harm
    calibration: Calibration | None

    def told(self, where: str = "the samples that choose") -> Iterator[Part]:
        """What each norm alone costs, what was tried, and what became of it.

        Args:
            where: what the trials were judged on.
        """
        yield from self.harm.norms_told()
        if self.trials and self.trials[0].loss.interval is None:
            yield f"By one number, {self.metric}:"
        elif self.trials:
            yield f"On {where} ({self.trials[0].loss.samples}), {self.metric}:"
        for trial in self.trials:
            yield f"  With {len(trial.kept)} kept the rest costs {trial.loss}."
        if self.trials and self.trials[-1].loss.interval is None:
            yield "One number has no interval: its value alone chose. Give one of each example."
        if self.calibration is None:
            yield f"Every norm stays: {self.why_all_stay}."
        else:
            yield from self.calibration.told(self.kept)

    @property
    def why_all_stay(self) -> str:
        """Why not one norm could go."""
        least = self.trials[-1].loss
        why = least.why_not_shown(self.max_loss)
        return f"where {self.kept[-1]} alone goes, the loss is {least}" + (
            f"; {why}" if why else ""
        )


def choose(
    model: nn.Module,
    data: Batches,
    heldout: Batches,
    *,
    max_loss: float,
    evaluate: Evaluate | None = None,
    metric: str | None = None,
    keep: str | Sequence[str] = (),
    padding: Padding | None = None,
    refit: Batches | None = None,
) -> Choice:
    """Calibrate the model in place with as few LayerNorms kept as the limit allows.

    The norms are kept in the order of their harm alone, the most harmful first: greedily, one
    more as long as the upper end of the interval of all others' loss together is above the limit.
    A score that is one number has no interval: its value alone chooses.

    Args:
        model: a trained network.
        data: batches for the fits.
        heldout: batches that the fits do not see; the harm and the loss are measured on them.
        max_loss: in the metric's units.
        evaluate: scores a model, higher is better, on data that `data` does not hold; without it
            the metric is the largest divergence of an output on `heldout`.
        metric: the name of that score.
        keep: patterns of norms that stay in any case.
        padding: from a batch to its mask, True where a token is padding.
        refit: batches that decide whether linear layers are fitted anew; without, none is.

    Returns:
        What stays, what it costs, and all that was tried.

    Raises:
        InputError: the model does not take the data, or has no LayerNorm to convert; or the limit
            is finer than so many examples, scored right or wrong, can show.
    """
    of_data.check(heldout, "heldout")
    judge = Judge(model, heldout, evaluate, metric)
    judge.require_samples(max_loss)
    harm = measure(
        model,
        data,
        heldout=heldout,
        evaluate=evaluate,
        metric=metric,
        keep=keep,
        padding=padding,
    )
    named = [keep] if isinstance(keep, str) else list(keep)
    worst = harm.ordered[::-1]
    trials: list[Trial] = []
    for count in range(len(worst)):
        trial = deepcopy(model)
        kept = worst[:count]
        calibration = calibrate(trial, data, heldout=refit, keep=[*named, *kept], padding=padding)
        trials.append(Trial(kept, judge.loss(trial)))
        if trials[-1].loss.most <= max_loss:
            become(model, trial, list(calibration.converted))
            return Choice(
                judge.metric, max_loss, kept, trials[-1].loss, tuple(trials), harm, calibration
            )
    nothing = Loss(0.0, (0.0, 0.0))  # known, not estimated: the model is what it was
    return Choice(judge.metric, max_loss, worst, nothing, tuple(trials), harm, None)
