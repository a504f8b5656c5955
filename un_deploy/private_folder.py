"""A folder beside a target, for what is being written, and what becomes of it with its run.

The run holds a lock on its folder, which ends with the process however that ends. So the next run
that writes there can tell what a dead one left, and clears it away; another live run's folder
stays.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from un_deploy.signals import undisturbed

try:
    import fcntl
except ImportError:  # such a system has other locks, and nothing is cleared away there
    fcntl = None  # type: ignore[assignment]

PREFIX = ".un-deploy-"


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A new folder in this one, gone when the block ends; before, what dead runs left goes.

    Raises:
        OSError: it cannot be made.
    """
    clear_dead(parent)
    place = lock = None
    try:
        with undisturbed():  # a signal that comes meanwhile raises when there is a place to clear
            place, lock = _locked_folder(parent)
        yield place
    finally:
        with undisturbed():
            if place is not None:
                shutil.rmtree(place, ignore_errors=True)
            if lock is not None:
                os.close(lock)


def clear_dead(parent: Path) -> None:
    """Remove the folders of runs that are dead; finish what one of them was about to rename."""
    with suppress(OSError), _one_at_a_time(parent, wait=False) as alone:
        for place in [path for path in parent.iterdir() if path.name.startswith(PREFIX)]:
            lock = _lock(place) if alone and place.is_dir() and not place.is_symlink() else None
            if lock is not None:
                with suppress(OSError), undisturbed():
                    _finish_for_dead(place)
                shutil.rmtree(place, ignore_errors=True)
                os.close(lock)


def commit(place: Path, last: str, check: Callable[[], None]) -> None:
    """Give what is in ``place/new`` its names in the folder around, that of `last` at the end.

    `check` raises where it may not, and nothing has changed then; no other run renames meanwhile.

    A file takes the place of another at once. A folder cannot, and of several files `last` refers
    to the others; so there old ones are set aside before anything changes under them. Killed in
    between, a run leaves `last` missing, never mixed, and the next run finishes what it began.

    Raises:
        OSError: a rename failed; old ones are in their place again.
    """
    if not (place / "new" / last).exists():
        return
    with _one_at_a_time(place.parent), undisturbed():
        check()
        (place / "last").mkdir()
        (place / "new" / last).rename(place / "last" / last)
        (place / "new").rename(place / "ready")
        _finish(place)


def _finish(place: Path) -> None:
    """Renames alone, each of which is short: one onto a file waits for the disk on some systems."""
    (last,) = (place / "last").iterdir()
    others = list((place / "ready").iterdir())
    aside = place / "old"
    aside.mkdir(exist_ok=True)  # the dead run may have begun
    try:
        for new in (last, *others) if others or last.is_dir() else ():
            if os.path.lexists(place.parent / new.name):
                (place.parent / new.name).rename(aside / new.name)
        for new in (*others, last):
            new.replace(place.parent / new.name)
    except BaseException:
        for name in (*(other.name for other in others), last.name):
            if os.path.lexists(aside / name):
                (aside / name).rename(place.parent / name)
        raise


def _finish_for_dead(place: Path) -> None:
    """Where its run was killed between two renames, and nobody has taken the name since."""
    if (place / "ready").is_dir():
        for last in (place / "last").iterdir():
            if not os.path.lexists(place.parent / last.name):
                _finish(place)


def _locked_folder(parent: Path) -> tuple[Path, int | None]:
    while True:
        place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        if fcntl is None:
            return place, None
        lock = os.open(place, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), place.stat()):
                return place, lock
        except (BlockingIOError, FileNotFoundError):
            pass  # another run took it for a dead one's before it was locked
        except OSError:  # a file system without locks, where nothing is cleared away
            return place, lock
        os.close(lock)


def _lock(place: Path) -> int | None:
    """The lock of a dead run's folder; None: its run lives, or nobody can tell."""
    if fcntl is None:
        return None
    try:
        lock = os.open(place, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


@contextmanager
def _one_at_a_time(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Keep other runs from renaming into this folder meanwhile, where its file system has locks.

    Gives whether they are kept from it.
    """
    alone = False
    with ExitStack() as stack:
        with suppress(OSError):
            if fcntl is not None:
                lock = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                alone = True
        yield alone
