"""Writes files whole or not at all, and refuses a target that exists unless told to replace it.

What is written goes beside the target first, and is renamed onto it; see
`un_deploy.private_folder`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from un_deploy.arguments.names import argument
from un_deploy.errors import TargetError
from un_deploy.private_folder import clear_dead, commit, private_folder

PLAN_BEGINS = (b"ftrt", b"vtrt")
"""The first bytes of a plan of TensorRT, and of TensorRT-RTX: as observed, not documented."""

_TMPDIR = "set TMPDIR to a folder with more room"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
_SHORT = r"\d+ requested and \d+ written|problem writing element"
"""What numpy says of a disk that took a part."""


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a target that could not be written, before the work that makes its content.

    What a killed run left beside it is cleared away.

    Raises:
        TargetError: it exists and ``force`` is not given; it is a directory, a link, a device or
            else no regular file; or its directory is missing or not writable.
    """
    target = Path(path)
    clear_dead(target.parent)
    mode = _mode(target)
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise TargetError(f"{target} is a directory: name a file in it")
        _refuse_link(target, mode, "file")
        if not stat.S_ISREG(mode):
            raise TargetError(f"{target} is a device or a pipe, no file: choose another name")
    _check_place(target, mode is not None and not force, "overwrite")


def check_directory_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a directory that could not be written, before the work that makes its content.

    What a killed run left beside it is cleared away.

    Raises:
        TargetError: it exists and ``force`` is not given, it is a file or a link, or the directory
            that it goes to is missing or not writable.
    """
    target = Path(path)
    clear_dead(target.parent)
    mode = _mode(target)
    if mode is not None:
        _refuse_link(target, mode, "directory")
        if not stat.S_ISDIR(mode):
            raise TargetError(f"{target} is no directory: choose another name, or remove it")
    _check_place(target, mode is not None and not force, "replace it")


def check_folder_inside(parent: str | os.PathLike[str], name: str, *, force: bool = False) -> None:
    """Refuse a folder in another one, which is made where it is missing; see the above.

    Raises:
        TargetError: see `check_directory_target`.
    """
    parent = Path(parent)
    if parent.exists():
        check_directory_target(parent / name, force=force)
    else:
        check_directory_target(parent)


def check_folder_to_fill(folder: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a folder that is there, unless files in it may be replaced.

    Raises:
        TargetError: it exists and ``force`` is not given.
    """
    if Path(folder).exists() and not force:
        raise TargetError(
            f"{folder} exists already: choose another folder, or overwrite with "
            f"{argument('force', True)}"
        )


def _mode(target: Path) -> int | None:
    """What is there: see `stat`; None: nothing. A link is not followed."""
    try:
        return target.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TargetError(f"cannot write {target}: {reason}") from error


def _refuse_link(target: Path, mode: int, kind: str) -> None:
    if stat.S_ISLNK(mode):
        raise TargetError(f"{target} is a link: name the {kind} itself, or remove the link")


def _check_place(target: Path, exists: bool, verb: str) -> None:
    directory = target.parent
    if exists:
        cure = f"choose another name, or {verb} with {argument('force', True)}"
        raise TargetError(f"{target} exists already: {cure}")
    if not directory.is_dir():
        raise TargetError(f"the directory {directory} does not exist: create it first")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise TargetError(f"the directory {directory} is not writable: choose another place")


@contextmanager
def staged(*targets: Path, force: bool = False) -> Iterator[tuple[Path, ...]]:
    """Give each target a private path to write to; rename all of them when the body has ended.

    The private paths are in one directory beside the targets, under the targets' own names. If
    the body raises or is interrupted, the directory goes and the targets stay as they were. With
    several targets the last one is the one that refers to the others: an old one is removed
    before the others change under it, so that a run killed between two renames leaves it missing,
    never mixed, until the next run that writes there finishes them. Of two runs at the same time
    one wins, whole.

    Args:
        targets: files of one directory. One that the body does not write is left alone.
        force: replace targets that exist.

    Raises:
        TargetError: see `check_target`; or writing failed, for example on a full disk.
    """

    def check() -> None:
        for target in targets:
            check_target(target, force=force)

    check()
    final = targets[-1]
    try:
        with private_folder(final.parent) as place:
            new = place / "new"
            new.mkdir()
            yield tuple(new / target.name for target in targets)
            commit(place, final.name, check)  # another may have appeared during a long fold
    except OSError as error:
        raise _not_written(final, error) from error


def _not_written(target: Path, error: OSError) -> TargetError:
    """numpy and onnx-ir count bytes that the disk did not take, without the system's reason."""
    reason = error.strerror or f"{error}, so the disk may be full"
    ours = any(part.startswith("un-deploy-") for part in target.parts)  # of temporary files
    return TargetError(f"cannot write {target}: {reason}" + (f"; {_TMPDIR}" if ours else ""))


def no_room(error: OSError) -> str | None:
    """Says of an error whether nothing could be written for want of a place, and what to do.

    What an output cannot take is a `TargetError`; so this is of temporary files in the first place.
    """
    if error.errno == errno.ENOENT and "temporary directory" in str(error):
        return f"there is no place for temporary files: {error.strerror or error}; {_TMPDIR}"
    if error.errno not in _FULL and not re.search(_SHORT, str(error)):
        return None
    where = error.filename or "a temporary file"
    reason = error.strerror or f"{error}, so the disk may be full"
    return f"cannot write {where}: {reason}; {_TMPDIR}"


@contextmanager
def staged_directory(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a private empty directory to fill; give it the target's name when the body has ended.

    If the body raises or is interrupted, the private directory goes and the target stays as it
    was. An old target is set aside until the new one has its name, and is put back if that fails.

    Args:
        target: a directory; what it holds is for the body to carry over.
        force: replace one that exists.

    Raises:
        TargetError: see `check_directory_target`; or writing failed, for example on a full disk.
    """

    def check() -> None:
        check_directory_target(target, force=force)

    check()
    try:
        with private_folder(target.parent) as place:
            new = place / "new" / target.name
            new.mkdir(parents=True)
            yield new
            commit(place, target.name, check)  # one may have appeared meanwhile
    except OSError as error:
        raise _not_written(target, error) from error


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> None:
    """Write a whole file, or nothing.

    Raises:
        TargetError: see `staged`.
    """
    with staged(Path(path), force=force) as (place,):
        place.write_bytes(data)


def atomic_write_text(path: str | os.PathLike[str], text: str, *, force: bool = False) -> None:
    """Write a whole UTF-8 file with the line ends of `text`, or nothing.

    Raises:
        TargetError: see `staged`.
    """
    atomic_write_bytes(path, text.encode(), force=force)
