"""Settings that a backend would ignore are refused by name; those that others make are told."""

from __future__ import annotations

from un_deploy.arguments.names import argument
from un_deploy.cpus import limited_threads
from un_deploy.errors import InputError
from un_deploy.gpu import check_tf32_override
from un_deploy.runtime.backends import BACKENDS, backend_named
from un_deploy.runtime.settings import RunSettings


def check_settings(backend: str, **given: object) -> None:
    """Hold settings against what the table of backends says that the backend takes.

    Args:
        given: settings as they were asked for; None: not asked for.

    Raises:
        InputError: the backend does not take one of them; names it, and the backends that do. Or
            threads are given to what computes on a GPU, or TF32 is asked for of what computes on
            the CPU.
    """
    for name, value in given.items():
        if value is not None and name not in backend_named(backend).takes:
            able = ", ".join(one.name for one in BACKENDS.values() if name in one.takes)
            raise InputError(f"{backend} takes no {_named(name, value)}, {able} do: leave it out")
    device, tf32 = given.get("device"), given.get("tf32")
    if given.get("threads") is not None and str(device or "cpu").partition(":")[0] != "cpu":
        raise InputError(
            f"{argument('threads')} is of the CPU, and {backend} was to run on {device}"
        )
    if tf32 is not None and not has_tf32(backend, device):
        raise InputError(
            f"{_named('tf32', tf32)} is of NVIDIA's GPUs, and {backend} was to run on "
            f"{device or 'cpu'}: give {argument('device', 'cuda')} with it, or leave it out"
        )


def check_environment(settings: RunSettings) -> None:
    """Refuse TF32 that the environment forbids.

    Raises:
        InputError: it does.
    """
    if settings.tf32 and has_tf32(settings.backend, settings.device):
        check_tf32_override()


def has_tf32(backend: str, device: object) -> bool:
    """Whether what computes may have TF32; the device is torch's, None: its default."""
    takes = backend_named(backend).takes
    return "tf32" in takes and ("device" not in takes or str(device or "cpu").startswith("cuda"))


def _named(name: str, value: object) -> str:
    """With its value, where that is no more than whether."""
    return argument(name, value if isinstance(value, bool) else None)


def threads_in_effect(backend: str, threads: int | None, device: str | None) -> int | None:
    """How many threads compute on the CPU, where anyone but the backend has a say.

    Args:
        backend, device: see `RunSettings`; device None: "cpu".
        threads: that were asked for; None: OMP_NUM_THREADS or a quota decides, if there is one.

    Returns:
        None where the backend chooses, or where no CPU computes.
    """
    on_cpu = (device or "cpu").partition(":")[0] == "cpu"
    takes = "threads" in backend_named(backend).takes
    return (threads or limited_threads()) if on_cpu and takes else None
