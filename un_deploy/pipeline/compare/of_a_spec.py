"""Options of a comparison that are of a model spec: with files they would be ignored."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.measure.speed.variant import BASELINES
from un_deploy.pipeline.export.forward import Axes
from un_deploy.pipeline.export.norm_names import Norm
from un_deploy.pipeline.export.torch_to_onnx import Exporter

PathLike = str | os.PathLike[str]


def refuse_with_files(
    norms: Collection[Norm] | None,
    checkpoints: Mapping[Norm, PathLike] | None,
    dynamic: bool,
    dynamic_axes: Axes | None,
    exporter: Exporter,
) -> None:
    """Refuse the first that was given.

    Raises:
        InputError: one of them was given.
    """
    given = {
        argument("norms"): norms is not None,
        checkpoint_option(checkpoints): bool(checkpoints),
        argument("dynamic", False): not dynamic,
        argument("dynamic_axes"): bool(dynamic_axes),
        argument("exporter"): exporter != "dynamo",
    }
    for option, is_given in given.items():
        if is_given:
            raise InputError(f"{option} is of a model spec: files are what they are")


def check_norms(norms: Collection[Norm]) -> None:
    """Refuse norms that nothing would be compared with.

    Raises:
        InputError: none of them gives LN, UN or no norm, which the others are held against.
    """
    if set(norms) <= set(BASELINES):
        raise InputError(
            f"{argument('norms')} {','.join(norms)} leaves nothing to compare with: name un, none "
            "or ln too"
        )


def checkpoint_option(norms: Collection[Norm] | None) -> str:
    """The option of the first of some checkpoints."""
    return argument("checkpoints['ln']" if "ln" in (norms or ()) else "checkpoints")
