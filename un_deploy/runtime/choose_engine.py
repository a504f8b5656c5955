"""Which backend runs TensorRT engines on this machine, and what a report calls it."""

from __future__ import annotations

from collections.abc import Collection

from un_deploy.errors import InputError, MissingPackageError
from un_deploy.runtime.backends import BACKENDS, runtime_of
from un_deploy.runtime.protocol import DescribesItself
from un_deploy.runtime.settings import RunSettings


def choose_engine_backend(able: Collection[str] = ()) -> str:
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
                return one.name
    raise MissingPackageError(
        f"no TensorRT engine can be run here: {'; '.join(missing)}. un-deploy compare needs none: "
        "it times the variants in ONNX Runtime or torch, whose times are not those of engines"
    )


def runtime_title(settings: RunSettings) -> str:
    """A backend as the first line of a report names it; of trtexec its version and path.

    Raises:
        InputError: there is no such backend, or no trtexec.
    """
    runtime = runtime_of(settings)
    return runtime.title() if isinstance(runtime, DescribesItself) else settings.backend
