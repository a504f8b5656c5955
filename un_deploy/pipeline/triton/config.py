"""config.pbtxt for Triton Inference Server: how a model is served, as Triton's own message.

Triton's rules are those of its model_configuration page and of the checks that its server and its
two backends make while loading.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError, MissingPackageError, needs
from un_deploy.graph.model.input_specs import TensorSpec, sizes_given
from un_deploy.install import how_to_install
from un_deploy.pipeline.triton.batching import choose_max_batch_size
from un_deploy.pipeline.triton.served_model import ServedModel, ServedTensor
from un_deploy.pipeline.triton.warm_up import add_warm_up

#: (backend, platform) as Triton names them; the server derives one from the other, and its check
#: of profiles reads the platform.
BACKENDS = {"onnx": ("onnxruntime", "onnxruntime_onnx"), "plan": ("tensorrt", "tensorrt_plan")}

_TYPES = {
    "bool": "BOOL",
    "object": "STRING",  # as NumPy holds them
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
}
#: What each backend knows: of Triton's table of datatypes.
_KNOWN = {
    "onnx": _TYPES,
    "plan": {
        **{k: _TYPES[k] for k in ("bool", "float16", "float32", "int8", "int32", "int64", "uint8")},
        "bfloat16": "BF16",
    },
}

Accelerator = Literal["tensorrt", "tensorrt:fp16"]


@dataclass(frozen=True)
class Serving:
    """How a model is to be served.

    Attributes:
        max_batch_size: rows that Triton may put into one batch; 0: it makes no batches. None: 0
            where the model's first dimension is fixed, what a plan's profiles allow at most; an
            ONNX model that could be batched needs a number.
        dynamic_batching: let Triton join waiting requests; None: where batches can hold two.
        max_queue_delay: microseconds that a request may wait for others; None: it does not wait.
        preferred_batch_sizes: sizes at which Triton does not wait any longer.
        instances: copies of the model, on each GPU or on the CPU.
        kind: where they run; auto: on GPUs where the server has some, else on the CPU. A plan runs
            on GPUs alone.
        warm_up: run the model on zeros before it serves; None: where every size is known.
        sizes: dynamic dimensions' sizes for that, by name.
        shapes: the same as whole shapes, by input; where Triton makes batches, the first size is
            only held against the largest batch.
        accelerator: what runs an ONNX file's operators on a GPU as far as it can: TensorRT in
            fp32, or with leave to compute in fp16; None: ONNX Runtime's own.
    """

    max_batch_size: int | None = None
    dynamic_batching: bool | None = None
    max_queue_delay: int | None = None
    preferred_batch_sizes: Sequence[int] = ()
    instances: int = 1
    kind: Literal["auto", "gpu", "cpu"] = "auto"
    warm_up: bool | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    accelerator: Accelerator | None = None


def triton_messages() -> Any:
    """Triton's message classes: tritonclient's model_config_pb2.

    Raises:
        MissingPackageError: it is not installed, or without its gRPC part.
    """
    try:
        with needs("triton"):
            return importlib.import_module("tritonclient.grpc.model_config_pb2")
    except RuntimeError as error:  # what tritonclient makes of a missing grpc
        raise MissingPackageError(
            f"this needs tritonclient with grpc: {how_to_install('triton')}"
        ) from error


def make_config(model: ServedModel, name: str, serving: Serving) -> tuple[Any, tuple[str, ...]]:
    """The configuration of a model under its name in the repository, and notes on it.

    Raises:
        InputError: the model cannot be served, or not in this way.
        MissingPackageError: tritonclient is not installed.
    """
    messages = triton_messages()
    check_serving(serving)
    _check_servable(model)
    size, notes = choose_max_batch_size(model, serving.max_batch_size)
    backend, platform = BACKENDS[model.kind]
    config = messages.ModelConfig(
        name=name, backend=backend, platform=platform, max_batch_size=size
    )
    for fields, tensors in ((config.input, model.inputs), (config.output, model.outputs)):
        for tensor in tensors:
            _add(fields, tensor, model, messages, batched=size > 0)
    notes += tuple(_add_optional(config, model, messages))
    group = config.instance_group.add(
        count=serving.instances, kind=messages.ModelInstanceGroup.Kind.Value(_kind(model, serving))
    )
    if len(model.profiles) > 1:  # else Triton takes the first alone
        group.profile.extend(str(index) for index in range(len(model.profiles)))
    _add_dynamic_batching(config, serving)
    _add_accelerator(config, model, serving)
    if model.kind == "plan":
        config.parameters["tensorrt_version"].string_value = model.version
    notes = (*notes, *add_warm_up(config, model, serving.warm_up, _sizes(serving, model, size)))
    return config, (*notes, *_notes(config, model))


def _sizes(serving: Serving, model: ServedModel, largest: int) -> dict[str, int]:
    """Of the warm-up, by name; without the batch, of which there is more than one size."""
    if not serving.shapes:
        return dict(serving.sizes)
    inputs = [TensorSpec(one.name, np.dtype(one.dtype), one.shape) for one in model.inputs]
    sizes = sizes_given(inputs, serving.sizes, serving.shapes)
    if largest:
        batch = str(model.inputs[0].shape[0])
        if sizes.pop(batch, 1) > largest:
            raise InputError(f"{argument('shapes')} has more rows than a batch holds: {largest}")
    return sizes


def check_serving(serving: Serving) -> None:
    """Refuse what no model can have: settings that another switches off, and numbers that do not
    fit into the fields of Triton's messages.

    Raises:
        InputError: names one.
    """
    if serving.warm_up is False and (serving.sizes or serving.shapes):
        raise InputError(
            f"{argument('sizes')} and {argument('shapes')} are of the warm-up, which is off: leave "
            "one of them away"
        )
    if serving.dynamic_batching is False:
        _refuse_what_batches(serving)
    numbers = [
        (argument("max_batch_size"), serving.max_batch_size, 31),
        *((argument("preferred_batch_sizes"), size, 31) for size in serving.preferred_batch_sizes),
        (argument("instances"), serving.instances, 31),
        (argument("max_queue_delay"), serving.max_queue_delay, 64),
        *((f"{argument('sizes')} {name}", size, 63) for name, size in serving.sizes.items()),
    ]
    for name, size in serving.sizes.items():
        if size < 1:
            raise InputError(f"{argument('sizes')} {name} is {size}, but Triton needs sizes >= 1")
    for option, number, bits in numbers:
        if number is not None and number >= 1 << bits:
            raise InputError(f"{option} is {number}, but Triton takes at most {(1 << bits) - 1}")


def _check_servable(model: ServedModel) -> None:
    if model.kind == "plan" and model.flavor != "tensorrt":
        raise InputError(
            f"{model.source} is a plan of {model.flavor}: Triton's TensorRT backend loads those of "
            f"standard TensorRT alone, so build it with {argument('flavor', 'tensorrt')}, "
            "or serve the ONNX file"
        )
    if "--stripWeights" in model.options:
        raise InputError(
            f"{model.source} is without weights: build it without {argument('strip_weights', True)}"
        )
    if not (model.inputs and model.outputs):
        raise InputError(f"{model.source} needs inputs and outputs, or Triton cannot serve it")
    for tensor in model.tensors:
        if not tensor.shape:
            raise InputError(
                f"{tensor.name} of {model.source} is a scalar, which Triton does not serve: give "
                f"it a dimension"
            )
        if 0 in tensor.shape:
            raise InputError(f"{tensor.name} of {model.source} is empty: Triton needs sizes >= 1")
        if tensor.dtype not in _KNOWN[model.kind]:
            raise InputError(
                f"{tensor.name} of {model.source} is {tensor.dtype}, which Triton's "
                f"{BACKENDS[model.kind][0]} backend does not know: keep inputs and outputs float32"
            )


def _add(
    fields: Any, tensor: ServedTensor, model: ServedModel, messages: Any, *, batched: bool
) -> None:
    shape = tensor.shape[1:] if batched else tensor.shape
    dims = [dim if isinstance(dim, int) else -1 for dim in shape]
    kind = messages.DataType.Value(f"TYPE_{_KNOWN[model.kind][tensor.dtype]}")
    added = fields.add(name=tensor.name, data_type=kind, dims=dims or [1])
    if not dims:  # Triton wants a dimension besides the batch: clients see (N, 1), the model (N,)
        added.reshape.SetInParent()


def _add_optional(config: Any, model: ServedModel, messages: Any) -> Iterator[str]:
    """Inputs with a default: the backend loads a model with them only where it makes no batches."""
    for tensor in model.optional:
        if config.max_batch_size:
            yield (
                f"clients cannot send {tensor.name}, which has its default: Triton has no optional "
                f"inputs where it makes batches"
            )
        elif not tensor.shape or 0 in tensor.shape or tensor.dtype not in _TYPES:
            yield f"clients cannot send {tensor.name}, which has its default: a server takes none"
        else:
            _add(config.input, tensor, model, messages, batched=False)
            config.input[-1].optional = True


def _add_accelerator(config: Any, model: ServedModel, serving: Serving) -> None:
    if serving.accelerator is None:
        return
    if model.kind == "plan":
        raise InputError(
            f"{argument('accelerator')} is for ONNX files: a plan runs in TensorRT anyway"
        )
    if serving.kind == "cpu":
        raise InputError(
            f"{argument('accelerator', 'tensorrt')} runs on GPUs, so not with "
            f"{argument('kind', 'cpu')}"
        )
    added = config.optimization.execution_accelerators.gpu_execution_accelerator.add()
    added.name, _, precision = serving.accelerator.partition(":")
    # Said in fp32 too: without a parameter the backend does not tell TensorRT which GPU it is on.
    added.parameters["precision_mode"] = precision.upper() or "FP32"


def _kind(model: ServedModel, serving: Serving) -> str:
    if model.kind == "plan" and serving.kind == "cpu":
        raise InputError(
            f"{model.source} is a TensorRT plan, which runs on a GPU: not {argument('kind', 'cpu')}"
        )
    return "KIND_GPU" if model.kind == "plan" else f"KIND_{serving.kind.upper()}"


def _add_dynamic_batching(config: Any, serving: Serving) -> None:
    size = config.max_batch_size
    wanted = serving.dynamic_batching
    if wanted and size < 2:
        raise InputError(
            f"dynamic batching joins requests, but batches of this model hold at most {size}: "
            f"give {argument('max_batch_size')}, or leave {argument('dynamic_batching')} away"
        )
    if not (size > 1 if wanted is None else wanted):
        _refuse_what_batches(serving)
        return
    config.dynamic_batching.SetInParent()
    for preferred in serving.preferred_batch_sizes:
        if not 1 <= preferred <= size:
            raise InputError(
                f"no batch can hold {preferred} rows: {argument('max_batch_size')} is {size}"
            )
    config.dynamic_batching.preferred_batch_size.extend(sorted(set(serving.preferred_batch_sizes)))
    if serving.max_queue_delay is not None:
        config.dynamic_batching.max_queue_delay_microseconds = serving.max_queue_delay


def batches_on_its_own(model: ServedModel, config: Any) -> bool:
    """Whether Triton's TensorRT backend would batch where the configuration does not ask for it."""
    off = not config.HasField("dynamic_batching")
    return model.kind == "plan" and config.max_batch_size > 1 and off


def _refuse_what_batches(serving: Serving) -> None:
    if serving.max_queue_delay is not None or serving.preferred_batch_sizes:
        raise InputError(
            f"{argument('max_queue_delay')} and {argument('preferred_batch_sizes')} are of "
            f"dynamic batching, which is off: give {argument('max_batch_size')} of 2 or more, "
            "or leave them away"
        )


def _notes(config: Any, model: ServedModel) -> Iterator[str]:
    for accelerator in config.optimization.execution_accelerators.gpu_execution_accelerator:
        yield (
            "TensorRT builds its engines in the server, for each new range of shapes, before it "
            "answers; without a GPU, ONNX Runtime runs alone"
        )
        if accelerator.parameters["precision_mode"] == "FP16":
            yield (
                "TensorRT chooses what it computes in fp16, and nobody checks the answers: "
                "un-deploy build --precision fp16 checks what it builds"
            )
    if model.kind == "plan":
        if "--versionCompatible" in model.options:
            yield (
                "the plan also loads in later versions of TensorRT, where the server is started "
                "with --backend-config=tensorrt,version-compatible=true"
            )
        yield (
            f"the plan loads in a Triton whose TensorRT is {model.version}, on the kind of GPU it "
            f"was built for; NVIDIA's support matrix says which container has it"
        )
        if batches_on_its_own(model, config):
            yield (
                "Triton's TensorRT backend switches dynamic batching on by itself unless the "
                "server is started with --disable-auto-complete-config"
            )
