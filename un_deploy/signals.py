"""The signals that ask a command to end, and a moment in which they wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Beside Ctrl-C: a container's or a scheduler's end, a closed terminal, Ctrl-\; as far as the
#: system has them.
ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let Ctrl-C and the signals that end a command wait until the block has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals raise in the main thread alone
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    before = {number: handler for number, handler in before.items() if handler is not None}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)
