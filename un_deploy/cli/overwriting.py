"""The paths of a command, looked at before it runs: one check for all commands.

No command writes over what it reads, not even with --force. What is there already, or is missing,
is said before anything large is imported. The type of each option that takes a path says whether
the command reads or writes there, and which files go with it. To save over an input, write beside
it and rename.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Any

import click

from un_deploy.errors import InputError, TargetError
from un_deploy.files import check_target


def _itself(path: Path) -> Iterable[Path]:
    return (path,)


class Reads(click.Path):
    """A path that a command reads; `files` gives all files that are read for it."""

    def __init__(self, files: Callable[[Any], Iterable[Path]] = _itself, path_type: type = Path):
        super().__init__(path_type=path_type)
        self.files = files

    def own(self, value: Any) -> Iterable[Path]:
        """The files that the value itself names."""
        if isinstance(value, tuple):
            return value
        return python_files(value) if self.files is python_files else (Path(value),)

    def missing(self, value: Any) -> Path | None:
        """What the value names and is not there. Other forms of a spec are for the command."""
        if isinstance(value, tuple):  # an argument that takes several
            return next(filter(None, map(self.missing, value)), None)
        path = Path(value)
        if self.files is python_files and path.suffix != ".npz":
            path = Path(value.rpartition(":")[0])
            if path.suffix != ".py" or path.parts[0] == "models":  # which come with the package
                return None
        return None if path.exists() else path


def _is_free(path: Path, values: dict[str, Any]) -> None:
    check_target(path, force=values.get("force", False))


def anything(path: Path, values: dict[str, Any]) -> None:
    """No check: of a file that may be there, and is read or added to."""


class Writes(click.Path):
    """A path that a command writes.

    `files` gives all files that are replaced for it, from the path and the values of all options;
    with `folder`, those of them that are folders are replaced with all that they hold. `check`
    raises a TargetError where nothing can be written there.
    """

    def __init__(
        self,
        files: Callable[[Path, dict[str, Any]], Iterable[Path]] = lambda path, _: (path,),
        folder: bool = False,
        check: Callable[[Path, dict[str, Any]], None] = _is_free,
    ):
        super().__init__(path_type=Path)
        self.files, self.folder, self.check = files, folder, check


def model_files(path: Path) -> Iterator[Path]:
    """An ONNX file and its weights files, or a plan and its manifest."""
    from un_deploy.engines.plan.header import is_plan
    from un_deploy.engines.plan.manifest import manifest_path
    from un_deploy.graph.model.model_file import weights_files

    yield path
    if is_plan(path):
        yield manifest_path(path)
    else:
        with suppress(InputError):  # for the command to say, which loads it with every check
            yield from weights_files(path).values()


def python_files(spec: str) -> Iterator[Path]:
    """The file of FILE.py:name, or of package.module:name here; or the file itself, data.npz; or
    what lies in a folder."""
    where = spec.rpartition(":")[0]
    if Path(spec).is_dir():
        yield from Path(spec).iterdir()
    elif where.endswith(".py"):
        yield Path(where)
    elif where:
        yield Path(*where.split(".")).with_suffix(".py")
    else:
        yield Path(spec)


def onnx_target(path: Path, _: dict[str, Any]) -> tuple[Path, ...]:
    """What saving a model replaces: its file, and the weights beside it."""
    from un_deploy.graph.model.model_file import data_path

    return path, data_path(path)


def plan_target(path: Path, _: dict[str, Any]) -> tuple[Path, ...]:
    """What a build replaces: the plan, and its manifest."""
    from un_deploy.engines.plan.manifest import manifest_path

    return path, manifest_path(path)


def guarded(command: click.Command) -> click.Command:
    """The command, which looks at its paths before anything else.

    It raises a TargetError where it would write over what it reads, or over anything without
    --force; an InputError where an input is missing; and a click.UsageError where two options write
    to the same file.
    """
    run = command.callback
    assert run is not None  # a command of this program is a function

    @wraps(run)
    def checked(*arguments: Any, **values: Any) -> Any:
        _check(command, values, whole=False)
        _check_places(command, values)
        _check(command, values, whole=True)
        return run(*arguments, **values)

    command = copy(command)
    command.callback = checked
    return command


def _check_places(command: click.Command, values: dict[str, Any]) -> None:
    """Where a target is, and whether an input is there at all."""
    given = [(one, one.type, values.get(one.name or "")) for one in command.params]
    for _, kind, value in given:
        if isinstance(kind, Writes) and value is not None and not values.get("force"):
            kind.check(value, values)
    for option, kind, value in given:
        if isinstance(kind, Reads) and value is not None and (path := kind.missing(value)):
            cure = "build it with un-deploy build" if path.suffix == ".plan" else "check the name"
            of = f" ({_name(option)})" if isinstance(option, click.Option) else ""
            raise InputError(f"{path} does not exist: {cure}{of}")


def _check(command: click.Command, values: dict[str, Any], *, whole: bool) -> None:
    """Compare what is read with what is written; not `whole`: by what the options name alone.

    Which weights lie beside a model is in the model, and reading it takes its time.
    """
    given = [(one, one.type, values.get(one.name or "")) for one in command.params]
    written: list[tuple[click.Parameter, Writes, Path]] = []
    for option, kind, value in given:
        if isinstance(kind, Writes) and value is not None:
            files = tuple(kind.files(value, values)) if whole or kind.folder else (value,)
            for other, _, there in written:
                if any(_same(file, there) for file in files):
                    raise click.UsageError(f"{_name(other)} and {_name(option)} name the same file")
            written += [(option, kind, file) for file in files]
    replaced = [one for one in written if os.path.lexists(one[-1])]
    if not replaced:
        return  # what is not there is no input, whose other files need not be looked for
    for reader, kind, value in given:
        if not isinstance(kind, Reads) or value is None:
            continue
        for file in kind.files(value) if whole else kind.own(value):
            for option, target_kind, target in replaced:
                if _same(file, target) or (target_kind.folder and _inside(file, target)):
                    raise TargetError(
                        f"{_name(option)} {values[option.name or '']} would write over {file}, "
                        f"which is read for {_name(reader)}: name another place"
                    )


def _name(option: click.Parameter) -> str:
    """As users know it: an option by its first spelling, an argument by its place in the help."""
    return option.opts[0] if isinstance(option, click.Option) else option.human_readable_name


def _same(first: Path, second: Path) -> bool:
    """Whether two paths are one file, by whatever names, or would be."""
    try:
        return first.samefile(second)
    except OSError:  # one of them is not there
        return os.path.realpath(first) == os.path.realpath(second)


def _inside(file: Path, folder: Path) -> bool:
    """Whether a file, or a link to it, lies in a folder."""
    paths = {Path(os.path.realpath(file)), file.absolute()}
    return any(_same(parent, folder) for path in paths for parent in path.parents)
