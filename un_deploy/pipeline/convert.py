"""The whole conversion: from a trained LayerNorm network to a checkpoint with UN, and its price."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from un_deploy.arguments.names import argument
from un_deploy.errors import (
    InputError,
    ThresholdError,
    UnDeployError,
    UnifiedCheckpointError,
    first_line,
    needs,
)
from un_deploy.files import atomic_write_text, check_target
from un_deploy.measure.conversion_page import page
from un_deploy.measure.equality.inputs import load_batches
from un_deploy.measure.report.html import require_packages
from un_deploy.pipeline.convert_report import ConvertReport, Stage, converted_already
from un_deploy.pipeline.export.model_spec import check_form, load_module
from un_deploy.printed import number_of
from un_deploy.python_file import load_object

if TYPE_CHECKING:
    from torch import Tensor, nn

    from un_deploy.conversion import Choice, Harm
    from un_deploy.conversion.batches import Batch
    from un_deploy.conversion.loss import Judge, Loss

LOG = logging.getLogger(__name__)

AUTO = "auto"


def convert(
    model: str,
    target: str | os.PathLike[str],
    *,
    checkpoint: str | os.PathLike[str],
    data: str,
    heldout: str | None = None,
    evaluate: str | None = None,
    padding: str | None = None,
    keep: Sequence[str] = (),
    max_loss: float | None = None,
    refit: bool = True,
    finetune: str | None = None,
    steps: int | None = None,
    learning_rate: float = 1e-3,
    html: str | os.PathLike[str] | None = None,
    tell: Callable[[int, int, float], None] = lambda done, steps, loss: None,
    force: bool = False,
) -> ConvertReport:
    """Convert a trained LayerNorm network to UN, and write its checkpoint.

    Args:
        model: a spec, as `export` takes it; its Python runs as code.
        target: the .pt file to write: the weights, and which norms were put where. `export` and
            `compare` take it as ``checkpoint`` of the same spec.
        checkpoint: of the LayerNorm network.
        data: data.npz or loader.py:function, which gives batches for the fits: each what the model
            is called with, a tensor or an array, a tuple of positional arguments, or a mapping by
            the names of forward's arguments.
        heldout: the same, other samples; None: half of the batches of `data`.
        evaluate: loader.py:function from a module to its score, higher is better: a number, or one
            of each example. None: the divergence of the outputs.
        padding: loader.py:function from a batch to its mask, True where a token is padding.
        keep: patterns of LayerNorms that stay; "auto" among them: as few more as `max_loss` allows.
        max_loss: in the metric's units. With "auto" the upper end of the loss's interval lies below
            it on the samples that choose, and the loss itself on those that judge; without "auto"
            the upper end. A score that is one number has no interval: its value is held against it.
        refit: fit the linear layers beside the norms anew where held-out data says that it helps.
        finetune: batches as `data`, to train on afterwards: the network learns to answer as the
            original does; no labels.
        steps: batches to train on, of `finetune`.
        learning_rate: the largest of that training.
        html: a page to write, which shows what each norm alone costs to lose, as a plot and a
            table; that is measured for it if not for "auto".
        tell: is given the steps trained, those in all, and the loss.
        force: replace a target, or a page, that is there.

    Raises:
        InputError: something cannot be read, the network does not take the data, or has no
            LayerNorm to convert; or `max_loss` is finer than so many samples can show.
        TargetError: the target or the page exists or cannot be written.
        ThresholdError: the loss is above `max_loss`; no target is written, but the page, which
            says why.
        MissingPackageError: torch is not installed, or for the page plotly or Jinja2.
    """
    started = time.monotonic()
    target = Path(target)
    check_target(target, force=force)
    if html is not None:
        require_packages()
        check_target(html, force=force)
    if target.suffix != ".pt":
        raise InputError(f"{target}: the converted checkpoint is a .pt file")
    patterns = [pattern for pattern in keep if pattern != AUTO]
    auto = len(patterns) != len(keep)
    if auto and max_loss is None:
        raise InputError(
            f"{argument('keep')} auto needs {argument('max_loss')}, what the conversion may cost"
        )
    if max_loss is not None and math.isnan(max_loss):
        raise InputError(f"{argument('max_loss')} is no number")
    if not 0 < learning_rate < math.inf:
        raise InputError(f"{argument('learning_rate')} must be above 0, not {learning_rate}")
    if (finetune is None) != (steps is None):
        raise InputError(
            f"{argument('finetune')} and {argument('steps')} go together: what to train on, and "
            "how long"
        )
    check_form(model)
    with needs("torch"):
        from un_deploy.conversion import calibrate, choose, measure
        from un_deploy.conversion.converted_file import recorded_norms, save_converted
        from un_deploy.conversion.loss import Judge
        from un_deploy.conversion.training.distillation import distil
        from un_deploy.nn import freeze_statistics

    original = _original(model, Path(checkpoint))
    if gone := tuple(recorded_norms(checkpoint)):
        LOG.warning("%s", converted_already(str(checkpoint), len(gone)))
    fits, choosing, judging = _split(_batches(data), None if heldout is None else _batches(heldout))
    score = None if evaluate is None else _function(evaluate)
    masks = None if padding is None else partial(_mask, _function(padding), padding)
    metric = None if evaluate is None else f"loss of {evaluate}"
    judge = Judge(original, judging, score, metric)
    beside: Judge | None = None
    if score is not None:
        with suppress(InputError):  # classes, say, have no divergence: the score is the metric
            beside = Judge(original, judging)
    if max_loss is not None:
        judge.require_samples(max_loss)
    converted = deepcopy(original)
    refits = choosing if refit else None
    choice: Choice | None = None
    measured: Harm | None = None
    if html is not None and not auto:
        measured = measure(
            original,
            fits,
            heldout=choosing,
            evaluate=score,
            metric=metric,
            keep=patterns,
            padding=masks,
        )
        atomic_write_text(html, page(measured, model), force=force)
    if auto:
        LOG.info("Choosing the norms that stay")
        assert max_loss is not None
        choice = choose(
            converted,
            fits,
            choosing,
            max_loss=max_loss,
            evaluate=score,
            metric=metric,
            keep=patterns,
            padding=masks,
            refit=refits,
        )
        if html is not None:
            atomic_write_text(html, page(choice.harm, model, choice.trials), force=force)
        calibration = choice.calibration
        if calibration is None:
            raise ThresholdError(
                f"not one LayerNorm can go within {argument('max_loss')} {max_loss:g}: "
                f"{choice.why_all_stay}"
            )
    else:
        LOG.info("Fitting the norms")
        calibration = calibrate(converted, fits, heldout=refits, keep=patterns, padding=masks)
    LOG.info("Judging what it costs")
    stages = [_stage("calibrated", started, converted, judge, beside)]
    if finetune is not None:
        assert steps is not None
        LOG.info("Training for %d steps", steps)
        started = time.monotonic()
        freeze_statistics(converted)
        rounds = _batches(finetune)
        distil(converted, original, rounds, steps, learning_rate=learning_rate, tell=tell)
        stages.append(_stage("trained", started, converted, judge, beside))
    if max_loss is not None:
        _hold(stages[-1].loss, max_loss, judge.metric, chosen=auto)
    LOG.info("Writing %s", target)
    save_converted(converted, target, original, force=force)
    return ConvertReport(
        model,
        str(checkpoint),
        str(target),
        judge.metric,
        choice,
        measured,
        calibration,
        tuple(stages),
        max_loss,
        gone,
    )


def _original(model: str, checkpoint: Path) -> nn.Module:
    """The LayerNorm network with its weights; norms in it that are UN have their statistics."""
    from un_deploy.nn.networks.checkpoint import never_updated

    try:
        original = load_module(model, checkpoint=checkpoint, norm=None, untrained=True)
    except UnifiedCheckpointError as error:
        raise InputError(
            f"{checkpoint} is of a network with Unified Normalization, whose statistics it holds: "
            f"give the checkpoint of the one with LayerNorms, as {model} builds it"
        ) from error
    if never := never_updated(original):
        raise InputError(
            f"{model} builds Unified Normalizations, and {checkpoint} does not fill them: {never}; "
            "let it build the LayerNorms that the checkpoint was trained with"
        )
    return original


def _stage(
    name: Literal["calibrated", "trained"],
    started: float,
    model: nn.Module,
    judge: Judge,
    beside: Judge | None,
) -> Stage:
    took = time.monotonic() - started
    divergence = None if beside is None else beside.loss(model)
    return Stage(name, judge.loss(model), took, divergence)


def _hold(loss: Loss, max_loss: float, metric: str, *, chosen: bool) -> None:
    """Hold a loss against its limit.

    Where norms were chosen, the upper end has decided on the samples that chose, and the value
    decides on those that judge: the choice lies so near to the limit that half of all upper ends
    would be above it there.

    Raises:
        ThresholdError: it is above, or not shown to be below.
    """
    limit = f"{argument('max_loss')} {max_loss:g}"
    if loss.value > max_loss:
        raise ThresholdError(
            f"the {metric} is {loss}, above {limit}: keep more norms ({argument('keep')} auto "
            "chooses them), or train on"
        )
    if not chosen and (why := loss.why_not_shown(max_loss)):
        raise ThresholdError(f"the {metric} is {loss}, not shown to be below {limit}: {why}")


def _batches(source: str) -> list[Batch]:
    from un_deploy.conversion.batches import of_arrays

    return [of_arrays(batch, source) for batch in load_batches(source)]


def _function(spec: str) -> Callable[[Any], Any]:
    """A function of the user's, whose errors are told in one line.

    Raises:
        InputError: it is none; later, whatever it raises itself.
    """
    found = load_object(spec)
    if not callable(found):
        raise InputError(f"{spec} is {type(found).__name__}, not a function")

    def called(given: Any) -> Any:
        try:
            return found(given)
        except UnDeployError:
            raise
        except Exception as error:
            raise InputError(f"{spec} fails: {first_line(error)}") from error

    return called


def _split(
    data: list[Batch], heldout: list[Batch] | None
) -> tuple[list[Batch], list[Batch], list[Batch]]:
    """For the fits, for choosing and for judging: no batch serves two of them."""
    if heldout is None:
        if len(data) < 4:
            raise InputError(
                f"{argument('data')} gives {number_of(len(data), 'batch', 'batches')}: give at "
                f"least four, or {argument('heldout')} with two, so that what is fitted, what "
                "chooses and what judges are different samples"
            )
        return (
            [batch for number, batch in enumerate(data) if number % 4 < 2],
            data[2::4],
            data[3::4],
        )
    if len(heldout) < 2:
        raise InputError(
            f"{argument('heldout')} gives one batch: give two, one that chooses and one that judges"
        )
    return data, heldout[0::2], heldout[1::2]


def _mask(padding: Any, spec: str, batch: Batch) -> Tensor:
    import torch

    mask = torch.as_tensor(padding(batch))
    if mask.dtype != torch.bool:
        raise InputError(f"{spec} gives {mask.dtype}; a padding mask is bool, True on padding")
    return mask
