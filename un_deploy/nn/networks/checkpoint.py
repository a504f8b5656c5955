"""Loads checkpoints strictly, and refuses to deploy norms that never saw data."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from un_deploy.arguments.check import shown
from un_deploy.arguments.names import argument
from un_deploy.errors import (
    InputError,
    MissingPackageError,
    UnifiedCheckpointError,
    UntrainedError,
)
from un_deploy.install import how_to_install_package
from un_deploy.nn.earlier_states import without_constants
from un_deploy.nn.unified_norm import UnifiedNorm
from un_deploy.printed import number_of

_WRAPPERS = ("state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and DDP, and torch.compile, put in front of every name: the same network."""

_SHOWN = 3


def load_checkpoint(
    model: nn.Module,
    checkpoint: str | os.PathLike[str] | Mapping[str, Any],
    *,
    untrained: bool = False,
) -> None:
    """Load a state_dict into `model`; every key and shape must match.

    Args:
        model: receives the values; unchanged when anything is refused. Of tied weights one name
            is enough.
        checkpoint: a file written by `torch.save` (read with weights_only), a `.safetensors` file,
            or a mapping. A state_dict inside a dict under "state_dict", "model" or
            "model_state_dict" is found; ``module.`` of DataParallel or ``_orig_mod.`` of
            torch.compile in front of every name is taken off.
        untrained: also accept a LayerNorm model's checkpoint into a model of `UnifiedNorm`s: the
            norms' weight and bias are loaded, their statistics stay as they are.

    Raises:
        InputError: the file is missing or no checkpoint; keys or shapes differ; or the norms'
            statistics are missing and `untrained` was not given.
        MissingPackageError: a `.safetensors` file without the package safetensors.
    """
    if isinstance(checkpoint, Mapping):
        where, content = "the checkpoint", checkpoint
    else:
        where, content = str(checkpoint), _read(Path(checkpoint))
    expected = model.state_dict()
    state = _unwrapped(_state_dict(content, where), expected)
    state |= _tied(model, state)
    for name, module in model.named_modules():
        if isinstance(module, UnifiedNorm):
            without_constants(module, state, f"{name}." if name else "")

    statistics = _missing_statistics(model, state)
    if statistics and not untrained:
        raise InputError(
            f"{where} holds no statistics for {some(list(statistics))}: it looks like a LayerNorm "
            "model's checkpoint; convert the trained network (un-deploy convert), train it with "
            f"Unified Normalization, or pass {argument('untrained', True)} if only speed is of "
            "interest"
        )
    allowed = {key for keys in statistics.values() for key in keys}
    _check_keys(
        [key for key in expected if key not in state and key not in allowed],
        [key for key in state if key not in expected],
        where,
        state,
        expected,
    )
    _check_shapes(state, expected, where)
    model.load_state_dict(state, strict=False)


def require_trained(model: nn.Module) -> None:
    """Refuse a model whose `UnifiedNorm`s have statistics no data has reached (`iters` is 0).

    Raises:
        UntrainedError: names the modules.
    """
    if never := never_updated(model):
        raise UntrainedError(
            f"{never}: train the model or load a trained checkpoint, or pass "
            f"{argument('untrained', True)} if only speed is of interest"
        )


def never_updated(model: nn.Module) -> str:
    """Of which `UnifiedNorm`s no data has reached the statistics (`iters` is 0); "" if of none."""
    norms = [
        name or type(module).__name__
        for name, module in model.named_modules()
        if isinstance(module, UnifiedNorm) and int(module.iters) == 0
    ]
    if not norms:
        return ""
    return f"the statistics of {number_of(len(norms), 'norm')} ({some(norms)}) were never updated"


def _read(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint file")
    read = _safetensors_loader(path) if path.suffix == ".safetensors" else _torch_load
    try:
        return read(path)
    except Exception as error:  # damaged files raise anything from EOFError to UnpicklingError
        if found := _UNSUPPORTED.search(str(error)):
            raise InputError(
                f"{path} holds a whole model or another object ({found[1]}), not weights alone; "
                "it is not read, since that could run code: save model.state_dict() in its place"
            ) from error
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"{path}: not a checkpoint of tensors ({reason})") from error


_UNSUPPORTED = re.compile(r"Unsupported global: GLOBAL ([\w.]+)")
"""What torch says of the first class in a file that is not on its list."""


def _safetensors_loader(path: Path) -> Callable[[Path], Any]:
    try:
        loader: Callable[[Path], Any] = importlib.import_module("safetensors.torch").load_file
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"reading {path} needs the package safetensors, which is not installed: "
            f"{how_to_install_package('pip install safetensors')}"
        ) from error
    return loader


def _torch_load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _state_dict(content: Any, where: str) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{where}: holds no state_dict (a dict of tensors by name)")
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise InputError(
                f"{where}: {key!r} is {shown(value)}, not a tensor; save "
                "model.state_dict(), alone or under 'state_dict'"
            )
    return dict(content)


def _unwrapped(state: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With names as the network itself has them, where a wrapper of torch is in front of all."""
    for prefix in _PREFIXES * 2:  # either may be around the other
        if all(key.startswith(prefix) for key in state) and not _some_start(expected, prefix):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _some_start(names: Iterable[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)


def _missing_statistics(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """The norms whose parameters, if any, are in the state but none of whose buffers is."""
    missing: dict[str, list[str]] = {}
    for name, module in model.named_modules():
        if not isinstance(module, UnifiedNorm):
            continue
        prefix = f"{name}." if name else ""
        buffers = [prefix + buffer for buffer, _ in module.named_buffers(recurse=False)]
        parameters = [prefix + name for name, _ in module.named_parameters(recurse=False)]
        if all(name in state for name in parameters) and not any(
            buffer in state for buffer in buffers
        ):
            missing[name or type(module).__name__] = buffers
    return missing


def _tied(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that the model has under two names, of which one was saved: under the other one."""
    own = model.state_dict(keep_vars=True)
    saved = {id(one): state[name] for name, one in own.items() if name in state}
    missing = {name: id(one) for name, one in own.items() if name not in state}
    return {name: saved[one] for name, one in missing.items() if one in saved}


def _check_keys(
    missing: Sequence[str],
    unexpected: Sequence[str],
    where: str,
    state: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
) -> None:
    if not missing and not unexpected:
        return
    parts = [f"lacks {some(missing)}"] if missing else []
    parts += [f"has {some(unexpected)}, which the model does not"] if unexpected else []
    text = f"{where} does not fit the model: it {' and '.join(parts)}"
    if any(key.endswith(("buffer_x2", "ema_gz")) for key in unexpected):
        hint = 'it comes from the released UN module: build the model with mode="official"'
        raise InputError(f"{text}; {hint}")
    if holds_statistics(unexpected) and not holds_statistics(expected):
        raise UnifiedCheckpointError(
            f"{text}; it was trained with Unified Normalization: build the model with it, by "
            f"{argument('norm', 'un')} or convert_norms"
        )
    prefix = next(iter(state)).partition(".")[0] + "."
    if all(key.startswith(prefix) for key in state) and not _some_start(expected, prefix):
        text += (
            f"; every name of it begins with {prefix}, as where the network is a part of what was "
            f"saved: save the state_dict() of that part, {prefix[:-1]}"
        )
    elif wrapped := [prefix for prefix in _PREFIXES if any(prefix in key for key in unexpected)]:
        text += (
            f"; names of it have the {wrapped[0]} of a wrapper (DataParallel, AveragedModel, "
            "torch.compile): save the state_dict() of the network inside"
        )
    raise InputError(text)


def holds_statistics(names: Iterable[str]) -> bool:
    """Whether names of a state_dict are those of `UnifiedNorm`s' statistics."""
    return any(name.rpartition(".")[2] == "iters" for name in names)


def _check_shapes(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str) -> None:
    wrong = [
        f"{key} {tuple(value.shape)}, the model's is {tuple(expected[key].shape)}"
        for key, value in state.items()
        if value.shape != expected[key].shape
    ]
    if wrong:
        raise InputError(f"{where} does not fit the model: it has {some(wrong, '; ')}")


def some(names: Sequence[str], separator: str = ", ") -> str:
    """The first names, and how many more there are."""
    shown = separator.join(names[:_SHOWN])
    rest = len(names) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
