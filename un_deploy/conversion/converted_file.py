"""A converted network in a file: its weights, and which norms were put where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from un_deploy.errors import InputError
from un_deploy.files import staged
from un_deploy.nn import load_checkpoint
from un_deploy.nn.networks.pretrained import Norms, norms_of, put_norms

_RECORD = "un_deploy"
_VERSION = 1


def save_converted(
    model: nn.Module, path: str | os.PathLike[str], original: nn.Module, *, force: bool = False
) -> None:
    """Write the weights with a record of the norms, for `load_converted` and ``--checkpoint``.

    Args:
        model: converted.
        path: a .pt file, which `torch.load` reads with weights_only.
        original: the network before it was converted, to tell what is new.
        force: replace a file that is there.

    Raises:
        TargetError: the file exists or cannot be written.
    """
    record = {"version": _VERSION, "norms": dict(norms_of(model, original))}
    content = {"state_dict": model.state_dict(), _RECORD: record}
    with staged(Path(path), force=force) as (temporary,):
        torch.save(content, temporary)


def recorded_norms(path: str | os.PathLike[str]) -> Norms:
    """The norms that a checkpoint says were put where; empty for a checkpoint without a record.

    Raises:
        InputError: the record is of another version.
    """
    if Path(path).suffix == ".safetensors":
        return {}
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # load_checkpoint says what is wrong with the file
        return {}
    record = content.get(_RECORD) if isinstance(content, dict) else None
    if not isinstance(record, dict):
        return {}
    if record.get("version") != _VERSION or not isinstance(record.get("norms"), dict):
        raise InputError(f"{path}: its record of norms is of another version of un-deploy")
    norms: Norms = record["norms"]
    return norms


def load_converted(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Convert the network as the file says, and load its weights strictly.

    Args:
        model: with the norms that it had before the conversion; changed in place.
        path: of `save_converted`; a plain checkpoint is loaded as it is.

    Raises:
        InputError: the file is missing or damaged, or does not fit the network.
    """
    put_norms(model, recorded_norms(path), str(path))
    load_checkpoint(model, path)
