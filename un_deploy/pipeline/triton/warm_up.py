"""Requests that Triton runs on a model before it serves it, so that no user waits for the first.

They hold zeros: Triton's random data are random bytes, which are no token ids, and as floats may
be NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.pipeline.triton.served_model import ServedModel, ServedTensor

_Shapes = dict[str, tuple[int, ...]]
"""The full shape of every input, by name."""


def add_warm_up(
    config: Any, model: ServedModel, wanted: bool | None, sizes: Mapping[str, int]
) -> tuple[str, ...]:
    """Add warm-up requests to a configuration that is complete otherwise; gives notes on them.

    An ONNX model gets one of one row, and with batches one of every preferred size and one of the
    largest; a plan gets one for each profile, of the shape that it is tuned for.
    `wanted` None: where it is possible. `sizes` are those of an ONNX model's dynamic dimensions.

    Raises:
        InputError: a warm-up is wanted and not possible, or a size names no dynamic dimension.
    """
    batched = config.max_batch_size > 0
    _check_sizes(model, sizes, batched)
    if wanted is False:
        return ()
    obstacle = _obstacle(config, model, sizes, batched)
    if obstacle:
        if wanted:
            raise InputError(f"{model.source} cannot be warmed up: {obstacle}")
        return (f"no warm-up: {obstacle}",)
    samples = (
        _of_profiles(config, model) if model.kind == "plan" else _of_sizes(config, model, sizes)
    )
    for shapes in {tuple(shapes.items()): shapes for shapes in samples}.values():
        _check_elements(shapes)
        rows = next(iter(shapes.values()))[0] if batched else 1
        name = " ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
        # Triton makes a batch of this many equal requests. A count of 0 means 1: here it is said.
        sample = config.model_warmup.add(name=name, batch_size=rows, count=1)
        for field in _asked(config):
            given = sample.inputs[field.name]
            given.data_type, given.zero_data = field.data_type, True
            given.dims.extend(shapes[field.name][batched:])
    return ()


def _of_sizes(config: Any, model: ServedModel, sizes: Mapping[str, int]) -> Iterator[_Shapes]:
    def shapes(rows: tuple[int, ...]) -> _Shapes:
        return {
            tensor.name: (*rows, *(d if isinstance(d, int) else sizes[str(d)] for d in dims))
            for tensor in model.inputs
            for dims in [tensor.shape[len(rows) :]]
        }

    largest = config.max_batch_size
    if largest == 0:
        yield shapes(())
        return
    for rows in sorted({1, *config.dynamic_batching.preferred_batch_size, largest}):
        yield shapes((rows,))


def _of_profiles(config: Any, model: ServedModel) -> Iterator[_Shapes]:
    """A plan without profiles has fixed shapes. A profile beyond the largest batch is left out."""
    fixed = {t.name: tuple(d for d in t.shape if isinstance(d, int)) for t in model.inputs}
    if not model.profiles:
        yield fixed
    for profile in model.profiles:
        tuned = {name: ranges.opt for name, ranges in profile.items()}
        shapes = {t.name: tuned.get(t.name, fixed[t.name]) for t in model.inputs}
        if config.max_batch_size:
            rows = min(config.max_batch_size, *(shape[0] for shape in shapes.values()))
            if rows < max(ranges.min[0] for ranges in profile.values()):
                continue
            shapes = {name: (rows, *shape[1:]) for name, shape in shapes.items()}
        yield shapes


def _check_sizes(model: ServedModel, sizes: Mapping[str, int], batched: bool) -> None:
    if not sizes:
        return
    if model.kind == "plan":
        raise InputError(
            f"{argument('sizes')} and {argument('shapes')} are for ONNX files: a plan is warmed up "
            "with its profiles' shapes"
        )
    names = list(dict.fromkeys(dim for _, dim in _dynamic(model, batched) if dim))
    for name in sizes:
        if name not in names:
            raise InputError(
                f"{model.source} has no dynamic dimension {name!r} to warm up"
                f"{' besides the batch' if batched else ''}; it has {', '.join(names) or 'none'}"
            )


def _check_elements(shapes: _Shapes) -> None:
    for name, shape in shapes.items():
        if prod(shape) >= 1 << 63:
            text = "x".join(map(str, shape))
            raise InputError(f"the warm-up cannot hold {name} of {text}: give smaller sizes")


def _obstacle(config: Any, model: ServedModel, sizes: Mapping[str, int], batched: bool) -> str:
    for field in _asked(config):
        if field.HasField("reshape"):  # Triton does not reshape what it warms up with
            return f"{field.name} has no dimension besides the batch"
    if model.kind == "plan":
        return ""
    for tensor, dim in _dynamic(model, batched):
        if dim is None:
            return f"a dynamic dimension of {tensor.name} has no name to give its size by"
        if dim not in sizes:
            return f"the size of {dim} is unknown; {argument('sizes', {dim: 'SIZE'})} gives it"
    return ""


def _asked(config: Any) -> Iterator[Any]:
    """The inputs that every request has."""
    return (field for field in config.input if not field.optional)


def _dynamic(model: ServedModel, batched: bool) -> Iterator[tuple[ServedTensor, str | None]]:
    for tensor in model.inputs:
        for dim in tensor.shape[batched:]:
            if not isinstance(dim, int):
                yield tensor, dim
