"""A tensor in a weights file: where such a file may lie, and that it stays as it is."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError

State = tuple[int, int, int, int]
"""Which file it is, how long, and of when."""


class FileTensor(ir.ExternalTensor):
    """A tensor in a weights file, which is in memory only as long as somebody holds its array.

    A weights file lies in the model's folder, under a name of its own. Where the model file is a
    link, as in the cache of the Hugging Face hub, the folder of the file that it leads to will do:
    that is where the model's weights would lie were it opened by that name. Nothing else is read,
    whatever links there are, so that a model from a stranger reads no other file of the user's.

    Args:
        tensor: what the model says.
        origin: what messages call the model.
        home: the file that the model was read from; None: not known.

    Raises:
        InputError: the file is not there, not long enough, lies elsewhere, or is no regular file;
            when it is read: it has changed since.
    """

    __slots__ = ("_home", "_origin", "_seen")
    _origin: str
    _home: Path | None
    _seen: State

    def __init__(self, tensor: ir.ExternalTensor, origin: str, home: Path | None = None) -> None:
        super().__init__(
            tensor.location,
            tensor.offset,
            tensor.length,
            tensor.dtype,
            shape=tensor.shape,
            name=tensor.name,
            base_dir=tensor.base_dir,
        )
        if isinstance(tensor, FileTensor):  # which was checked, and is to find the same file
            self._origin, self._home, self._seen = tensor._origin, tensor._home, tensor._seen
            return
        self._origin, self._home = origin, home
        self._seen = self._checked()

    def numpy(self) -> np.ndarray:
        """The tensor, mapped from its file."""
        self.require_unchanged()
        array = super().numpy()
        self._array = self.raw = None
        return array

    def tobytes(self) -> bytes:
        """The bytes of the file that are the tensor's."""
        self.require_unchanged()
        data = super().tobytes()
        self._array = self.raw = None
        return data

    def tofile(self, file: Any) -> None:
        """Write these bytes to a file."""
        self.require_unchanged()
        try:
            super().tofile(file)
        finally:
            self.require_unchanged()

    def require_unchanged(self) -> None:
        """Hold the file against what it was when the model was loaded.

        Raises:
            InputError: it is another one, or was written to; or it cannot be read.
        """
        what = f"the weights file {self.path} of {self._origin}"
        try:
            now = file_state(Path(self.path).stat())
        except OSError as error:
            raise InputError(f"{what} cannot be read: {error.strerror or error}") from error
        if now != self._seen:
            raise InputError(
                f"{what} has changed since the model was loaded: start again when nothing writes "
                f"it any more"
            )

    def _check_path_containment(self) -> None:
        """Stricter than onnx-ir's own, and done when this was made: see `_check_place`."""

    def _checked(self) -> State:
        """Check where the file lies, that it may be read, and that it is long enough."""
        file, name = Path(self.path), str(self.name)
        needs = f"{self._origin} needs the weights file {self.location} for {name!r}, which"
        try:
            found = file.stat()
        except (OSError, ValueError) as error:
            raise InputError(f"{needs} is not at {file}: put it there") from error
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{needs} is no regular file: put a file of weights there")
        self._check_place(file, found.st_nlink)
        length = self.nbytes if self.length is None else self.length
        if length != self.nbytes:
            raise InputError(
                f"{self._origin} gives {name!r} {length} bytes in {file.name}, but its type and "
                f"shape need {self.nbytes}: export it again"
            )
        end = (self.offset or 0) + length
        if end > found.st_size:
            raise InputError(
                f"the weights file {file} ends at byte {found.st_size}, but {name!r} of "
                f"{self._origin} needs it up to byte {end}: it was cut off or belongs to another "
                f"model, so copy it again"
            )
        return file_state(found)

    def _check_place(self, file: Path, links: int) -> None:
        """Refuse what lies outside the model's folder, or could by another name of the file."""
        if not self.base_dir:  # made by a program, which knows where
            return
        folder, what = Path(self.base_dir), f"the weights file {file} of {self._origin}"
        inside, around = (Path(os.path.normpath(one.absolute())) for one in (file, folder))
        if around not in inside.parents:
            raise InputError(
                f"{what} is outside the model's folder: export it again, to one folder"
            )
        real, homes = file.resolve(), {folder.resolve()}
        if self._home is not None:
            homes.add(self._home.resolve().parent)
        copy = f"copy the folder (cp -rL {shlex.quote(str(folder))} COPY) and take the copy"
        if homes.isdisjoint(real.parents):
            raise InputError(f"{what} is a link to {real}, outside the model's folder: {copy}")
        if links > 1:
            raise InputError(
                f"{what} has {links} hard links, so it may belong elsewhere, too: {copy}"
            )


def file_state(found: os.stat_result) -> State:
    """What tells whether a file is still the one that it was."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
