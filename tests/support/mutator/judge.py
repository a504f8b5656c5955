"""Runs the four commands on damaged files in a process of its own, and says what went wrong.

Wrong are: an exception that is not one of ours, which is a traceback for the user; an error of more
than one line; more than ten seconds, or a process that dies; a target that is neither as it was
before nor, as onnx's own checker sees it, whole; anything left beside it; and a byte of a file
outside the model's folder in what was written.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import onnx
from click.testing import CliRunner

from tests.support.corruptor.networks import NETWORKS
from tests.support.mutator.files import FILES, MODEL, Files, files_of
from tests.support.mutator.mutate import KINDS, mutated
from un_deploy.cli import main
from un_deploy.runtime.backends import installed_runtimes

#: Seconds of CPU that a command may take; waiting counts as a sixth, on a machine that others use.
SECONDS = 10

#: Bytes that its process may have, those of the libraries included, which torch has a lot of.
MEMORY = 16 << 30

#: A file of the user's beside the model's folder; nothing of it may reach what is written.
SECRET = b"un-deploy's secret " * 400
_TARGET, _OLD = "out/model.onnx", b"old"


@dataclass(frozen=True)
class Drawn:
    """One mutation: of which of `FILES`, of which of `KINDS`, drawn by which seed."""

    file: str
    kind: str
    seed: int


@dataclass
class Verdict:
    """What went wrong, each said with its command, and the exit code of each command."""

    wrong: list[str] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)


def drawn(number: int, first_seed: int = 0) -> Iterator[Drawn]:
    """So many mutations; the files take turns, and so do the kinds."""
    files, kinds = list(FILES), list(KINDS)
    for seed in range(first_seed, first_seed + number):
        turn, file = divmod(seed, len(files))
        yield Drawn(files[file], kinds[turn % len(kinds)], seed)


def judged(mutations: Sequence[Drawn]) -> Iterator[Verdict]:
    """The verdict on each, in order. A process that dies is replaced by another for the rest."""
    left = list(mutations)
    context = multiprocessing.get_context("fork")
    while left:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(left, here, there))
        process.start()
        there.close()
        told = True
        while left and told:
            # The process itself tells what takes too long, unless it is deep in a library.
            if not here.poll(30 * SECONDS):
                process.kill()
            try:
                verdict = here.recv()
            except EOFError:
                process.join()
                verdict, told = Verdict([f"the process died with {process.exitcode}"]), False
            left.pop(0)
            yield verdict
        process.join()


def _work(mutations: Sequence[Drawn], reader: Connection, pipe: Connection) -> None:
    reader.close()  # so that it ends with the process that reads
    for runtime in installed_runtimes():  # to import what a command would import on the way
        runtime.load(NETWORKS["pieces"]())
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for one in mutations:
        pipe.send(judge(one))


def judge(mutation: Drawn) -> Verdict:
    """What becomes of it in inspect, verify, fold and strip."""
    verdict, original = Verdict(), files_of(mutation.file)
    with TemporaryDirectory() as place, _in(place):
        _prepare(original, mutated(original, mutation.kind, mutation.seed))
        model = f"model/{MODEL}"
        _run(["inspect", model], verdict)
        _run(["verify", f"original/{MODEL}", model], verdict)
        for command in ("fold", "strip"):
            _run_writing([command, model, "-o", _TARGET], verdict, forced=mutation.seed % 2 == 1)
    return verdict


def _prepare(original: Files, damaged: Files) -> None:
    """The damaged model in a folder with links, a pipe and a folder; the whole one in another."""
    for folder, files in (("original", original), ("model", damaged)):
        Path(folder).mkdir()
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
    Path("secret").write_bytes(SECRET)
    Path("model/link").symlink_to("../secret")
    Path("model/dangling").symlink_to("../nothing")
    Path("model/hard").hardlink_to("secret")
    Path("model/folder").mkdir()
    os.mkfifo("model/fifo")


def _run_writing(command: list[str], verdict: Verdict, forced: bool) -> None:
    """As `_run`, and what the target's folder holds must be the old file or a whole new one."""
    name, target = command[0], Path(_TARGET)
    target.parent.mkdir(exist_ok=True)
    for path in target.parent.iterdir():
        path.unlink()
    if forced:
        target.write_bytes(_OLD)
    _run([*command, *(["--force"] if forced else [])], verdict)
    held = {path.name: path.read_bytes() for path in target.parent.iterdir() if path.is_file()}
    if any(SECRET[:30] in data for data in held.values()):
        verdict.wrong.append(f"{name}: wrote what is in a file outside the model's folder")
    if verdict.codes[name] != 0:
        if held != ({target.name: _OLD} if forced else {}):
            verdict.wrong.append(f"{name}: failed, and left {sorted(held)}")
        return
    if more := held.keys() - {target.name, f"{target.name}.data"}:
        verdict.wrong.append(f"{name}: left {sorted(more)} beside the target")
    try:
        onnx.checker.check_model(target)
    except Exception as error:  # whatever it says, the target is not whole
        verdict.wrong.append(f"{name}: the target is not whole: {' '.join(str(error).split())}")


def _run(command: list[str], verdict: Verdict) -> None:
    """Note the exit code; -1 where there is none."""
    name = command[0]
    result = None
    try:
        with _limited():
            result = CliRunner().invoke(main, [*command, "--quiet"])
        error = result.exception
    except Slow as slow:
        error = slow
    verdict.codes[name] = -1
    if isinstance(error, Slow):
        verdict.wrong.append(f"{name}: takes more than {SECONDS} s")
    elif result is None or (error is not None and not isinstance(error, SystemExit)):
        verdict.wrong.append(f"{name}: {_where(error)}")
    else:
        verdict.codes[name] = result.exit_code
        said = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
        if result.exit_code not in (0, 1, 3):
            verdict.wrong.append(f"{name}: exit code {result.exit_code}")
        elif len(said) > 1:
            verdict.wrong.append(f"{name}: says {len(said)} lines: {said[:2]}")


@contextmanager
def _in(folder: str) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class Slow(BaseException):
    """A command took too long."""


@contextmanager
def _limited() -> Iterator[None]:
    def slow(number: int, frame: object) -> NoReturn:
        raise Slow

    timers = ((signal.ITIMER_PROF, SECONDS), (signal.ITIMER_REAL, 6 * SECONDS))
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, slow)
    for timer, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for timer, _ in timers:
            signal.setitimer(timer, 0)


def _where(error: BaseException | None) -> str:
    """What an exception is, and the last places of our own that it came through."""
    frames = traceback.extract_tb(error.__traceback__ if error is not None else None)
    ours = [frame for frame in frames if "un_deploy" in frame.filename]
    places = " ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in ours[-3:])
    return f"{type(error).__name__}: {' '.join(str(error).split())[:120]} ({places})"
