"""How a PyTorch module is called: its inputs in order, its outputs by name.

A module may say about itself (models/ does):

- ``example_inputs(batch=2) -> dict[str, Tensor]``: inputs by the names of forward's parameters;
- ``dynamic_axes``: input name -> {axis: name of the dimension}, as torch.onnx has it;
- ``output_names``: one name per output.

Without them the inputs come from the user, axis 0 of every input is ``batch``, and outputs are
named by how forward returns them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from un_deploy.errors import InputError, first_line, needs
from un_deploy.graph.model.input_specs import Feeds

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Axes = Mapping[str, Mapping[int, str]]


def example_inputs(module: nn.Module) -> dict[str, Tensor]:
    """The module's own example inputs.

    Raises:
        InputError: it has none.
    """
    examples: Callable[[], dict[str, Tensor]] | None = getattr(module, "example_inputs", None)
    if examples is None:
        raise InputError(
            f"{type(module).__name__} has no method example_inputs(); give its inputs with "
            "--inputs data.npz or --inputs loader.py:function"
        )
    return examples()


def as_tensors(feeds: Feeds) -> dict[str, Tensor]:
    """Arrays as tensors of the same type."""
    with needs("torch"):
        import torch
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in feeds.items()}


def in_order(module: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs in the order of forward's parameters.

    Raises:
        InputError: an input that forward does not take, or one that it lacks.
    """
    parameters = inspect.signature(module.forward).parameters
    forward = f"{type(module).__name__}.forward({', '.join(parameters)})"
    for name in inputs:
        if name not in parameters:
            raise InputError(f"{forward} takes no input {name!r}")
    for name, parameter in parameters.items():
        named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if named and parameter.default is parameter.empty and name not in inputs:
            raise InputError(f"{forward} needs the input {name!r}")
    return {name: inputs[name] for name in parameters if name in inputs}


def declared_axes(module: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, dict[int, str]]:
    """What the module says, for the inputs that are there; else axis 0 of each is ``batch``."""
    axes: Axes | None = getattr(module, "dynamic_axes", None)
    if axes is None:
        return {name: {0: "batch"} for name, tensor in inputs.items() if tensor.ndim}
    return {name: dict(axes[name]) for name in inputs if name in axes}


def outputs_of(
    module: nn.Module, inputs: Mapping[str, Tensor], names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Run forward in eval mode, without gradients.

    Args:
        names: one for each output; None: the module's ``output_names``, else the keys of a
            mapping, else ``output`` (``output_0``, ``output_1``, ... for a sequence).

    Returns:
        every tensor in what forward returns, in the exporters' order.

    Raises:
        InputError: forward fails, or the names do not fit.
    """
    with needs("torch"):
        import torch
    try:
        with evaluating(module), torch.no_grad():
            found = list(_leaves("", module(**inputs)))
    except InputError:
        raise
    except Exception as error:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in inputs.items())
        text = first_line(error)
        raise InputError(f"{type(module).__name__} fails on the inputs {shapes}: {text}") from error
    names = getattr(module, "output_names", None) if names is None else names
    if names is None:
        return dict(found)
    if len(names) != len(found):
        raise InputError(
            f"{type(module).__name__} has {len(found)} outputs, "
            f"but {len(names)} output names: {', '.join(names)}"
        )
    return dict(zip(names, (tensor for _, tensor in found), strict=True))


def dim_sizes(inputs: Mapping[str, Tensor], axes: Axes) -> dict[str, int]:
    """Size of each dynamic dimension in the inputs.

    Raises:
        InputError: an input or axis that is not there, two sizes for one dimension, or a size
            below 2, which the exporters take for a fixed one.
    """
    sizes: dict[str, int] = {}
    for name, dims in axes.items():
        if name not in inputs:
            raise InputError(f"dynamic axes of {name!r}, but the inputs are {', '.join(inputs)}")
        shape = tuple(inputs[name].shape)
        for axis, dim in dims.items():
            if not 0 <= axis < len(shape):
                raise InputError(f"input {name} of shape {shape} has no axis {axis}")
            if shape[axis] < 2:
                raise InputError(
                    f"input {name} has {dim} {shape[axis]}; a dynamic dimension needs at least 2"
                )
            if sizes.setdefault(dim, shape[axis]) != shape[axis]:
                raise InputError(
                    f"input {name} has {dim} {shape[axis]}, another input has {sizes[dim]}"
                )
    return sizes


def shrunk(inputs: Mapping[str, Tensor], axes: Axes, dim: str) -> dict[str, Tensor]:
    """The same inputs with one dynamic dimension smaller by one: a slice of valid inputs.

    Raises:
        InputError: the dimension is 1 already.
    """
    smaller = dict(inputs)
    for name, dims in axes.items():
        for axis in (axis for axis, found in dims.items() if found == dim):
            size = smaller[name].shape[axis] - 1
            if not size:
                raise InputError(f"input {name} has {dim} 1, which cannot be made smaller")
            smaller[name] = smaller[name].narrow(axis, 0, size)
    return smaller


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode for the while; every submodule gets its own mode back."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _leaves(name: str, value: object) -> Iterator[tuple[str, torch.Tensor]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield name or "output", value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(f"{name}_{key}" if name else str(key), part)
    elif isinstance(value, (tuple, list)):
        for index, part in enumerate(value):
            yield from _leaves(f"{name or 'output'}_{index}", part)
    elif value is not None:
        raise InputError(f"forward returns a {type(value).__name__}; only tensors can be exported")
