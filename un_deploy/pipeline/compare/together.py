"""Options of a comparison that do not go together, refused before a file is read.

It imports nothing large, so that the command line can ask it first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from un_deploy.arguments.exclusive import refuse_sizes_of_inputs
from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.measure.speed.variant import BASELINES, Kind
from un_deploy.pipeline.export.norm_names import Norm

if TYPE_CHECKING:
    from un_deploy.pipeline.export.forward import Axes
    from un_deploy.pipeline.export.torch_to_onnx import Exporter

BATCH = "batch"
"""The name that exporters are given for the dimension of the batch."""

OF_A_SPEC: tuple[Norm, ...] = ("ln", "un")
"""The norms that a model spec is exported with unless others are named."""


def check_together(
    *,
    norms: Collection[Norm] | None,
    checkpoints: Collection[Norm],
    files: Collection[Kind],
    dynamic: bool,
    dynamic_axes: Axes | None,
    exporter: Exporter,
    engines: bool,
    flavor: str,
    keep: Collection[str],
    inputs: object,
    dims: Mapping[str, int] | None,
    shapes: object,
    batches: Sequence[int],
) -> None:
    """Refuse what would be ignored, or leaves nothing to compare.

    Args:
        checkpoints, files: those that are given, by norm and by variant; the others as in
            `un_deploy.compare`.

    Raises:
        InputError: names the option.
    """
    if files:
        _refuse_with_files(norms, checkpoints, dynamic, dynamic_axes, exporter)
    norms = OF_A_SPEC if norms is None else norms
    if set(norms) <= set(BASELINES):
        raise InputError(
            f"{argument('norms')} {','.join(norms)} leaves nothing to compare with: name un, none "
            "or ln too"
        )
    if unused := set(checkpoints) - set(norms):
        left = f"a network that {argument('norms')} {','.join(norms)} leaves out"
        raise InputError(f"{_checkpoint(unused)} is of {left}")
    if flavor != "auto" and not engines:
        raise InputError(
            f"{argument('flavor')} is of the engines of {argument('engines', True)}: give that "
            "with it"
        )
    if keep and "unfolded" not in files and (files or "un" not in norms):
        refuse_keep()
    refuse_sizes_of_inputs(inputs, dims=dims, shapes=shapes, batches=batches)
    refuse_batch_twice(dims, batches)


def refuse_batch_twice(dims: Mapping[str, int] | None, batches: Sequence[int]) -> None:
    """Sizes of the batch are one, or several.

    Raises:
        InputError: it is among the dimensions too.
    """
    if batches and dims and BATCH in dims:
        raise InputError(f"the size of {BATCH} is given twice, as a dimension and as batch sizes")


def of_another_norm(norm: Norm, checkpoints: Mapping[Norm, object]) -> InputError:
    """What to say where the checkpoint of a norm other than UN holds statistics of UN.

    Args:
        norm: what it was given for.
        checkpoints: all that are given, by norm.
    """
    text = (
        f"{_of(norm)} {checkpoints[norm]} is of a network with Unified Normalization, whose "
        "statistics it holds: "
    )
    if "un" in checkpoints:
        return InputError(f"{text}it and {_of('un')} {checkpoints['un']} may be swapped")
    return InputError(f"{text}give it as {_of('un')}")


def refuse_keep() -> None:
    """Say that there is nothing to fold.

    Raises:
        InputError: always.
    """
    raise InputError(
        f"{argument('keep')} is of a fold, and no graph of UN unfolded is there to fold"
    )


def _refuse_with_files(
    norms: Collection[Norm] | None,
    checkpoints: Collection[Norm],
    dynamic: bool,
    dynamic_axes: Axes | None,
    exporter: Exporter,
) -> None:
    """Refuse the first option that is of a model spec: with files it would be ignored."""
    given = {
        argument("norms"): norms is not None,
        _checkpoint(checkpoints): bool(checkpoints),
        argument("dynamic", False): not dynamic,
        argument("dynamic_axes"): bool(dynamic_axes),
        argument("exporter"): exporter != "dynamo",
    }
    for option, is_given in given.items():
        if is_given:
            raise InputError(f"{option} is of a model spec: files are what they are")


def _checkpoint(norms: Collection[Norm]) -> str:
    """The option of the first of some checkpoints."""
    return _of("ln") if "ln" in norms else argument("checkpoints")


def _of(norm: Norm) -> str:
    """The option of the checkpoint of a norm; those of other norms are given in Python alone."""
    return argument(f"checkpoints[{norm!r}]")
