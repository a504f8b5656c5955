"""One build of a comparison, in a process of its own: loads all entries, times them in turn.

A runtime that builds the same engine every time differs from build to build only by process: by
where its memory lies, by which pages were warm. So a build is a fresh process, which is given a
`Job` and gives the seconds of every entry, or the error that stopped it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from un_deploy.errors import InputError
from un_deploy.free_memory import give_back
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.json_form import from_dict, read_object
from un_deploy.measure.own_process import in_process_of_its_own
from un_deploy.measure.speed.timing import interleaved, loading_orders
from un_deploy.measure.speed.whose_error import folder_of, saying_whose
from un_deploy.runtime.backends import load_file, threads_of_process
from un_deploy.runtime.how_it_ran import HowItRan, TellsHowItRan, together
from un_deploy.runtime.protocol import KeepsFiles, Recognises, Session, Timer
from un_deploy.runtime.run_memory import RunMemory, TellsMemory
from un_deploy.runtime.session import FileSession
from un_deploy.runtime.settings import Fusions, RunSettings

Seconds = dict[str, list[float]]


@dataclass(frozen=True)
class Entry:
    """One thing that is timed.

    Attributes:
        name: unique in a job.
        model: an ONNX file, or a plan.
    """

    name: str
    model: str
    fusions: Fusions = "all"


@dataclass(frozen=True)
class Job:
    """What a build times.

    Attributes:
        entries: what is timed, in the order of the first round.
        inputs: an .npz file with one array for each input.
        rounds, sample_s, reverse: see `un_deploy.measure.speed.timing.interleaved`.
        memory: a file that takes what a run of each entry holds, measured after the times so that
            it cannot disturb them; None: it is not measured.
        ran: a file to which is added what the libraries told of each entry: all builds have the
            same; None: it is not kept.
        logs: a folder that takes trtexec's own files of each entry, of a run after the times, or
            the log of a run that failed; None: none are kept.
    """

    settings: RunSettings
    entries: tuple[Entry, ...]
    inputs: str
    rounds: int
    sample_s: float
    reverse: bool = False
    memory: str | None = None
    ran: str | None = None
    logs: str | None = None


def run_job(job: Job) -> Seconds:
    """Seconds of one run of each entry, one number a round.

    Raises:
        InputError: an entry does not load or run, an output is NaN or infinite, or torch finds
            more attention, linear layers or GELU in one entry than in another: then times would
            compare what was recognised.
    """
    with threads_of_process(job.settings):
        return _timed(job)


def _timed(job: Job) -> Seconds:
    with np.load(job.inputs) as archive:
        feeds = dict(archive)
    sessions, timers, recognised = {}, {}, {}
    for entry in job.entries:
        session, timers[entry.name] = _loaded(entry, job, feeds)
        sessions[entry.name] = session
        if isinstance(session, Recognises):
            recognised[entry.name] = session.recognised(feeds)
        give_back()  # what loading took beside what stays
    check_alike(recognised)
    seconds = interleaved(timers, rounds=job.rounds, sample_s=job.sample_s, reverse=job.reverse)
    if job.ran is not None:
        _add_told(Path(job.ran), sessions)
    if job.memory is not None:
        timers.clear()
        for session in sessions.values():  # each is loaded once more, for a profile
            if isinstance(session, FileSession):
                session.release()
        give_back()
        told = {name: asdict(_memory(session, feeds)) for name, session in sessions.items()}
        Path(job.memory).write_text(json.dumps(told))
    for name, session in sessions.items():
        if job.logs is not None and isinstance(session, KeepsFiles):
            session.keep_files(feeds, folder_of(job.logs, name))
    return seconds


def _loaded(entry: Entry, job: Job, feeds: Feeds) -> tuple[Session, Timer]:
    """An entry that has run once, and its timer."""
    with saying_whose(entry.name):
        session = load_file(Path(entry.model), job.settings, entry.fusions)
    with saying_whose(entry.name, session, job.logs):
        outputs = session.run(feeds)
        timer = session.timer(feeds)
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise InputError(f"{entry.name}: output {name} is not finite on these inputs")
    return session, saying_whose(entry.name, session, job.logs)(timer)


def _memory(session: Session, feeds: Feeds) -> RunMemory:
    if not isinstance(session, TellsMemory):
        return RunMemory(None, "this backend does not tell it")
    try:
        return session.run_memory(feeds)
    except InputError as error:  # the times are good without it
        return RunMemory(None, str(error))


def _add_told(file: Path, sessions: Mapping[str, Session]) -> None:
    told = read_told(file)
    for name, session in sessions.items():
        if isinstance(session, TellsHowItRan):
            told[name] = together((told.get(name, HowItRan()), session.how_it_ran()))
    file.write_text(json.dumps({name: asdict(one) for name, one in told.items()}))


def read_told(file: Path) -> dict[str, HowItRan]:
    """What all builds have added to a job's file for how its entries ran."""
    given = read_object(file.read_text()) if file.is_file() else {}
    return {name: from_dict(HowItRan, one) for name, one in given.items()}


def read_memory(file: Path) -> dict[str, RunMemory]:
    """What a job has written to its file for it; nothing where it has written none."""
    if not file.is_file():
        return {}
    return {name: RunMemory(**told) for name, told in json.loads(file.read_text()).items()}


def run_in_process_of_its_own(job: Job, folder: Path) -> Seconds:
    """`run_job` in a fresh Python; the folder is for two small files.

    Raises:
        InputError: see `run_job`; or the process died.
    """
    doing = f"timed {job.settings.backend}"
    return in_process_of_its_own(run_job, job, folder=folder, doing=doing)


def run_builds(
    job: Job,
    builds: int,
    folder: Path,
    *,
    run: Callable[[Job, Path], Seconds] = run_in_process_of_its_own,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, np.ndarray]:
    """Seconds of one run of each entry, (builds, rounds).

    The first build alone also tells what a run holds, where the job has a file for that.

    Raises:
        InputError: see `run_in_process_of_its_own`.
    """
    seconds: dict[str, list[list[float]]] = {entry.name: [] for entry in job.entries}
    for number, (order, reverse) in enumerate(loading_orders(job.entries, builds)):
        progress(f"Build {number + 1} of {builds} on {job.settings.backend}")
        memory = job.memory if number == 0 else None
        logs = None if job.logs is None else str(Path(job.logs, f"build_{number + 1}"))
        one = replace(job, entries=order, reverse=reverse, memory=memory, logs=logs)
        found = run(one, folder)
        for name in seconds:
            seconds[name].append(found[name])
    return {name: np.array(found) for name, found in seconds.items()}


def check_alike(recognised: Mapping[str, Mapping[str, int]]) -> None:
    """Refuse entries in which torch recognises different numbers of fused calls.

    Raises:
        InputError: names the first two that differ.
    """
    first: tuple[str, Mapping[str, int]] | None = None
    for name, counts in recognised.items():
        first = first or (name, counts)
        if counts != first[1]:
            raise InputError(
                f"torch recognises {_in_words(counts)} in {name}, but {_in_words(first[1])} in "
                f"{first[0]}: their times would not compare the norms alone"
            )


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())
