"""From a PyTorch module to an ONNX model in memory, by either of torch's exporters."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

import onnx_ir

from un_deploy.errors import InputError, UnDeployError, first_cause, first_line, needs
from un_deploy.graph.model.labels import rename_scopes, scopes_of
from un_deploy.pipeline.export.calling import in_order, own_names, tensors_alone
from un_deploy.pipeline.export.forward import (
    Axes,
    declared_axes,
    dim_sizes,
    evaluating,
    or_static,
    outputs_of,
    shrunk,
)
from un_deploy.pipeline.export.quiet import quiet
from un_deploy.pipeline.export.torchscript_operators import more_operators

if TYPE_CHECKING:
    from torch import Tensor, nn

Exporter = Literal["dynamo", "torchscript"]

OPSETS: dict[Exporter, range] = {"dynamo": range(17, 25), "torchscript": range(9, 21)}
"""What each exporter can write: beyond it they give another opset, or the name of one only."""


_FROZEN = re.compile("static shape|specializ|Constraints violated|data-dependent", re.IGNORECASE)

STACK_TRACE = "pkg.torch.onnx.stack_trace"
"""Metadata of the dynamo exporter that holds paths of the machine it ran on."""


def check_opset(opset: int, exporter: Exporter) -> None:
    """Refuse an opset before torch is imported.

    Raises:
        InputError: this exporter does not write it.
    """
    if opset not in OPSETS[exporter]:
        low, high = OPSETS[exporter][0], OPSETS[exporter][-1]
        raise InputError(f"the {exporter} exporter has the opsets {low} to {high}, not {opset}")


def to_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    *,
    dynamic_axes: Axes | None = None,
    output_names: Sequence[str] | None = None,
    opset: int = 20,
    exporter: Exporter = "dynamo",
) -> onnx_ir.Model:
    """Export a module, in eval mode, keeping the names of inputs, outputs and dimensions.

    The same module gives the same bytes. Its weights are shared with the module's memory until
    the model is saved.

    Args:
        module: it stays as it is.
        inputs: by the names of forward's parameters; dynamic dimensions at least 2.
        dynamic_axes: input name -> {axis: name of the dimension}; ``{}`` for a static graph;
            None: what the module declares (see `un_deploy.pipeline.export.forward`).
        output_names: one for each output; None: what the module declares.
        opset: of the default operator domain; what is asked for is what is got.
        exporter: ``"dynamo"`` (through torch.export) or ``"torchscript"`` (the older tracer).

    Raises:
        InputError: the opset is not to be had, the inputs do not fit, the exporter fails, or
            a dynamic dimension turned out to be fixed.
        MissingPackageError: torch or onnxscript is not installed.
    """
    check_opset(opset, exporter)
    # Copies: of one tensor that is given for two inputs, dynamo would make one.
    inputs = {name: one.clone() for name, one in in_order(module, inputs).items()}
    axes = declared_axes(module, inputs) if dynamic_axes is None else dynamic_axes
    sizes = dim_sizes(inputs, axes)
    outputs = outputs_of(module, inputs, output_names)
    try:
        with evaluating(module), _plain_attention(), quiet():
            alone = tensors_alone(module, list(inputs))
            if exporter == "dynamo":
                model = _dynamo(alone, inputs, axes, list(outputs), opset)
            else:
                varying = _output_axes(module, inputs, axes, sizes, outputs)
                model = _torchscript(alone, inputs, {**axes, **varying}, list(outputs), opset)
    except UnDeployError:
        raise
    except Exception as error:
        text = first_line(first_cause(error))  # the exporters wrap it in advice of many lines
        cure = or_static() if axes and _FROZEN.search(text) else ""
        raise InputError(
            f"the {exporter} exporter cannot export {type(module).__name__}: {text}{cure}"
        ) from error
    _keep_unused(model, inputs, axes)
    _check_signature(model, inputs, axes, list(outputs))
    if model.opset_imports.get("") != opset:
        raise InputError(
            f"the {exporter} exporter cannot write this network with opset {opset}, "
            f"only with {model.opset_imports.get('')}"
        )
    return model


def _dynamo(
    module: nn.Module, inputs: dict[str, Tensor], axes: Axes, output_names: list[str], opset: int
) -> onnx_ir.Model:
    with needs("torch"):
        import onnxscript  # noqa: F401  (the exporter needs it)
        import torch
    program = torch.onnx.export(
        module,
        kwargs=inputs,
        input_names=list(inputs),
        output_names=output_names,
        opset_version=opset,
        dynamic_shapes={name: dict(axes.get(name, {})) for name in inputs},
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    model = program.model
    told = {name for graph in model.graphs() for node in graph for name in scopes_of(node)[:-1]}
    names = own_names(module, told)
    for graph in model.graphs():
        for node in graph:
            rename_scopes(node, names)
            node.metadata_props.pop(STACK_TRACE, None)
        for value in graph.initializers.values():
            tensor = value.const_value
            assert tensor is not None
            # Plain tensors: whoever reads the model needs no torch.
            value.const_value = onnx_ir.Tensor(tensor.numpy(), tensor.dtype, name=tensor.name)
    return model


def _torchscript(
    module: nn.Module, inputs: dict[str, Tensor], axes: Axes, output_names: list[str], opset: int
) -> onnx_ir.Model:
    with needs("torch"):
        import torch
    with TemporaryDirectory(prefix="un-deploy-") as folder, more_operators():
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            module,
            (),
            path,
            kwargs=inputs,
            input_names=list(inputs),
            output_names=output_names,
            opset_version=opset,
            dynamic_axes=axes,
            dynamo=False,
        )
        # Beyond 2 GB the exporter leaves the weights in files beside the model.
        return onnx_ir.external_data.load_to_model(onnx_ir.load(path))


def _output_axes(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    axes: Axes,
    sizes: Mapping[str, int],
    outputs: Mapping[str, Tensor],
) -> dict[str, dict[int, str]]:
    """Axes of the outputs that shrink with a dynamic dimension, found by running forward.

    The TorchScript exporter invents names for them unless it is told.
    """
    found: dict[str, dict[int, str]] = {name: {} for name in outputs}
    for dim, size in sizes.items():
        with suppress(InputError):  # a network may refuse the smaller size
            smaller = outputs_of(module, shrunk(inputs, axes, dim), list(outputs))
            for name, output in outputs.items():
                shapes = zip(output.shape, smaller[name].shape, strict=True)
                found[name] |= {
                    axis: dim for axis, pair in enumerate(shapes) if pair == (size, size - 1)
                }
    return found


def _keep_unused(model: onnx_ir.Model, inputs: Mapping[str, Tensor], axes: Axes) -> None:
    """Inputs that forward does not use stay inputs, which TorchScript drops, and are warned of."""
    taken = model.graph.inputs
    for place, (name, tensor) in enumerate(inputs.items()):
        if name not in [value.name for value in taken]:
            open_ = axes.get(name, {})
            shape = onnx_ir.Shape([open_.get(axis, n) for axis, n in enumerate(tensor.shape)])
            dtype = onnx_ir.DataType.from_numpy(tensor.numpy().dtype)
            taken.insert(place, onnx_ir.val(name, dtype, shape))
    for value in taken:
        if not value.uses() and value not in model.graph.outputs:
            warnings.warn(f"forward does not use the input {value.name}", stacklevel=3)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Without gradients PyTorch runs whole encoder layers as one operator; no exporter has it."""
    import torch

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _check_signature(
    model: onnx_ir.Model, inputs: Mapping[str, Tensor], axes: Axes, output_names: list[str]
) -> None:
    """Names and dynamic dimensions came out as they were asked for."""
    for kind, values, names in (
        ("inputs", model.graph.inputs, list(inputs)),
        ("outputs", model.graph.outputs, output_names),
    ):
        got = [value.name or "" for value in values]
        if got != names:
            raise InputError(
                f"the exported graph has the {kind} {', '.join(got)}, not {', '.join(names)}"
            )
    for value in model.graph.inputs:
        for axis, dim in axes.get(value.name or "", {}).items():
            found = value.shape[axis] if value.shape is not None else None
            if str(found) != dim:
                raise InputError(
                    f"input {value.name}: the dynamic dimension {dim} (axis {axis}) came out as "
                    f"{found}, to which the network ties it{or_static()}"
                )
