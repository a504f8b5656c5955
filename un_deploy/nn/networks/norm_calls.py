"""Normalizations that a network computes outside its norms' forwards, found by running it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from un_deploy.errors import InputError, first_line

ExampleInputs = Tensor | Sequence[Any] | Mapping[str, Any]

_NORMALIZATION = re.compile(
    r"(native_|_native_|_fused_)?(layer|rms|group|batch|instance|local_response)_norm"
)
_NO_VALUE = re.compile(r"__get__|type_as|\w+_like|new_\w+|to")
"""Functions that read a tensor's type, shape or device where it is not their first argument."""


class Calls(NamedTuple):
    """What ran outside the norms.

    Attributes:
        reads: a module whose parameters others read, and who: the function and the caller's name.
        functional: a module's name whose own forward calls a normalization, and the functions.
    """

    reads: dict[nn.Module, str]
    functional: dict[str, list[str]]


def find_calls(model: nn.Module, inputs: ExampleInputs, norms: Sequence[nn.Module]) -> Calls:
    """Run the model once, in eval mode and without gradient.

    Args:
        model: stays as it is.
        inputs: a tensor, a sequence of positional arguments, or a mapping by name.
        norms: the modules that are known as normalizations.

    Raises:
        InputError: the model does not run on the inputs.
    """
    names = {module: name for name, module in reversed(list(model.named_modules()))}
    watch = _Watch(names, norms)
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with _entered(model, watch.stack), watch, torch.no_grad():
            if isinstance(inputs, Mapping):
                model(**inputs)
            else:
                model(*((inputs,) if isinstance(inputs, Tensor) else inputs))
    except Exception as error:
        raise InputError(
            f"{type(model).__name__} does not run on example_inputs: {first_line(error)}"
        ) from error
    finally:
        for module in training:
            module.training = True
    return watch.calls


class _Watch(TorchFunctionMode):
    """Sees each function of torch, the modules whose forwards it runs in, and its tensors."""

    def __init__(self, names: Mapping[nn.Module, str], norms: Sequence[nn.Module]) -> None:
        super().__init__()
        self.names = names
        self.norms = set(norms)
        self.owners: dict[Tensor, list[nn.Module]] = {}  # several where a parameter is shared
        for norm in norms:
            for parameter in norm.parameters(recurse=False):
                self.owners.setdefault(parameter, []).append(norm)
        self.stack: list[nn.Module] = []
        self.calls = Calls({}, {})

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.stack and isinstance(result, (Tensor, tuple)):
            name = getattr(func, "__name__", "").split(".")[0]
            self._note(name, [*args, *(kwargs or {}).values()])
        return result

    def _note(self, function: str, args: list[Any]) -> None:
        caller = self.stack[-1]
        where = self.names[caller] or type(caller).__name__
        read = [x for x in args if isinstance(x, nn.Parameter) and x in self.owners]
        if _NO_VALUE.fullmatch(function):
            read = [x for x in read if function == "to" and x is args[0]]
        others = [p for p in read if not any(norm in self.stack for norm in self.owners[p])]
        for norm in (norm for parameter in others for norm in self.owners[parameter]):
            self.calls.reads.setdefault(norm, f"{function} in the forward of {where}")
        if not others and caller not in self.norms and _NORMALIZATION.fullmatch(function):
            self.calls.functional.setdefault(where, []).append(function)


@contextmanager
def _entered(model: nn.Module, stack: list[nn.Module]) -> Iterator[None]:
    """Keep on the stack the modules whose forwards are running, the innermost last."""

    def enter(module: nn.Module, args: Any) -> None:
        stack.append(module)

    def leave(module: nn.Module, args: Any, result: Any) -> None:
        stack.pop()

    hooks: list[Any] = []
    add: Callable[[Any], None] = hooks.append
    for module in model.modules():
        add(module.register_forward_pre_hook(enter, prepend=True))
        add(module.register_forward_hook(leave, always_call=True))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
