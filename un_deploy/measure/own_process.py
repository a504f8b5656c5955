"""Calls a function in a process of its own, whose memory is free again when it has ended.

What a library has loaded stays as long as the process: torch alone holds some 150 MB.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from signal import Signals
from typing import Any, TypeVar

from un_deploy.errors import InputError, UnDeployError

T = TypeVar("T")


def in_process_of_its_own(
    function: Callable[..., T], *arguments: Any, folder: Path, doing: str, **named: Any
) -> T:
    """What a function of this package returns or raises, called in a fresh Python.

    Args:
        function: of a module, which is imported there by its name.
        arguments, named: for it; pickled, as its result is.
        folder: for two files, which are replaced.
        doing: what the process did, for the message where it died.

    Raises:
        UnDeployError: the function's own.
        InputError: the process died.
    """
    question, answer = folder / "question.pickle", folder / "answer.pickle"
    question.write_bytes(pickle.dumps((function, arguments, named)))
    answer.unlink(missing_ok=True)
    # With the same path as here: by itself the child would look into the working directory first.
    code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import answer; answer()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(question), str(answer), function.__module__],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
    )
    if not answer.is_file():
        raise InputError(f"the process that {doing} ended with {_last_words(done)}")
    error, result = pickle.loads(answer.read_bytes())
    if error is not None:
        raise error
    found: T = result
    return found


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == -9:  # the system's own hand, most of the time
        return "SIGKILL: there may be too little memory"
    if done.returncode < 0:
        signals = {int(one): one.name for one in Signals}
        return signals.get(-done.returncode, f"signal {-done.returncode}")
    return (done.stderr.strip().splitlines() or ["no message"])[-1]


def answer() -> None:
    """What the child does: the first argument's call, whose outcome goes to the second."""
    question, target = map(Path, sys.argv[1:3])
    function, arguments, named = pickle.loads(question.read_bytes())
    error, result = None, None
    try:
        result = function(*arguments, **named)
    except UnDeployError as raised:
        error = raised
    target.write_bytes(pickle.dumps((error, result)))
