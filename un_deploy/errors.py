"""The errors that un-deploy raises on purpose, and the exit code of each.

A message is one line that says what is wrong, where, and what to do.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class UnDeployError(Exception):
    """A mistake the user can mend. The command line prints it without a traceback, exit code 1."""

    exit_code = 1


class InputError(UnDeployError):
    """A file, model spec or data that is missing, damaged or of the wrong kind."""


class TargetError(UnDeployError):
    """The output exists already (without --force) or cannot be written."""


class MissingPackageError(UnDeployError):
    """An optional package is absent; the message holds the command that installs it."""


class UntrainedError(UnDeployError):
    """A UnifiedNorm whose running statistics were never updated is about to be deployed."""


class VerificationError(UnDeployError):
    """Two graphs that should compute the same do not. Exit code 3."""

    exit_code = 3


class ThresholdError(UnDeployError):
    """A measurement misses what was asked of it. Exit code 3."""

    exit_code = 3


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing optional import into the command that installs it.

    Args:
        extra: the extra of this project that declares the package, for example ``"torch"``
            or ``"torch,cpu"``.

    Raises:
        MissingPackageError: a module imported in the body is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("un_deploy"):
            raise
        raise MissingPackageError(
            f"this needs the package {error.name}, which is not installed: "
            f'pip install "un-deploy[{extra}]"'
        ) from error
