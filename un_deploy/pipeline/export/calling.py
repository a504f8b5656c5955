"""How a module is called for an export: with the given inputs alone, and tensors alone come out.

What a forward takes and returns besides (keyword-only arguments, flags that are not given, caches,
output classes) is where torch's exporters stumble.
"""

from __future__ import annotations

import inspect
import re
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import fields, is_dataclass
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from un_deploy.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn


def in_order(module: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs in the order of forward's parameters; what goes into its ``**kwargs`` last.

    Raises:
        InputError: an input that forward does not take, or one that it lacks.
    """
    parameters = inspect.signature(module.forward).parameters
    forward = f"{type(module).__name__}.forward({', '.join(parameters)})"
    kinds = {parameter.kind for parameter in parameters.values()}
    named = {name for name, one in parameters.items() if one.kind not in _VARIADIC}
    for name in inputs:
        if name not in named and Parameter.VAR_KEYWORD not in kinds:
            raise InputError(f"{forward} takes no input {name!r}")
    for name, one in parameters.items():
        if name in named and one.default is Parameter.empty and name not in inputs:
            raise InputError(f"{forward} needs the input {name!r}")
    return {name: inputs[name] for name in dict.fromkeys((*parameters, *inputs)) if name in inputs}


def call(module: nn.Module, inputs: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """Run a module on its inputs: every tensor in what forward returns, named, in its order.

    Names are the keys of a mapping or the fields of a dataclass, else ``output`` (``output_0``,
    ``output_1``, ... for a sequence). A decoder runs without a cache.

    Raises:
        InputError: forward returns something that is no tensor and holds none.
    """
    return list(_leaves("", _call(module, inspect.signature(module.forward), inputs)))


def tensors_alone(module: nn.Module, names: Sequence[str]) -> nn.Module:
    """The module, whose forward takes exactly these inputs and returns its tensors in a tuple.

    It shares all parts with the module, which stays as it is, and calls them by the same names.
    """
    alone = copy(module)
    forward: Callable[..., Any] = (
        module.forward if "forward" in vars(module) else type(module).forward.__get__(alone)
    )
    takes = inspect.signature(forward)

    def exact(*values: Tensor, **named: Tensor) -> Tensor | tuple[Tensor, ...]:
        given = {**dict(zip(names, values, strict=False)), **named}
        found = tuple(tensor for _, tensor in _leaves("", _call(forward, takes, given)))
        return found[0] if len(found) == 1 else found

    either = Parameter.POSITIONAL_OR_KEYWORD
    exact.__signature__ = Signature([Parameter(name, either) for name in names])  # type: ignore[attr-defined]
    alone.forward = exact
    return alone


def own_names(module: nn.Module, told: Iterable[str]) -> dict[str, str]:
    """The dotted names of the modules that torch.export names by how it came to them.

    Where the network is called through a wrapper, as `tensors_alone` does, or a partial, a bound
    method or a hook, it calls the module ``encoder.norm``
    ``forward.__closure__[0].cell_contents.__self__.encoder.norm``; that path is walked.

    Args:
        module: that was exported.
        told: names, as torch.export has them.

    Returns:
        told name -> name in ``module.named_modules()``, ``""`` for the module itself; without
        those that are names already, or lead to no module of this one.
    """
    known = {name for name, _ in module.named_modules(remove_duplicate=False)}
    # A copy of a module, as a wrapper makes, has its parts in common.
    names = {id(part._modules): name for name, part in module.named_modules()}
    found = {_NOWHERE: ""}
    for path in set(told) - known:
        before, call, again = path.partition("@")  # which of several calls of a module it is
        with suppress(Exception):  # what stands in front may be anybody's object
            name = names[id(_reached(module, before)._modules)]
            found[path] = f"{name}{call}{again}" if name else ""
    return found


_NOWHERE = "_empty_nn_module_stack_from_metadata_hook"
"""What torch.export says of an operator that it made itself."""

_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]+)\]")


def _reached(start: Any, path: str) -> Any:
    """Follow a path such as ``forward.args[0].blocks.0``."""
    for name, key in _STEP.findall(path):
        parts = getattr(start, "_modules", {})
        if key:
            start = start[literal_eval(key)]
        else:
            start = parts[name] if name in parts else getattr(start, name)
    return start


_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def _call(function: Callable[..., Any], takes: Signature, given: Mapping[str, Tensor]) -> Any:
    """Call with the given arguments; a cache is not asked for."""
    positional = [
        given.get(name, one.default)
        for name, one in takes.parameters.items()
        if one.kind is Parameter.POSITIONAL_ONLY
    ]
    only = list(takes.parameters)[: len(positional)]
    without: dict[str, Any] = {"use_cache": False} if "use_cache" in takes.parameters else {}
    return function(
        *positional, **without, **{name: one for name, one in given.items() if name not in only}
    )


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield name or "output", value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(f"{name}_{key}" if name else str(key), part)
    elif isinstance(value, (tuple, list)):
        for index, part in enumerate(value):
            yield from _leaves(f"{name or 'output'}_{index}", part)
    elif is_dataclass(value):
        yield from _leaves(name, {one.name: getattr(value, one.name) for one in fields(value)})
    elif value is not None:
        kind, where = type(value).__name__, f" as {name}" if name else ""
        cure = "; switch it off, as with config.use_cache = False" if "Cache" in kind else ""
        raise InputError(f"forward returns a {kind}{where}; only tensors can be exported{cure}")
