"""trtexec's flags: how it times, what it does by default, what a version no longer has.

All of it is in NVIDIA's samples/common/sampleOptions.cpp and sampleOptions.h: the functions
``parse`` and ``help`` of BuildOptions, InferenceOptions and ReportingOptions, in releases 10.x
and 11.x. From 10 to 11 four defaults were turned round, so numbers of the two with their
defaults do not compare; here all four are decided by `Settings`, whatever the version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from un_deploy.errors import InputError


@dataclass(frozen=True)
class Settings:
    """How trtexec times. The defaults here are those of 11, for every version.

    Attributes:
        transfers: every inference copies inputs to the device and outputs back.
        spin_wait: the host waits for the device busily, not blocked.
        cuda_graph: the engine is captured as a CUDA graph. trtexec goes on without one where the
            capture fails, and says so in a warning only: see `TrtexecResult.without_graph`.
        separate_profile_run: layers are profiled in a second run, since a profiler slows down
            what is timed. Version 11 does nothing else; 10 without it writes no times at all
            when a profile is asked for.
    """

    transfers: bool = False
    spin_wait: bool = True
    cuda_graph: bool = True
    separate_profile_run: bool = True


DEFAULTS = {
    10: Settings(transfers=True, spin_wait=False, cuda_graph=False, separate_profile_run=False),
    11: Settings(transfers=False, spin_wait=True, cuda_graph=True, separate_profile_run=True),
}
"""What trtexec does when nothing is said, by major version: the versions that are known here."""

# What makes a setting differ from its default. 11 still takes 10's flags, but ignores them.
_SAYS = {
    10: {
        "transfers": "--noDataTransfers",
        "spin_wait": "--useSpinWait",
        "cuda_graph": "--useCudaGraph",
        "separate_profile_run": "--separateProfileRun",
    },
    11: {
        "transfers": "--includeDataTransfers",
        "spin_wait": "--noSpinWait",
        "cuda_graph": "--noCudaGraph",
    },
}

MEASURING = {
    "--warmUp": "200",
    "--duration": "3",
    "--iterations": "10",
    "--infStreams": "1",
}
"""What decides how much is timed, and its defaults in 10 and 11: warm-up in ms, then at least
this many seconds and inferences, on so many streams. With several streams inferences overlap and
their times are not those of one alone. (--avgRuns and --percentile change trtexec's text only,
which nothing here reads.)"""

_OWN = {
    "--onnx": "onnx",
    "--loadEngine": "engine",
    "--saveEngine": "save_engine",
    "--exportTimes": "folder",
    "--exportProfile": "profile",
    "--exportLayerInfo": "layers",
    **{flag: f"settings.{name}" for says in _SAYS.values() for name, flag in says.items()},
}

_TYPED = "convert the ONNX file to this precision: 11 takes types from the graph"
_QUANTISED = "quantise the ONNX file: 11 has no calibration"
_GONE = {
    10: {
        **dict.fromkeys(
            ("--deploy", "--model", "--output", "--uff", "--uffInput", "--uffNHWC"),
            "export the model as ONNX",
        ),
        **dict.fromkeys(("--batch", "--maxBatch"), "use --shapes"),
        "--buildOnly": "use --skipInference",
        "--minTiming": "use --avgTiming",
        "--workspace": "use --memPoolSize=workspace:SIZE",
    },
    11: {
        **dict.fromkeys(("--fp16", "--bf16", "--int8", "--fp8", "--int4", "--best"), _TYPED),
        **dict.fromkeys(
            ("--precisionConstraints", "--layerPrecisions", "--layerOutputTypes"), _TYPED
        ),
        **dict.fromkeys(
            ("--calib", "--calibProfile", "--minShapesCalib", "--optShapesCalib"), _QUANTISED
        ),
        "--maxShapesCalib": _QUANTISED,
        "--restricted": "use --safe",
        "--weightless": "use --stripWeights",
    },
}


def check_version(major: int) -> None:
    """Refuse a version whose defaults are not known.

    Raises:
        InputError: it is such a version.
    """
    if major not in DEFAULTS:
        known = " and ".join(map(str, DEFAULTS))
        raise InputError(
            f"trtexec {major} is not known: what it times by default differs from version to "
            f"version, and that of {known} is known"
        )


def check_flags(flags: Iterable[str], major: int) -> None:
    """Refuse what the driver says itself, and what this version does not have.

    Flags that are not known here pass: trtexec refuses what it does not have.

    Raises:
        InputError: names the flag and what to say in its place.
    """
    for flag in flags:
        name = name_of(flag)
        if not name.startswith("-"):
            raise InputError(f"{flag} is no flag of trtexec: write --name or --name=value")
        if name in _OWN:
            raise InputError(f"{name} is not given as a flag: use the argument {_OWN[name]}")
        for version, gone in _GONE.items():
            if name in gone and major >= version:
                raise InputError(f"trtexec {major} has no {name}: {gone[name]}")


def settings_flags(settings: Settings, major: int) -> tuple[str, ...]:
    """The flags that make this version time so, whatever its defaults are.

    Raises:
        InputError: this version cannot.
    """
    check_version(major)
    flags = []
    for field in fields(Settings):
        if getattr(settings, field.name) == getattr(DEFAULTS[major], field.name):
            continue
        flag = _SAYS[major].get(field.name)
        if flag is None:
            raise InputError(f"trtexec {major} always profiles in a separate run")
        flags.append(flag)
    return tuple(flags)


def measuring(flags: Sequence[str]) -> dict[str, str]:
    """The values of `MEASURING` with these flags."""
    given = dict(flag.split("=", 1) for flag in flags if "=" in flag)
    if "--streams" in given:  # its old name, which 10 and 11 take
        given.setdefault("--infStreams", given["--streams"])
    return {name: given.get(name, default) for name, default in MEASURING.items()}


def name_of(flag: str) -> str:
    """A flag without its value."""
    return flag.split("=", 1)[0]
