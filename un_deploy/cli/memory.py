"""Warns before a command starts that the memory there is will not do; it is never refused."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from copy import copy
from functools import wraps
from typing import Any

import click

from un_deploy.cli.overwriting import Reads, model_files
from un_deploy.cli.progress import LOGGER
from un_deploy.memory_needs import shortage


def warned(command: click.Command, name: str) -> click.Command:
    """The command of this name, which says first where it is likely to need more than is free."""
    run = command.callback
    assert run is not None  # a command of this program is a function

    @wraps(run)
    def checked(*arguments: Any, **values: Any) -> Any:
        if said := shortage(name, _sizes(command, values)):
            LOGGER.warning(said)
        return run(*arguments, **values)

    command = copy(command)
    command.callback = checked
    return command


def _sizes(command: click.Command, values: dict[str, Any]) -> Iterable[int]:
    """Of each ONNX file that is read, with its weights, and of a checkpoint."""
    for one in command.params:
        path = values.get(one.name or "")
        if path is None or not isinstance(one.type, Reads):
            continue
        if one.type.files is model_files or one.name == "checkpoint":
            with suppress(OSError):  # for the command to say
                yield sum(file.stat().st_size for file in one.type.files(path))
