"""What a run of trtexec gave, as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from un_deploy.engines.kernels.layer_info import LayerInfo
from un_deploy.errors import InputError
from un_deploy.json_form import JsonForm
from un_deploy.runtime.trtexec.exit_status import Status
from un_deploy.runtime.trtexec.flags import Settings
from un_deploy.runtime.trtexec.profile_file import Profile
from un_deploy.runtime.trtexec.times_file import Times


@dataclass(frozen=True)
class TrtexecResult(JsonForm):
    """How a run ended, under which conditions, and what it measured: nothing unless it passed.

    Attributes:
        status: how it ended.
        reason: why not well, in one line; empty when passed.
        command: program and arguments; empty when there was no version to make it for. An engine
            is first written beside the file that is named here, and renamed once all is well.
        trtexec: the version of TensorRT that trtexec says it is; None: not known.
        settings: how it was told to time.
        measuring: how much it was told to time: see `flags.MEASURING`.
        exit_code: negative: the signal that ended it; None: it did not start, or was killed.
        wall_s: seconds from start to end, building included.
        log: the file that holds what it printed; None: it was not started.
        warnings: the lines of the log that are warnings; see `exit_status.Said`.
        without_graph: whether a CUDA graph was not captured; trtexec goes on without one.
        doubts: of the times, in few words.
        times: None: not passed, or ``--skipInference``.
        profile, layers: None: not passed, or not asked for; of layers, too: it wrote no file.
    """

    status: Status
    reason: str
    command: tuple[str, ...]
    trtexec: str | None
    settings: Settings
    measuring: dict[str, str]
    exit_code: int | None = None
    wall_s: float = 0.0
    log: Path | None = None
    warnings: tuple[str, ...] = ()
    without_graph: bool = False
    doubts: tuple[str, ...] = ()
    times: Times | None = None
    profile: Profile | None = None
    layers: LayerInfo | None = None
    version: int = 1

    def require_passed(self) -> TrtexecResult:
        """This result.

        Raises:
            InputError: the run did not pass; says how it ended, why, and where its log is.
        """
        if self.status is Status.PASSED:
            return self
        log = f" (its log: {self.log})" if self.log else ""
        raise InputError(f"trtexec {self.status.value}: {self.reason}{log}")

    @property
    def compute_s(self) -> tuple[float, ...]:
        """Seconds on the device, one number for each inference after the warm-up.

        Raises:
            InputError: the run did not pass, or had no inference.
        """
        if self.require_passed().times is None:
            raise InputError("trtexec was told to skip inference: there are no times")
        return self.times.compute_s  # type: ignore[union-attr]
