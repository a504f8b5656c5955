"""Which option acts on which backend: the table that tests assert, and that the docs show.

    python -m tests.support.option_table

writes it into docs/how-we-compare.md. Options are found in the commands themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import click

from benchmarks.entries import table, written_into
from un_deploy.cli import main
from un_deploy.cli.progress import OPTIONS as EVERYWHERE
from un_deploy.engines.flavor import TITLES
from un_deploy.files import atomic_write_text
from un_deploy.pipeline.triton.config import BACKENDS as SERVERS
from un_deploy.runtime.backends import BACKENDS
from un_deploy.runtime.settings import Setting

PAGE = Path(__file__).parents[2] / "docs" / "how-we-compare.md"
BEGIN, END = "<!-- written by tests.support.option_table -->", "<!-- end -->"

SETTINGS: tuple[str, ...] = get_args(Setting)
A_PLAN = "a plan"

ENGINES = tuple(one.name for one in BACKENDS.values() if one.builds_engines)
PROFILED = tuple(
    one.name for one in BACKENDS.values() if one.tells_layers and not one.builds_engines
)
ON: dict[str, tuple[str, ...]] = {
    "compare": tuple(BACKENDS),
    "trtexec-compare": ENGINES,
    "profile": (*PROFILED, A_PLAN),
    "build": tuple(TITLES),
    "triton": tuple(backend for backend, _ in SERVERS.values()),
}
"""Of each command what it runs on, builds with, or writes for."""


def options_of(command: str) -> dict[str, click.Parameter]:
    """By the name that users write: "--ln", or MODEL for an argument; without `EVERYWHERE`."""
    found = main.get_command(click.Context(main), command)
    assert found is not None
    return {_name(param): param for param in found.params if param not in EVERYWHERE}


def _name(param: click.Parameter) -> str:
    if isinstance(param, click.Argument):
        return str(param.metavar).strip("[]")
    return next((name for name in param.opts if name.startswith("--")), param.opts[0])


def _settings(command: str) -> dict[str, tuple[str, ...]]:
    """What the table of backends says, of the settings that the command has."""
    return {
        f"--{name}": tuple(
            one for one in ON[command] if one in BACKENDS and name in BACKENDS[one].takes
        )
        for name in SETTINGS
        if f"--{name}" in options_of(command)
    }


_COMPARE = {
    "--profile": tuple(one.name for one in BACKENDS.values() if one.tells_layers),
    "--keep-logs": tuple(one.name for one in BACKENDS.values() if one.keeps_logs),
}
ACTS: dict[str, Mapping[str, tuple[str, ...]]] = {
    "compare": {**_settings("compare"), **_COMPARE},
    "trtexec-compare": {
        **_settings("trtexec-compare"),
        **{name: tuple(one for one in ENGINES if one in on) for name, on in _COMPARE.items()},
    },
    "profile": {
        **_settings("profile"),
        "--backend": PROFILED,
        "--exportLayerInfo": (A_PLAN,),
    },
    "build": {
        "--memPoolSize": ("tensorrt", "tensorrt-rtx"),
        "--builderOptimizationLevel": ("tensorrt",),
        "--timingCacheFile": ("tensorrt",),
        "--versionCompatible": ("tensorrt",),
        "--hardwareCompatibilityLevel": ("tensorrt",),
        "--stripWeights": ("tensorrt",),
        "--refit": ("tensorrt",),
        "--computeCapability": ("tensorrt-rtx",),
    },
    "triton": {
        "--accelerator": ("onnxruntime",),
        "--dim": ("onnxruntime",),
        "--shapes": ("onnxruntime",),
        "--kind cpu": ("onnxruntime",),
    },
}
"""Of what depends on the backend: where it acts. Elsewhere it is refused by its name.

TensorRT-RTX is looked at on a machine without a GPU, as those are that most engines are built on.
"""


def cells(command: str) -> Iterator[tuple[str, str]]:
    """Every option of the table, with everything that the command runs on."""
    for option in ACTS[command]:
        for backend in ON[command]:
            yield option, backend


def alike(command: str) -> list[str]:
    """The options that do not depend on it."""
    depending = {option.split()[0] for option in ACTS[command]}
    return [name for name in options_of(command) if name not in depending]


def markdown() -> str:
    """The part of the page."""
    parts = []
    for command, on in ON.items():
        rows = [
            (f"`{option}`", *("acts" if one in acts else "refused" for one in on))
            for option, acts in ACTS[command].items()
        ]
        same, of_compare = alike(command), alike("compare")
        told = [f"`{name}`" for name in same]
        if command != "compare" and set(of_compare) <= set(same):
            told = ["those of `compare`", *(f"`{name}`" for name in same if name not in of_compare)]
        parts += [*table([f"`{command}`", *on], rows), "", f"On each alike: {', '.join(told)}.", ""]
    return "\n".join(parts).rstrip()


def page() -> str:
    """The page with this part in it."""
    return written_into(PAGE, BEGIN, END, markdown())


if __name__ == "__main__":
    atomic_write_text(PAGE, page(), force=True)
