"""The errors that un-deploy raises on purpose, and the exit code of each.

A message is one line that says what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from un_deploy.install import how_to_install


class UnDeployError(Exception):
    """A mistake the user can mend. The command line prints it without a traceback, exit code 1."""

    exit_code = 1


class InputError(UnDeployError):
    """A file, model spec or data that is missing, damaged or of the wrong kind."""


class UnifiedCheckpointError(InputError):
    """A checkpoint holds statistics of Unified Normalizations, and the model has no such norm.

    Users know it as an InputError: callers tell it apart to name options that they have.
    """


class TargetError(UnDeployError):
    """The output exists already (without --force) or cannot be written."""


class MissingPackageError(UnDeployError):
    """An optional package is absent; the message holds what installs it."""


class UntrainedError(UnDeployError):
    """A UnifiedNorm whose running statistics were never updated is about to be deployed."""


class VerificationError(UnDeployError):
    """Two graphs that should compute the same do not. Exit code 3."""

    exit_code = 3


class ThresholdError(UnDeployError):
    """A measurement, or a fold, misses what was asked of it. Exit code 3."""

    exit_code = 3


def one_line(said: BaseException | str) -> str:
    """All that an error or a library says, without its line ends; at least the error's type."""
    words = " ".join(str(said).split())
    return words if words or isinstance(said, str) else type(said).__name__


def first_cause(error: BaseException) -> BaseException:
    """What went wrong first, behind all that wraps it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def first_line(error: BaseException) -> str:
    """``"ValueError: what it says"``: the type and the message's first line.

    Where that ends in a colon, the second follows.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    shown = lines[:2] if lines[0].endswith(":") else lines[:1]
    return f"{type(error).__name__}: {' '.join(shown)}"


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Turn a missing optional import into what installs it.

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
            f"this needs the package {error.name}, which is not installed: {how_to_install(extra)}"
        ) from error
