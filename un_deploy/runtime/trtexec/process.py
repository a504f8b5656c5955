"""Runs a command in a process group of its own, its output in a file."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_DIES_WITHIN_S = 30.0


def run_logged(command: Sequence[str], log: Path, *, timeout_s: float) -> int | None:
    """Run to the end; when time is up, or this process is interrupted, kill the whole group.

    The group matters: trtexec can have children, and may itself be one of a shell around it.

    The log is given what they print, in the order in which they print it.

    Returns:
        The exit code, negative for the signal that ended it; None: it did not end in time.

    Raises:
        OSError: it does not start.
    """
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                # What hangs in a driver does not even die of this: it is left behind.
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_DIES_WITHIN_S)
