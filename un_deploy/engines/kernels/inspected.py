"""Reads an engine's kernels from what its builder said, or else from its inspector.

TensorRT-RTX's builder tells of every kernel in a message (see `kernels`), and its engines load on
their own GPU alone. Standard TensorRT writes that message in other forms, or does not; there the
engine is loaded, and its inspector's JSON is read. Untested on hardware.

A tensor's type is a word in 11 ("Half") and in 10 a word or a sentence, "Channel major FP16 format
where channel % 8 == 0" (NVIDIA's trt-engine-explorer lists them). Up to 10, types of an engine with
open sizes can be "N/A due to dynamic shapes" until a context has shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from un_deploy.engines.flavor import Flavor, library
from un_deploy.engines.kernels.kernels import (
    BYTES,
    IDLE,
    NARROW,
    Kernel,
    KernelTensor,
    fused_in,
    parse_kernels,
    parse_readable_kernels,
)
from un_deploy.engines.kernels.layer_info import Layer, LayerTensor, parse_layer_info
from un_deploy.engines.log import first_error, listening
from un_deploy.engines.plan.load import LoadedPlan, deserialized
from un_deploy.errors import InputError

if TYPE_CHECKING:
    from tensorrt import EngineInspector, IExecutionContext

_WORDS = {name.lower(): name for name in (*BYTES, *NARROW)} | {
    "fp32": "Float",
    "fp16": "Half",
    "bf16": "BFloat16",
}
"""TensorRT's names of types, by how its sentences spell them."""


def engine_kernels(
    said: str, plan: bytes, *, origin: str, flavor: Flavor, portable: bool = False
) -> tuple[Kernel, ...]:
    """Of the builder's message, or of the inspector where that holds no kernel in the known form.

    Where the inspector cannot tell either, the kernels whose lines can be read are known, and the
    others are there unread. The builder's message starts with ``Layers:``, or is "" where there is
    none; see `un_deploy.engines.plan.load.deserialized` for the plan.

    Raises:
        InputError: neither tells; says why the inspector does not.
    """
    try:
        found = parse_kernels(said)
    except InputError:
        found = ()
    if not found:
        try:
            found = inspected_kernels(deserialized(plan, origin, flavor, portable=portable))
        except InputError:
            if not (found := parse_readable_kernels(said)):
                raise
    if not found:
        raise InputError(f"{origin}: TensorRT tells of no kernels")
    return found


def inspected_kernels(plan: LoadedPlan) -> tuple[Kernel, ...]:
    """What the inspector tells of an engine; nothing of one that was not built in detail.

    Raises:
        InputError: the inspector's text is in neither form.
    """
    inspector = plan.engine.create_engine_inspector()
    kernels = _inspected(plan, inspector)
    if all(is_readable(t) for kernel in kernels for t in _tensors(kernel)):
        return kernels
    inspector.execution_context = _at_the_optimum(plan)
    told = _inspected(plan, inspector)
    if [one.name for one in told] != [one.name for one in kernels]:
        return kernels
    return tuple(_with_types(*pair) for pair in zip(kernels, told, strict=True))


def kernels_of(layers: Iterable[Layer]) -> tuple[Kernel, ...]:
    """The layers that compute something; of an engine not built in detail none is known."""
    return tuple(_kernel(layer) for layer in layers if layer.detail and layer.kind not in IDLE)


def is_readable(tensor: KernelTensor) -> bool:
    """Whether TensorRT told the tensor's type."""
    return tensor.type in BYTES or tensor.type in NARROW


def _inspected(plan: LoadedPlan, inspector: EngineInspector) -> tuple[Kernel, ...]:
    trt = library(plan.flavor)
    form = trt.LayerInformationFormat.JSON
    return kernels_of(parse_layer_info(inspector.get_engine_information(form)).layers)


def _at_the_optimum(plan: LoadedPlan) -> IExecutionContext:
    """A context for the shapes that the first profile is tuned for; it never runs."""
    trt = library(plan.flavor)
    with listening() as heard:
        context = plan.engine.create_execution_context()
    if context is None:
        raise InputError(f"{plan.origin} cannot be inspected: {first_error(heard)}")
    for index in range(plan.engine.num_io_tensors):
        name = plan.engine.get_tensor_name(index)
        is_input = plan.engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        if is_input and -1 in tuple(plan.engine.get_tensor_shape(name)):
            _, optimum, _ = plan.engine.get_tensor_profile_shape(name, 0)
            context.set_input_shape(name, optimum)
    return context


def _with_types(kernel: Kernel, told: Kernel) -> Kernel:
    """The same kernel, its sizes as they are, with the types that are told of its double."""
    types = {tensor.name: tensor.type for tensor in _tensors(told)}

    def typed(tensors: tuple[KernelTensor, ...]) -> tuple[KernelTensor, ...]:
        return tuple(
            replace(tensor, type=types.get(tensor.name, tensor.type)) for tensor in tensors
        )

    return replace(
        kernel,
        inputs=typed(kernel.inputs),
        constants=typed(kernel.constants),
        outputs=typed(kernel.outputs),
    )


def _tensors(kernel: Kernel) -> tuple[KernelTensor, ...]:
    return (*kernel.inputs, *kernel.constants, *kernel.outputs)


def _kernel(layer: Layer) -> Kernel:
    return Kernel(
        name=layer.name,
        layer_type=layer.kind,
        fused=fused_in(layer.name),
        tactic=layer.tactic,
        inputs=tuple(map(_tensor, layer.inputs)),
        constants=tuple(map(_tensor, layer.constants)),
        outputs=tuple(map(_tensor, layer.outputs)),
        onnx_nodes=layer.onnx_nodes,
    )


def _tensor(tensor: LayerTensor) -> KernelTensor:
    told = tensor.format if tensor.datatype is None else tensor.datatype
    return KernelTensor(tensor.name, tensor.dims, _type(told))


def _type(told: str) -> str:
    """The one type that a text names, or the text itself."""
    named = {_WORDS[word] for word in re.findall(r"[a-z]+\d*", told.lower()) if word in _WORDS}
    return named.pop() if len(named) == 1 else told
