"""The two flavours, TensorRT and TensorRT-RTX: the module of each, and which is installed."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

from un_deploy.errors import InputError, MissingPackageError, needs
from un_deploy.install import how_to_install

Flavor = Literal["tensorrt", "tensorrt-rtx"]

TITLES: dict[Flavor, str] = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT-RTX"}
_MODULES: dict[Flavor, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_EXTRAS: dict[Flavor, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "rtx"}


def library(flavor: Flavor) -> ModuleType:
    """The module of a flavour: ``tensorrt``, or ``tensorrt_rtx`` with the same names in it.

    Raises:
        MissingPackageError: it is not installed.
        InputError: it is, but its own libraries do not load.
    """
    try:
        with needs(_EXTRAS[flavor]):
            return importlib.import_module(_MODULES[flavor])
    except (ImportError, OSError) as error:
        raise InputError(f"{TITLES[flavor]} does not load: {error}") from error


def choose_flavor(flavor: Flavor | Literal["auto"]) -> Flavor:
    """The flavour itself, or for "auto" the first that is installed, TensorRT before RTX.

    Raises:
        MissingPackageError: neither is installed.
    """
    if flavor != "auto":
        return flavor
    for known, module in _MODULES.items():
        if find_spec(module):
            return known
    raise MissingPackageError(
        f"engines need TensorRT: {how_to_install('rtx')} for TensorRT-RTX, or "
        f"{how_to_install('tensorrt')} for TensorRT (by pip from NVIDIA's index)"
    )


def described(flavor: Flavor) -> str:
    """A flavour and its version, for messages."""
    return f"{TITLES[flavor]} {library(flavor).__version__}"
