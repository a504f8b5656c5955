"""Random inputs of several sizes on which a network runs: two or more of every dynamic axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir

from un_deploy.errors import InputError
from un_deploy.graph.analysis.floating import is_real
from un_deploy.graph.model.input_specs import Feeds, input_specs
from un_deploy.measure.equality.random_inputs import input_shapes, random_inputs

Outputs = dict[str, np.ndarray]

#: Sizes of the batch and of other dynamic dimensions, in the order in which they are tried: enough
#: for tokens, for images, lines of text, and sound.
CANDIDATES = (
    (2, 8), (3, 9), (3, 7), (3, 5), (2, 32), (3, 48), (2, 64), (2, 224), (3, 256), (2, 512),
)  # fmt: skip

#: The inputs of one run take no more bytes than this; what a network computes of them takes more.
_MOST_BYTES = 16_000_000


def runs_at_several_sizes(
    model: ir.Model, run: Callable[[Feeds], Outputs], seed: int = 0
) -> tuple[list[Feeds], list[Outputs], list[str]]:
    """Inputs and outputs of a network, at two sizes of every dynamic axis if it runs on them.

    Runs that give something to compare are taken first.

    Args:
        model: whose inputs they are.
        run: runs it.

    Returns:
        The inputs of each run, its outputs, and the axes that were seen at one size alone.

    Raises:
        InputError: it runs on none of these sizes, or its inputs cannot be made up.
    """
    taken: list[tuple[Feeds, Outputs]] = []
    empty: list[tuple[Feeds, Outputs]] = []
    problem: InputError | None = None
    for feeds in _candidates(model, seed):
        try:
            outputs = run(feeds)
        except InputError as error:
            problem = problem or error
            continue
        (taken if _says_something(outputs) else empty).append((feeds, outputs))
        if not _of_one_size(model, [one for one, _ in taken]):
            break
    found = taken or empty[:2]
    if not found:
        raise problem or InputError("no inputs of a size that fits")
    inputs = [feeds for feeds, _ in found]
    return inputs, [outputs for _, outputs in found], _of_one_size(model, inputs)


def _candidates(model: ir.Model, seed: int) -> Iterator[Feeds]:
    """Inputs of different sizes, each with numbers of its own."""
    seen: set[tuple[tuple[int, ...], ...]] = set()
    for number, (batch, size) in enumerate(CANDIDATES):
        shapes = tuple(input_shapes(model, batch=batch, size=size).values())
        types = (spec.dtype for spec in input_specs(model))
        bytes_ = sum(math.prod(s) * t.itemsize for s, t in zip(shapes, types, strict=True))
        if shapes not in seen and (bytes_ <= _MOST_BYTES or not seen):
            seen.add(shapes)
            yield random_inputs(model, seed=seed + number, batch=batch, size=size)


def _says_something(outputs: Outputs) -> bool:
    """Whether each output has entries, and a floating one not the same number everywhere.

    What an image gives that was shrunk to nothing depends on the runtime: its mean is NaN or 0.
    """
    for array in outputs.values():
        finite = array[np.isfinite(array)] if is_real(array) else array
        if not finite.size or (is_real(array) and finite.size > 1 and np.all(finite == finite[0])):
            return False
    return True


def _of_one_size(model: ir.Model, runs: list[Feeds]) -> list[str]:
    """The dynamic axes of inputs, in words, of which these runs have fewer than two sizes."""
    found = [
        dim or f"axis {axis} of {name}"
        for name, axis, dim in _dynamic_axes(model)
        if len({feeds[name].shape[axis] for feeds in runs}) < 2
    ]
    return list(dict.fromkeys(found))


def _dynamic_axes(model: ir.Model) -> list[tuple[str, int, str | None]]:
    return [
        (spec.name, axis, dim)
        for spec in input_specs(model)
        for axis, dim in enumerate(spec.shape or ())
        if not isinstance(dim, int)
    ]
