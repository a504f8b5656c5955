"""Which files a verdict is about, so that one which was kept can be matched with files later."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from un_deploy.engines.plan.manifest import file_sha256
from un_deploy.errors import InputError
from un_deploy.graph.model.file_tensor import State, file_state
from un_deploy.graph.model.model_file import weights_files
from un_deploy.graph.model.model_kinds import name_of
from un_deploy.version import __version__


@dataclass(frozen=True)
class HashedFile:
    """A model's file, as it was when it was read or written.

    Attributes:
        name: as it was given.
        sha256: in hexadecimal; "" of a model in memory.
        weights: the SHA-256 of each weights file, by the name that the model has for it.
    """

    name: str
    sha256: str
    weights: dict[str, str]


@dataclass(frozen=True)
class Record:
    """What a verdict is about.

    Attributes:
        date: as the work began, in UTC and ISO 8601.
        un_deploy: the version that did it.
        files: the original, then the other one; a fold that wrote nothing has the first alone.
    """

    date: str
    un_deploy: str
    files: tuple[HashedFile, ...]

    def and_file(self, path: str | os.PathLike[str]) -> Record:
        """The same with one more file, which was just written.

        Raises:
            InputError: it cannot be read.
        """
        return replace(self, files=(*self.files, _Watched(path).hashed()))


class Recorder:
    """Looks at files before they are read, and hashes them when all is done.

    A file that was written to meanwhile is not the one that the verdict is about, and is refused.

    Args:
        models: paths, or models in memory, which are named alone.
    """

    def __init__(self, *models: Any) -> None:
        self._date = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._watched = [_Watched(model) for model in models]

    def record(self) -> Record:
        """Which files these are.

        Raises:
            InputError: one was written to since this was made, or cannot be read.
        """
        return Record(self._date, __version__, tuple(one.hashed() for one in self._watched))


class _Watched:
    """One model and its files."""

    def __init__(self, model: Any) -> None:
        self.name = name_of(model)
        self.file = Path(model) if isinstance(model, str | os.PathLike) else None
        self.weights: dict[str, Path] = {}
        self.before: list[State] = []
        if self.file is not None:
            try:
                first = file_state(self.file.stat())  # before it says where its weights are
                self.weights = weights_files(self.file)
                self.before = [first, *self._states(self.file)[1:]]
            except (InputError, OSError):
                return  # who reads the model says better what is wrong

    def _states(self, file: Path) -> list[State]:
        return [file_state(one.stat()) for one in (file, *self.weights.values())]

    def hashed(self) -> HashedFile:
        if self.file is None:
            return HashedFile(self.name, "", {})
        found = HashedFile(
            self.name,
            file_sha256(self.file),
            {place: file_sha256(file) for place, file in self.weights.items()},
        )
        try:
            now = self._states(self.file)
        except OSError as error:
            raise InputError(f"{self.file} cannot be read: {error.strerror or error}") from error
        if now != self.before:
            raise InputError(
                f"{self.file} or a weights file of it has changed since it was read: start again "
                "when nothing writes it any more"
            )
        return found
