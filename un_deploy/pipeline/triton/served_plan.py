"""A TensorRT plan as a server needs to know it: its tensors and profiles, from its manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from un_deploy.engines.plan.manifest import PlanTensor, load_plan, manifest_path
from un_deploy.engines.profiles import Profile
from un_deploy.errors import InputError
from un_deploy.pipeline.triton.served_model import ServedModel, ServedTensor

#: Where ONNX's name of an element type is not NumPy's.
_DTYPES = {"float": "float32", "double": "float64"}


def read_plan(path: Path) -> ServedModel:
    """Read a plan and its manifest, and refuse what no server could offer.

    Raises:
        InputError: see `un_deploy.engines.plan.manifest.load_plan`; or a tensor has no known
            rank, is not laid out as clients send it, or no profile.
    """
    _, manifest = load_plan(path)
    file = manifest_path(path)
    inputs = tuple(_tensor(tensor, file) for tensor in manifest.inputs)
    # A graph may call the dimensions of its outputs anything, so their names say nothing.
    outputs = tuple(_nameless(_tensor(tensor, file)) for tensor in manifest.outputs)
    _check_profiles(inputs, manifest.profiles, file)
    return ServedModel(
        source=path,
        kind="plan",
        sha256=manifest.sha256,
        inputs=inputs,
        outputs=outputs,
        profiles=manifest.profiles,
        flavor=manifest.flavor,
        version=manifest.tensorrt,
        options=manifest.options,
    )


def _check_profiles(
    inputs: tuple[ServedTensor, ...], profiles: tuple[Profile, ...], file: Path
) -> None:
    for tensor in inputs:
        name, shape = tensor.name, tensor.shape
        dynamic = not all(isinstance(size, int) for size in shape)
        if dynamic and not profiles:
            raise InputError(f"{file} has no profile for the dynamic input {name}: build anew")
        for index, profile in enumerate(profiles):
            if name in profile and profile[name].of_values:
                raise InputError(
                    f"{file}: the plan reads input {name} as a shape, which is not served"
                )
            ranks = {len(s) for r in [profile.get(name)] if r for s in (r.min, r.opt, r.max)}
            if ranks != {len(shape)} and (ranks or dynamic):
                raise InputError(
                    f"{file}: profile {index} has no shapes of rank {len(shape)} for {name}: build "
                    f"the plan anew"
                )


def _tensor(tensor: PlanTensor, file: Path) -> ServedTensor:
    if tensor.shape is None:
        raise InputError(
            f"{file} does not say the rank of {tensor.name}: build from a graph that does"
        )
    if tensor.format != "chw":
        raise InputError(
            f"{file}: {tensor.name} is laid out as {tensor.format}, but clients of a server send "
            f"and get chw: build the plan with that"
        )
    sizes = (None if isinstance(size, int) and size < 0 else size for size in tensor.shape)
    return ServedTensor(tensor.name, _DTYPES.get(tensor.dtype, tensor.dtype), tuple(sizes))


def _nameless(tensor: ServedTensor) -> ServedTensor:
    shape = tuple(size if isinstance(size, int) else None for size in tensor.shape)
    return replace(tensor, shape=shape)
