"""One part of a model that runs in several: an encoder, the first step, a step with a cache."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from un_deploy.errors import InputError, first_line

if TYPE_CHECKING:
    from torch import nn


def part_of(module: nn.Module, name: str) -> nn.Module:
    """The part of this name.

    A module says itself what its parts are, in a method ``parts() -> dict[str, nn.Module]``
    (models/nmt.py has one); those of a transformers model that generates are known, see
    `un_deploy.pipeline.export.transformers_parts`.

    Raises:
        InputError: the model has no parts, or none of this name, or its method fails.
    """
    from un_deploy.pipeline.export.transformers_parts import generates, transformers_parts

    kind = type(module).__name__
    parts: Callable[[], Mapping[str, nn.Module]] | None = getattr(module, "parts", None)
    if inspect.isroutine(parts):
        try:
            found = parts()
        except Exception as error:
            raise InputError(f"{kind}.parts() fails: {first_line(error)}") from error
    elif generates(module):
        found = transformers_parts(module)
    else:
        raise InputError(
            f"{kind} has no parts: give a model with a method parts(), or one of transformers that "
            "generates text"
        )
    if name not in found:
        raise InputError(f"{kind} has no part {name!r}, only {', '.join(found)}")
    return found[name]
