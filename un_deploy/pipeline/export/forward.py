"""What a PyTorch module says of its inputs, dimensions and outputs, and what it computes.

A module may say about itself (models/ does):

- ``example_inputs(batch=2) -> dict[str, Tensor]``: inputs by the names of forward's parameters;
- ``dynamic_axes``: input name -> {axis: name of the dimension}, as torch.onnx has it;
- ``output_names``: one name per output.

Without them the inputs come from the user, axis 0 of every input is ``batch``, and outputs are
named by how forward returns them (see `un_deploy.pipeline.export.calling`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import TYPE_CHECKING

import numpy as np

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError, first_line, needs
from un_deploy.graph.model.input_specs import Feeds
from un_deploy.pipeline.export.calling import call

if TYPE_CHECKING:
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
            f"{type(module).__name__} has no method example_inputs(); give the inputs of "
            f"forward({', '.join(signature(module.forward).parameters)}) with "
            f"{argument('inputs', 'data.npz')} or {argument('inputs', 'loader.py:function')}"
        )
    return examples()


def as_tensors(feeds: Feeds) -> dict[str, Tensor]:
    """Arrays as tensors of the same type."""
    with needs("torch"):
        import torch
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in feeds.items()}


def declared_axes(module: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, dict[int, str]]:
    """What the module says, for the inputs that are there; else axis 0 of each is ``batch``."""
    axes: Axes | None = getattr(module, "dynamic_axes", None)
    if axes is None:
        return {name: {0: "batch"} for name, tensor in inputs.items() if tensor.ndim}
    return {name: dict(axes[name]) for name in inputs if name in axes}


def more_axes(axes: Axes, others: Axes) -> dict[str, dict[int, str]]:
    """Both; where they name one axis, the others do."""
    names = dict.fromkeys((*axes, *others))
    return {name: {**axes.get(name, {}), **others.get(name, {})} for name in names}


def outputs_of(
    module: nn.Module, inputs: Mapping[str, Tensor], names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Run forward in eval mode, without gradients.

    Args:
        names: one for each output; None: the module's ``output_names``, else as forward returns
            them.

    Returns:
        every tensor in what forward returns, in the exporters' order.

    Raises:
        InputError: forward fails, or the names do not fit.
    """
    try:
        with evaluating(module):
            found = call(module, inputs)
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


def or_static() -> str:
    """What helps where a dimension is not to be dynamic, as a window of Swin freezes the batch."""
    return f"; {argument('dynamic', False)} exports it with every dimension fixed"


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
                    f"{or_static()}"
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
    """Eval mode and no gradients for the while; every submodule gets its own mode back."""
    import torch

    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode
