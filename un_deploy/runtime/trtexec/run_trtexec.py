"""Builds trtexec's command line, runs it, reads its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from packaging.version import Version

from un_deploy.engines.kernels.layer_info import parse_layer_info
from un_deploy.errors import InputError
from un_deploy.files import check_target, staged
from un_deploy.runtime.trtexec.exit_status import Status, judge, read_log
from un_deploy.runtime.trtexec.find import find_binary, read_version
from un_deploy.runtime.trtexec.flags import (
    Settings,
    check_flags,
    check_version,
    measuring,
    name_of,
    settings_flags,
)
from un_deploy.runtime.trtexec.process import run_logged
from un_deploy.runtime.trtexec.profile_file import parse_profile
from un_deploy.runtime.trtexec.result import TrtexecResult
from un_deploy.runtime.trtexec.times_file import parse_times

LOG, TIMES, PROFILE, LAYERS = "trtexec.log", "times.json", "profile.json", "layers.json"
"""The files of a run, in its folder."""

T = TypeVar("T")


@dataclass(frozen=True)
class Trtexec:
    """NVIDIA's trtexec, 10 or 11; without a path the one that `find_binary` finds."""

    path: str | os.PathLike[str] | None = None
    settings: Settings = field(default_factory=Settings)

    @cached_property
    def binary(self) -> Path:
        """The binary that is run.

        Raises:
            InputError: there is none.
        """
        return find_binary(self.path)

    @cached_property
    def version(self) -> Version:
        """The version of TensorRT that it says it is.

        Raises:
            InputError: it does not start, says none, or one whose defaults are not known.
        """
        version = read_version(self.binary)
        check_version(version.major)
        return version

    def run(
        self,
        folder: Path,
        *,
        onnx: Path | None = None,
        engine: Path | None = None,
        save_engine: Path | None = None,
        flags: Sequence[str] = (),
        profile: bool = False,
        layers: bool = False,
        timeout_s: float = 3600.0,
        force: bool = False,
    ) -> TrtexecResult:
        """Build an engine from an ONNX file, or load one, and time it.

        Args:
            folder: is given ``trtexec.log``, ``times.json`` and what else is asked for.
            onnx: the graph to build from; this or ``engine``, the plan to load, must be given.
            save_engine: is given the plan that was built; only if the run passes.
            flags: further flags in trtexec's spelling, such as "--shapes=x:1x3x224x224"; with
                "--skipInference" nothing is timed and nothing profiled.
            profile: also profile each layer, in a separate run.
            layers: also write what the engine inspector tells of each layer.
            timeout_s: seconds after which trtexec and its children are killed.

        Returns:
            How it ended, whatever that is: see `Status`.

        Raises:
            InputError: the question itself is wrong: a file is not there, a flag is one that
                this version does not have or that is an argument here.
            TargetError: a file exists or cannot be written.
        """
        source = _source(onnx, engine, save_engine)
        if profile and not self.settings.separate_profile_run:
            raise InputError(
                "a profile needs settings.separate_profile_run: without it there are no times"
            )
        result = TrtexecResult(Status.COULD_NOT_RUN, "", (), None, self.settings, measuring(flags))
        try:
            version = self.version
        except InputError as error:
            return replace(result, reason=str(error))
        result = replace(result, trtexec=str(version))
        check_flags(flags, version.major)
        says = settings_flags(self.settings, version.major)

        timed = "--skipInference" not in map(name_of, flags)
        wanted = {
            "--exportTimes": (TIMES, timed),
            "--exportProfile": (PROFILE, timed and profile),
            "--exportLayerInfo": (LAYERS, layers),
        }
        exports = {flag: folder / name for flag, (name, asked) in wanted.items() if asked}
        for target in (folder / LOG, *exports.values()):
            check_target(target, force=force)
            target.unlink(missing_ok=True)  # an old one must not be read as this run's
        command = [str(self.binary), source]
        command += [*says, *(f"{flag}={path}" for flag, path in exports.items()), *flags]
        with ExitStack() as stack:
            plan, saves = None, []
            if save_engine is not None:
                (plan,) = stack.enter_context(staged(save_engine, force=force))
                saves = [f"--saveEngine={plan}"]
            result = _run(result, [*command, *saves], folder / LOG, timeout_s)
            if result.status is Status.PASSED:
                result = _read(result, exports, plan)
            if result.status is not Status.PASSED and plan is not None:
                plan.unlink(missing_ok=True)
        if save_engine is not None:
            command.append(f"--saveEngine={save_engine}")
        return replace(result, command=tuple(command))


def _source(onnx: Path | None, engine: Path | None, save_engine: Path | None) -> str:
    """The flag that says what is run."""
    if save_engine is not None and onnx is None:
        raise InputError("an engine that is loaded is not saved again: save_engine needs onnx")
    for flag, path, other in (("--onnx", onnx, engine), ("--loadEngine", engine, onnx)):
        if path is not None and other is None:
            if not path.is_file():
                raise InputError(f"there is no file {path}")
            return f"{flag}={path}"
    raise InputError("trtexec needs either an ONNX file or an engine")


def _run(
    result: TrtexecResult, command: Sequence[str], log: Path, timeout_s: float
) -> TrtexecResult:
    start = time.perf_counter()
    try:
        exit_code = run_logged(command, log, timeout_s=timeout_s)
    except OSError as error:
        return replace(result, reason=f"it does not start: {error.strerror or error}")
    wall_s = time.perf_counter() - start
    with log.open(encoding="utf-8", errors="backslashreplace") as lines:
        said = read_log(lines)
    status, reason = judge(exit_code, said)
    if status is Status.TIMED_OUT:
        reason = f"killed since it did not end within {timeout_s:g} s"
    return replace(
        result,
        status=status,
        reason=reason,
        exit_code=exit_code,
        wall_s=wall_s,
        log=log,
        warnings=said.warnings,
        without_graph=said.without_graph,
        doubts=said.doubts,
    )


def _read(result: TrtexecResult, exports: dict[str, Path], plan: Path | None) -> TrtexecResult:
    """The result with what its files hold, or UNREADABLE and nothing of them."""

    def read(flag: str, parse: Callable[[str], T]) -> T | None:
        path = exports.get(flag)
        if path is None or (flag == "--exportLayerInfo" and not path.exists()):
            return None  # who needs the layers says what is missing
        try:
            return parse(path.read_bytes().decode(errors="backslashreplace"))
        except OSError as error:
            raise InputError(f"it wrote no {path.name}") from error
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from error

    try:
        if plan is not None and not plan.is_file():
            raise InputError("it wrote no engine")
        return replace(
            result,
            times=read("--exportTimes", parse_times),
            profile=read("--exportProfile", parse_profile),
            layers=read("--exportLayerInfo", parse_layer_info),
        )
    except InputError as error:
        return replace(result, status=Status.UNREADABLE, reason=str(error))
