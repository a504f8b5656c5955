"""Whose memory counts as a command's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.command_memory import peak, pss, tree

SAYS = "print('there', flush=True); input()"


@contextmanager
def started(code: str) -> Iterator[int]:
    """A Python that runs this, once it has said that it is there; ended with what it started."""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        yield process.pid
        os.killpg(process.pid, signal.SIGKILL)


def test_what_a_process_has_started_counts() -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SAYS!r}])"
    with started(child) as process:
        first, second = tree(process)
        assert first == process
        assert pss(first) > 0 and pss(second) > 0


def test_what_has_its_parents_memory_does_not() -> None:
    """As between vfork and exec; here for good."""
    with started(f"import os, time; os.fork() or time.sleep(60); {SAYS}") as process:
        assert list(tree(process)) == [process]


def test_what_has_ended_has_none() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert pss(process.pid) == 0
    assert list(tree(process.pid)) == [process.pid]


def test_a_peak_is_in_bytes() -> None:
    assert 5e6 < peak(("--version",)) < 100e6
