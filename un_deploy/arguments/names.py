"""What an argument is called where a message is read: a parameter, or an option.

What goes wrong is found far below both doors, and its message is made there. So it names an
argument through `argument`, which words it for whoever called: ``keep_fp32`` in Python,
``--keep-fp32`` on the command line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: Set while a command runs. In the environment, so that the processes a command starts have it too.
_COMMAND = "UN_DEPLOY_NAMES_OPTIONS"

_OPTIONS = {
    "sizes": "--dim",
    "dims": "--dim",
    "dynamic_axes": "--dynamic",
    "checkpoints": "--checkpoint",
    "checkpoints['ln']": "--ln-checkpoint",
    "checkpoints['un']": "--checkpoint",
    "logs": "--keep-logs",
    "outputs": "--mark-output",
    "preferred_batch_sizes": "--preferred-batch-size",
    "memory_pools": "--memPoolSize",
    "builder_optimization_level": "--builderOptimizationLevel",
    "timing_cache": "--timingCacheFile",
    "version_compatible": "--versionCompatible",
    "hardware_compatibility": "--hardwareCompatibilityLevel",
    "strip_weights": "--stripWeights",
    "refit": "--refit",
    "input_formats": "--inputIOFormats",
    "output_formats": "--outputIOFormats",
    "compute_capabilities": "--computeCapability",
    "profiles": "--shapes",
}
"""Options that are not spelled as their parameter is; trtexec's are among them."""

_OFF = {"dynamic": "--static"}
"""Options that switch a parameter off and are not ``--no-`` and its name."""


def argument(name: str, value: object = None) -> str:
    """A parameter as its caller knows it, with a value if one is to be shown.

    ``argument("keep")`` is ``keep`` or ``--keep``; ``argument("precision", "fp16")`` is
    ``precision='fp16'`` or ``--precision fp16``; ``argument("verify", False)`` is ``verify=False``
    or ``--no-verify``; ``argument("dims", {"batch": 8})`` is ``dims={'batch': 8}`` or ``--dim
    batch=8``.
    """
    if _COMMAND not in os.environ:
        return name if value is None else f"{name}={value!r}"
    option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
    if value is None or value is True:
        return option
    if value is False:
        return _OFF.get(name, f"--no-{name.replace('_', '-')}")
    of_trtexec = option != option.lower()
    if isinstance(value, Mapping):
        middle = ":" if of_trtexec else "="
        value = ",".join(f"{key}{middle}{one}" for key, one in value.items())
    return f"{option}{'=' if of_trtexec else ' '}{value}"


@contextmanager
def as_options() -> Iterator[None]:
    """Name arguments as the command line does, while a command runs."""
    before = os.environ.get(_COMMAND)
    os.environ[_COMMAND] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_COMMAND]
        else:
            os.environ[_COMMAND] = before
