"""Loads an object from the user's Python: FILE.py:name or package.module:name."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from un_deploy.errors import InputError, first_line


def load_object(spec: str) -> Any:
    """The object that a spec names; the Python behind it runs as code.

    Args:
        spec: ``FILE.py:name`` (a path, relative to the working directory) or
            ``package.module:name``. A file is read anew at every call and may import what lies
            beside it; a module is imported as usual, from the working directory too.

    Raises:
        InputError: the spec has no ``:name``, there is no such file, module or name, or the
            Python fails while it is imported.
    """
    where, name = split_spec(spec)
    module = _run_file(Path(where)) if where.endswith(".py") else _import_module(where)
    try:
        return getattr(module, name)
    except AttributeError as error:
        public = sorted(found for found in vars(module) if not found.startswith("_"))
        raise InputError(
            f"{where}: no object named {name!r}; it has {', '.join(public) or 'no public names'}"
        ) from error


def split_spec(spec: str) -> tuple[str, str]:
    """``"FILE.py:name"`` -> ``("FILE.py", "name")``, cut at the last colon.

    Raises:
        InputError: either part is missing.
    """
    where, _, name = spec.rpartition(":")
    if not where or not name.isidentifier():
        raise InputError(f"{spec!r} names no Python object; write FILE.py:name or module:name")
    return where, name


def _run_file(path: Path) -> ModuleType:
    """Run a file as a module of its own.

    It is compiled from its source at every call: cached bytecode goes by the second, and would
    miss an edit made within one.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    module = ModuleType(f"from_file_{path.stem}")
    module.__file__ = str(path)
    # Dataclasses, pickle and torch look a class's module up by name.
    sys.modules[module.__name__] = module
    try:
        with _importable_from(path.parent):
            exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise InputError(f"{_failing_line(path, error)}: {first_line(error)}") from error
    return module


def _import_module(name: str) -> ModuleType:
    try:
        with _importable_from(Path.cwd()):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise InputError(f"module {name}: {first_line(error)}") from error
        raise InputError(f"there is no module {name}; for a file, write FILE.py:name") from error
    except (Exception, SystemExit) as error:
        raise InputError(f"module {name}: {first_line(error)}") from error


@contextmanager
def _importable_from(folder: Path) -> Iterator[None]:
    """Let imports find what lies in a folder, as ``python FILE.py`` would."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:  # the code that ran may have changed it
            sys.path.remove(entry)


def _failing_line(path: Path, error: BaseException) -> str:
    """``"FILE.py:12"``, the file's own line that led to the error."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)
