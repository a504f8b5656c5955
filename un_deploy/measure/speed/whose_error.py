"""Says whose error it is where a variant fails, and keeps the log that tells why."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from un_deploy.errors import InputError
from un_deploy.runtime.protocol import KeepsFiles, Session


@contextmanager
def saying_whose(
    name: str, session: Session | None = None, logs: str | Path | None = None
) -> Iterator[None]:
    """An InputError of the body begins with the variant's name.

    Args:
        session: of the variant; the log of its last run is kept, where it has one.
        logs: the folder for that, which is given one for the variant; None: it is not kept.
    """
    try:
        yield
    except InputError as error:
        if logs is not None and isinstance(session, KeepsFiles):
            session.keep_log(folder_of(logs, name))
        raise InputError(f"{name}: {error}") from error


def folder_of(logs: str | Path, name: str) -> Path:
    """Where a variant's logs go."""
    return Path(logs, re.sub(r"\W+", "_", name))
