"""Where the trtexec binary is, and which version it says it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from packaging.version import Version

from un_deploy.errors import InputError
from un_deploy.runtime.trtexec.process import run_logged

VARIABLE = "TRTEXEC"
"""The environment variable that names the binary."""

PLACES = ("/usr/src/tensorrt/bin", "/opt/tensorrt/bin")
"""Where NVIDIA's packages and containers put it; neither is on every PATH."""

_ANSWERS_WITHIN_S = 60.0

# "&&&& RUNNING TensorRT.trtexec [TensorRT v101602] [b10] # trtexec --help": the first line of
# every run, written by Logger::defineTest of NVIDIA's samples/common/logging.h. The number is
# NV_TENSORRT_VERSION: major * 10000 + minor * 100 + patch, before 10 major * 1000 + ....
_RUNNING = re.compile(r"^&&&& RUNNING \S+ \[TensorRT v(\d+(?:\.\d+)*)\]", re.MULTILINE)


def find_binary(
    path: str | os.PathLike[str] | None = None, *, environ: Mapping[str, str] = os.environ
) -> Path:
    """The trtexec to run: the one named, else of $TRTEXEC, of PATH, of NVIDIA's usual places.

    Raises:
        InputError: there is none, or the one that is named is no executable file.
    """
    named = path or environ.get(VARIABLE)
    if named:
        found = which(named, path=environ.get("PATH"))
        if found is None:
            source = "" if path else f" (from ${VARIABLE})"
            raise InputError(f"{os.fspath(named)}{source} is no executable file: name trtexec")
        return Path(found)
    places = os.pathsep.join([environ.get("PATH", ""), *PLACES])
    found = which("trtexec", path=places)
    if found is None:
        raise InputError(
            f"there is no trtexec: not named, not in ${VARIABLE}, not on PATH, not in "
            f"{' or '.join(PLACES)}; it comes with NVIDIA's TensorRT archive and container"
        )
    return Path(found)


def read_version(binary: Path, *, within_s: float = _ANSWERS_WITHIN_S) -> Version:
    """The version of TensorRT in the first line that the binary prints, which needs no GPU.

    Raises:
        InputError: it does not start, does not end, or says no version.
    """
    with TemporaryDirectory(prefix="un-deploy-") as folder:
        log = Path(folder) / "help.txt"
        try:
            exit_code = run_logged([str(binary), "--help"], log, timeout_s=within_s)
        except OSError as error:
            raise InputError(f"{binary} does not start: {error.strerror or error}") from error
        text = log.read_text(encoding="utf-8", errors="backslashreplace")
    if exit_code is None:
        raise InputError(f"{binary} --help did not end within {within_s:g} s")
    match = _RUNNING.search(text)
    if match is None:
        last = (text.strip().splitlines() or ["nothing"])[-1]
        raise InputError(f"{binary} --help says no version of TensorRT, but: {last}")
    return _version(match[1])


def _version(text: str) -> Version:
    if not text.isdecimal():
        return Version(text)
    major_unit = 10_000 if int(text) >= 10_000 else 1_000
    major, rest = divmod(int(text), major_unit)
    return Version(f"{major}.{rest // 100}.{rest % 100}")
