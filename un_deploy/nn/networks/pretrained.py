"""Saves converted Hugging Face models with a record of their norms, and loads them converted.

`save_pretrained` of transformers keeps the weights and the class; that some norms were swapped it
does not know. The record, un_deploy.json beside the weights, says which.
"""

from __future__ import annotations

import inspect
import json
import os
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError, first_line, needs
from un_deploy.files import atomic_write_text
from un_deploy.nn.networks.checkpoint import some
from un_deploy.nn.unified_norm import UnifiedNorm

RECORD = "un_deploy.json"
_VERSION = 1

_NOT_SAVED = {"device", "dtype", "process_group", "bias"}
"""Arguments that belong to a place or a run; bias, whose name the parameter has, is saved apart."""

Norms = Mapping[str, Mapping[str, Any] | None]
"""By module name: the arguments of a UnifiedNorm, or None for nn.Identity."""


def save_pretrained(model: nn.Module, folder: str | os.PathLike[str]) -> None:
    """Save a transformers model whose norms may be converted, for `load_pretrained` and export.

    Args:
        model: a ``transformers.PreTrainedModel``.
        folder: gets config.json, the weights as safetensors, and the record of the norms.

    Raises:
        InputError: it is no such model, or has a norm of a class derived from UnifiedNorm.
        TargetError: the record cannot be written.
        MissingPackageError: transformers is not installed.
    """
    with needs("transformers"):
        from transformers import PreTrainedModel
    if not isinstance(model, PreTrainedModel):
        raise InputError(f"{type(model).__name__} is no transformers model: save its state_dict()")
    with torch.device("meta"):
        plain = type(model)(model.config)
    record = {"version": _VERSION, "norms": norms_of(model, plain)}
    model.save_pretrained(folder)
    atomic_write_text(Path(folder) / RECORD, json.dumps(record, indent=1) + "\n", force=True)


def norms_of(model: nn.Module, plain: nn.Module) -> Norms:
    """What `convert_norms` put where, against the same network without it.

    Raises:
        InputError: a norm is of a class derived from UnifiedNorm.
    """
    before = dict(plain.named_modules(remove_duplicate=False))
    norms: dict[str, Mapping[str, Any] | None] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, UnifiedNorm):
            norms[name] = _arguments(module)
        elif type(module) is nn.Identity and type(before.get(name)) is not nn.Identity:
            norms[name] = None
    return norms


def put_norms(model: nn.Module, norms: Norms, where: str) -> None:
    """Put new norms where a record has them; one module under two names stays one.

    Args:
        model: with the norms that it had before.
        norms: the record.
        where: the record's file, for errors.

    Raises:
        InputError: the model has no such place, or no norm can be made of the record.
    """
    made: dict[nn.Module, nn.Module] = {}
    for name, arguments in norms.items():
        parent, _, child = name.rpartition(".")
        try:
            place = model.get_submodule(parent)
            old = place.get_submodule(child)
            if old not in made:
                new = nn.Identity() if arguments is None else UnifiedNorm(**arguments)
                made[old] = new.train(old.training)
        except (AttributeError, TypeError) as error:
            raise InputError(f"{where}: {name}: {first_line(error)}") from error
        setattr(place, child, made[old])


def load_pretrained(folder: str | os.PathLike[str], *, converted: bool = True) -> nn.Module:
    """The transformers model of a folder, in float32 and eval mode, with the norms of its record.

    The class is the one that config.json names; Python beside it is not run.

    Args:
        folder: config.json and safetensors; tied weights may be left out.
        converted: False: with the norms that the class has, whatever the record says.

    Raises:
        InputError: the folder cannot be read, weights are missing, or it holds the statistics of
            Unified Normalizations without a record of them.
        MissingPackageError: transformers is not installed.
    """
    folder = Path(folder)
    _refuse_diffusers(folder)
    with needs("transformers"):
        from transformers import AutoConfig
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no config.json, as a Hugging Face folder does")
    norms = _read_record(folder)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        kind = _class_of(config, folder)
        made = _with_norms(kind, norms) if norms and converted else kind
        model, told = made.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{folder}: no Hugging Face model: {first_line(error)}") from error
    if missing := sorted({*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])}):
        raise InputError(f"{folder}: its weights lack {some(missing)} of {kind.__name__}")
    statistics = sorted(key for key in told["unexpected_keys"] if key.endswith(".running_var"))
    if statistics and not norms:
        raise InputError(
            f"{folder} holds {some(statistics)} of Unified Normalizations, but no {RECORD}: "
            "save the model with un_deploy.nn.save_pretrained"
        )
    if (unknown := told["unexpected_keys"]) and not norms:
        warnings.warn(f"{folder}: {kind.__name__} has no {some(sorted(unknown))}", stacklevel=2)
    model.__class__ = kind
    loaded: nn.Module = model.eval()
    return loaded


def _refuse_diffusers(folder: Path) -> None:
    """Name the way in for a folder of diffusers, which transformers would take for a damaged one.

    Raises:
        InputError: it is a network of diffusers, or a pipeline of several.
    """
    if (folder / "model_index.json").is_file():
        raise InputError(
            f"{folder} is a pipeline of diffusers, of several networks: give one as "
            "FILE.py:factory, a function that returns from_pretrained() of its own folder"
        )
    with suppress(OSError, ValueError, AttributeError):
        name = json.loads((folder / "config.json").read_bytes()).get("_class_name")
        if name is not None:
            raise InputError(
                f"{folder} holds {name}, a network of diffusers: give it as FILE.py:factory, a "
                f"function that returns {name}.from_pretrained({str(folder)!r}), with "
                f"{argument('inputs')}"
            )


def _arguments(norm: UnifiedNorm) -> dict[str, Any]:
    """What makes a norm like it: whatever UnifiedNorm takes, from the norm or else its rule."""
    if type(norm) is not UnifiedNorm:
        raise InputError(f"{type(norm).__name__} is a norm that the record cannot describe")
    names = set(inspect.signature(UnifiedNorm).parameters) - _NOT_SAVED
    arguments = {
        name: getattr(norm if hasattr(norm, name) else norm.rule, name) for name in sorted(names)
    }
    return arguments | {"bias": norm.bias is not None}


def _read_record(folder: Path) -> Norms:
    path = folder / RECORD
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        norms: dict[str, dict[str, Any] | None] = record["norms"]
        if record["version"] != _VERSION or not all(
            value is None or isinstance(value, dict) for value in norms.values()
        ):
            raise ValueError("another version")
        for arguments in filter(None, norms.values()):
            if "num_channels" in arguments:  # as the first records have it
                arguments["normalized_shape"] = arguments.pop("num_channels")
            if isinstance(pair := arguments.get("window_size"), list):
                arguments["window_size"] = tuple(pair)
    except Exception as error:  # OSError, JSONDecodeError, KeyError, and what null or a list raises
        raise InputError(f"{path} is no record of norms: {first_line(error)}") from error
    return dict(norms)


def _class_of(config: Any, folder: Path) -> Any:
    """The model's class: the first that config.json names, else the plain one of its kind."""
    import transformers

    names = config.architectures or []
    if not names:
        return transformers.AutoModel._model_mapping[type(config)]
    kind = getattr(transformers, names[0], None)
    if kind is None:
        raise InputError(
            f"{folder}: config.json names {names[0]}, which transformers {transformers.__version__}"
            " does not have; give a factory that makes it, FILE.py:factory"
        )
    return kind


def _with_norms(kind: Any, norms: Norms) -> Any:
    """The class, whose new models have other norms: from_pretrained then finds their weights."""

    def init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        kind.__init__(self, *args, **kwargs)
        put_norms(self, norms, RECORD)

    return type(kind.__name__, (kind,), {"__init__": init, "__module__": kind.__module__})
