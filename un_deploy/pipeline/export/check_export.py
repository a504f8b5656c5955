"""Checks that an exported graph computes what the PyTorch module computes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir

from un_deploy.errors import InputError, VerificationError
from un_deploy.pipeline.export.calling import in_order
from un_deploy.pipeline.export.forward import or_static, outputs_of, shrunk
from un_deploy.runtime.backends import installed_runtimes
from un_deploy.runtime.protocol import Runtime, Session

if TYPE_CHECKING:
    from torch import Tensor, nn


def tolerance(eps: float) -> float:
    """Largest allowed max|graph - PyTorch| / max|PyTorch|: two thirds of the type's digits.

    The two order their sums differently, so rounding errors differ: float32 2.4e-5,
    float16 9.8e-3, bfloat16 3.9e-2, float64 3.7e-11. `eps` is the distance from 1 to the next
    number of the output's type.
    """
    return eps ** (2 / 3)


def check_export(
    module: nn.Module,
    model: onnx_ir.Model,
    inputs: Mapping[str, Tensor],
    *,
    runtime: Runtime | None = None,
) -> float:
    """Compare a graph with the module that it was exported from.

    Both run on the inputs, and once more for each dynamic dimension, made smaller by one: an
    exporter may freeze a size it has seen. A size of 0, or one that PyTorch refuses, is left out.

    Args:
        runtime: None: ONNX Runtime where it is installed, else torch, from the graph.

    Returns:
        the largest of max|graph - PyTorch| / max|PyTorch| over the float outputs.

    Raises:
        VerificationError: an output has another shape, differs by more than `tolerance`
            (integers and booleans: at all), or is NaN in PyTorch itself.
        InputError: the runtime cannot run the graph.
    """
    inputs = in_order(module, inputs)
    session = (runtime or installed_runtimes()[0]).load(model)  # torch made the module: it is there
    names = [value.name or "" for value in model.graph.outputs]
    axes = _dynamic_axes(model)
    trials = [(inputs, outputs_of(module, inputs, names))]
    for dim in sorted({dim for dims in axes.values() for dim in dims.values()}):
        with suppress(InputError):
            smaller = shrunk(inputs, axes, dim)
            trials.append((smaller, outputs_of(module, smaller, names)))
    worst = 0.0
    for feeds, expected in trials:
        try:
            worst = max(worst, _difference(session, feeds, expected))
        except VerificationError as error:
            frozen = feeds is not inputs
            raise VerificationError(f"{error}{or_static() if frozen else ''}") from error
    return worst


def _difference(
    session: Session, feeds: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> float:
    """The largest relative error of an output."""
    shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in feeds.items())
    try:
        got = session.run({name: value.numpy() for name, value in feeds.items()})
    except InputError as error:
        raise VerificationError(
            f"PyTorch computes on the inputs {shapes}, the exported graph does not: {error}"
        ) from error
    return max(
        _compare(f"output {name} on {shapes}", got[name], tensor)
        for name, tensor in expected.items()
    )


def _compare(what: str, got: np.ndarray, tensor: Tensor) -> float:
    """Relative error of one output; raises where it is too large."""
    import torch

    if got.shape != tuple(tensor.shape):
        raise VerificationError(
            f"{what}: the graph gives shape {got.shape}, PyTorch {tuple(tensor.shape)}"
        )
    if tensor.isnan().any():
        raise VerificationError(f"{what}: PyTorch itself gives NaN, so nothing can be compared")
    expected, found = tensor.double().numpy(), got.astype(np.float64)
    finite = np.isfinite(expected)
    # Infinities must be the same ones; so must integers.
    same = np.array_equal(found[~finite], expected[~finite])
    difference = float(np.abs(found[finite] - expected[finite]).max(initial=0))
    scale = float(np.abs(expected[finite]).max(initial=0))
    error = difference / scale if scale else difference
    allowed = tolerance(torch.finfo(tensor.dtype).eps) if tensor.is_floating_point() else 0.0
    if not same or not error <= allowed:
        raise VerificationError(
            f"{what}: the graph differs from PyTorch by {difference:.1e} where the largest value "
            f"is {scale:.1e}; allowed is {allowed:.1e} of it"
        )
    return error


def _dynamic_axes(model: onnx_ir.Model) -> dict[str, dict[int, str]]:
    """The graph's own dynamic dimensions, by input and axis."""
    return {
        value.name or "": {
            axis: dim.value
            for axis, dim in enumerate(value.shape or ())
            if isinstance(dim, onnx_ir.SymbolicDim) and dim.value
        }
        for value in model.graph.inputs
    }
