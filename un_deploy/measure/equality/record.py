"""Which files a verdict is about, so that one which was kept can be matched with files later.

And what its sentences call the two networks.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from un_deploy.engines.plan.manifest import file_sha256
from un_deploy.errors import InputError
from un_deploy.graph.model.file_tensor import State, file_state
from un_deploy.graph.model.model_file import weights_files
from un_deploy.graph.model.model_kinds import name_of
from un_deploy.graph.proof.proof import Problem
from un_deploy.version import __version__

#: What is quoted is a name of the user's, and stays.
_ROLES = re.compile(r"(?<!\w)'[^']*'|\bthe (original|other network|fold)\b")


@dataclass(frozen=True)
class Called:
    """What the sentences of a verdict call its networks.

    Who finds a difference knows them by what they are to each other: "the original", "the fold",
    which was made of the original to hold something against it, and "the other network", which was
    held against it. Here, and nowhere else, these get the names that the reader knows.

    Attributes:
        original, other: of the two networks.
        fold: of what is made of the original.
    """

    original: str
    other: str
    fold: str

    @classmethod
    def of(cls, first: str | None, second: str | None) -> Called:
        """The names of two files, without their folders where that tells them apart.

        Args:
            first, second: their paths; None: a model in memory.
        """
        names = [None if path is None else Path(path).name for path in (first, second)]
        if names[0] == names[1]:
            names = [first, second] if first != second else [None, None]
        original, other = names[0] or "the first network", names[1] or "the second network"
        return cls(original, other, _fold(original))

    def turned(self) -> Called:
        """Where the second network is the original."""
        return Called(self.other, self.original, _fold(self.other))

    def said(self, text: str) -> str:
        """The text with these names in it."""
        names = {"original": self.original, "other network": self.other, "fold": self.fold}
        return _ROLES.sub(lambda found: names[found[1]] if found[1] else found[0], text)

    def placed(self, problem: Problem, owner: str) -> Problem:
        """A problem whose text is a clause about its place, as the proof has it, as a sentence.

        Args:
            owner: whose the place is.
        """
        place = problem.place if problem.place.startswith("the ") else repr(problem.place)
        return replace(problem, text=f"{place} of {owner} {self.said(problem.text)}")


def _fold(original: str) -> str:
    return f"un-deploy's fold of {original}"


#: In the report of a fold, which has no other network.
OF_A_FOLD = Called("the original", "the fold", "the fold")


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

    @property
    def called(self) -> Called:
        """What the two networks are called; of two files."""
        first, second = (one.name if one.sha256 else None for one in self.files)
        return Called.of(first, second)

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

    @property
    def called(self) -> Called:
        """What the two models are called."""
        first, second = (one.name if one.file else None for one in self._watched)
        return Called.of(first, second)

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
