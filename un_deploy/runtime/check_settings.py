"""Refuses settings that a backend would ignore, by name, before anything runs."""

from __future__ import annotations

from un_deploy.errors import InputError
from un_deploy.runtime.backends import BACKENDS, backend_named


def check_settings(backend: str, **given: object) -> None:
    """Hold settings against what the table of backends says that the backend takes.

    Args:
        given: threads, device and precision as they were asked for; None: not asked for.

    Raises:
        InputError: the backend does not take one of them; names it, and the backends that do. Or
            threads are given to what computes on a GPU.
    """
    for name, value in given.items():
        if value is not None and name not in backend_named(backend).takes:
            able = ", ".join(one.name for one in BACKENDS.values() if name in one.takes)
            raise InputError(f"{backend} takes no --{name}, {able} do: leave it out")
    device = given.get("device")
    if given.get("threads") is not None and str(device or "cpu").partition(":")[0] != "cpu":
        raise InputError(f"--threads is of the CPU, and {backend} was to run on {device}")
