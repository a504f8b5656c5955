"""Writes files whole or not at all, and refuses a target that exists unless told to replace it.

What is written goes beside the target first, and is renamed onto it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from un_deploy.errors import TargetError


def check_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a target that could not be written, before the work that makes its content.

    Raises:
        TargetError: it exists and ``force`` is not given, it is a directory, or its directory is
            missing or not writable.
    """
    target = Path(path)
    if target.is_dir():
        raise TargetError(f"{target} is a directory: name a file in it")
    if os.path.lexists(target) and not force:
        raise TargetError(
            f"{target} exists already: choose another name, or overwrite with --force"
        )
    _check_writable(target.parent)


@contextmanager
def staged(*targets: Path, force: bool = False) -> Iterator[tuple[Path, ...]]:
    """Give each target a private path to write to; rename all of them when the body has ended.

    The private paths are in one directory beside the targets, under the targets' own names. If
    the body raises or is interrupted, the directory goes and the targets stay as they were. With
    several targets the last one is the one that refers to the others: an old one is removed
    before the others change under it, so that an interruption between two renames leaves it
    missing, never mixed.

    Args:
        targets: files of one directory. One that the body does not write is left alone.
        force: replace targets that exist.

    Raises:
        TargetError: see `check_target`; or writing failed, for example on a full disk.
    """
    for target in targets:
        check_target(target, force=force)
    final = targets[-1]
    try:
        with tempfile.TemporaryDirectory(prefix=f".{final.name}.", dir=final.parent) as place:
            sources = tuple(Path(place, target.name) for target in targets)
            yield sources
            for target in targets:  # one may have appeared during a long fold
                check_target(target, force=force)
            if any(source.exists() for source in sources[:-1]):
                final.unlink(missing_ok=True)
            for source, target in zip(sources, targets, strict=True):
                if source.exists():
                    source.replace(target)
    except OSError as error:
        raise TargetError(f"cannot write {final}: {error.strerror or error}") from error


def check_directory_target(path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Refuse a directory that could not be written, before the work that makes its content.

    Raises:
        TargetError: it exists and ``force`` is not given, it is a file or a link, or the directory
            that it goes to is missing or not writable.
    """
    target = Path(path)
    if target.is_symlink():
        raise TargetError(f"{target} is a link: name the directory itself, or remove the link")
    if target.exists() and not target.is_dir():
        raise TargetError(f"{target} is no directory: choose another name, or remove it")
    if target.exists() and not force:
        raise TargetError(
            f"{target} exists already: choose another name, or replace it with --force"
        )
    _check_writable(target.parent)


def _check_writable(directory: Path) -> None:
    if not directory.is_dir():
        raise TargetError(f"the directory {directory} does not exist: create it first")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise TargetError(f"the directory {directory} is not writable: choose another place")


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
    check_directory_target(target, force=force)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as place:
            new, old = Path(place, "new"), Path(place, "old")
            new.mkdir()
            yield new
            check_directory_target(target, force=force)  # one may have appeared meanwhile
            try:
                if target.exists():
                    target.rename(old)
                new.rename(target)
            except BaseException:
                if old.exists() and not target.exists():
                    old.rename(target)
                raise
    except OSError as error:
        raise TargetError(f"cannot write {target}: {error.strerror or error}") from error


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
