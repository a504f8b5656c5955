"""Which backend runs TensorRT engines on this machine, and what a report calls it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from un_deploy.errors import InputError, MissingPackageError
from un_deploy.runtime.backends import BACKENDS, runtime_of
from un_deploy.runtime.protocol import DescribesItself
from un_deploy.runtime.settings import RunSettings


@dataclass(frozen=True)
class EngineBackend:
    """A backend that runs engines on this machine.

    Attributes:
        name: in `un_deploy.runtime.backends.BACKENDS`.
        passed_over: of those that come before it, why they do not: to be told, since a trtexec
            that is there and not known would be passed over in silence.
    """

    name: str
    passed_over: tuple[str, ...] = ()


def choose_engine_backend(able: Collection[str] = ()) -> EngineBackend:
    """The first backend that runs engines on this machine: trtexec, TensorRT, TensorRT-RTX.

    Args:
        able: those to choose from; none: all.

    Raises:
        MissingPackageError: none does; says of each what is missing.
    """
    missing = []
    for one in BACKENDS.values():
        if one.builds_engines and (not able or one.name in able):
            try:
                one.check_machine()
            except (InputError, MissingPackageError) as error:
                missing.append(f"{one.name}: {error}")
            else:
                passed_over = (f"engines do not run in {why}" for why in missing)
                return EngineBackend(one.name, tuple(passed_over))
    raise MissingPackageError(
        f"no TensorRT engine can be run here: {'; '.join(missing)}. un-deploy compare needs none: "
        "it times the variants in ONNX Runtime or torch, whose times are not those of engines"
    )


def runtime_title(settings: RunSettings) -> str:
    """A backend as the first line of a report names it; of what runs engines with its version.

    Raises:
        InputError: there is no such backend, or no trtexec.
        MissingPackageError: the flavour of TensorRT is not installed.
    """
    runtime = runtime_of(settings)
    return runtime.title() if isinstance(runtime, DescribesItself) else settings.backend
