"""What an evaluator is, and what all of them need: the unknown, sizes, axes, types."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
import onnx_ir as ir

Array = np.ndarray
Inputs = Sequence[Array | None]
Compute = Callable[[ir.Node, Inputs, int], list[Array]]

#: The last opset whose operators were read when these evaluators were written.
LAST_OPSET = 26

#: A result of more bytes than this is unknown, where nothing else is said.
LARGEST_RESULT = 1 << 30

_most: ContextVar[int] = ContextVar("most", default=LARGEST_RESULT)


class Unknown(Exception):  # noqa: N818  # it is an answer, not a fault
    """What an operator gives cannot be told: it, its opset, an attribute or a type is not listed,
    or its inputs do not fit."""


@dataclass(frozen=True)
class Evaluator:
    """How one operator is computed.

    Attributes:
        compute: from the node, its inputs (None where an optional one is absent) and the opset to
            its outputs, in the inputs' own types. It may raise any exception where they do not fit.
        opsets: the first and last whose meaning it knows; see `is_among` of later ones.
        attributes: those that it knows; a node with another one is unknown.
        exact: computes it in float64, where `compute` on float64 arrays would not: an operator that
            rounds or compares raises Unknown.
    """

    compute: Compute
    opsets: tuple[int, int]
    attributes: frozenset[str] = frozenset()
    exact: Compute | None = None


@cache
def is_among(opset: int, opsets: tuple[int, int], op_type: str) -> bool:
    """Whether an operator means at an opset what it meant at one from the first to the last."""
    first, last = opsets
    if opset <= last:
        return first <= opset
    try:
        return bool(onnx.defs.get_schema(op_type, opset).since_version <= last)
    except onnx.defs.SchemaError:
        return False


def since(
    first: int, compute: Compute, attributes: str = "", exact: Compute | None = None
) -> Evaluator:
    """An evaluator for all opsets from the first; the attributes' names are separated by spaces."""
    return Evaluator(compute, (first, LAST_OPSET), frozenset(attributes.split()), exact)


def require(condition: object, reason: str) -> None:
    """Raise Unknown for this reason, unless the condition holds."""
    if not condition:
        raise Unknown(reason)


def given(inputs: Inputs, index: int) -> Array | None:
    """An optional input; None where it is absent."""
    return inputs[index] if index < len(inputs) else None


def needed(inputs: Inputs, index: int = 0) -> Array:
    """An input that must be there."""
    array = given(inputs, index)
    if array is None:
        raise Unknown(f"input {index} is absent")
    return array


def is_integer(array: Array) -> bool:
    """Whether an array holds integers of 8 bits or more."""
    return array.dtype.kind in "iu"


def of_one_type(*arrays: Array) -> None:
    """Raise Unknown unless all arrays have one type."""
    require(len({array.dtype for array in arrays}) == 1, "its inputs have different types")


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front.

    ONNX says since opset 11 that it may be counted from the back; exporters did so before, and
    runtimes that take it agree.
    """
    require(-rank <= axis < rank, f"it has no axis {axis}")
    return axis % rank


def axes_of(axes: Sequence[int], rank: int) -> list[int]:
    """Axes counted from the front, in their order, none twice."""
    found = [axis_of(int(axis), rank) for axis in axes]
    require(len(set(found)) == len(found), "it names an axis twice")
    return found


def listed(array: Array) -> list[int]:
    """The numbers of a tensor of one axis that holds a shape, axes or bounds."""
    require(array.ndim == 1 and is_integer(array), "it is no list of integers")
    return [int(number) for number in array]


@contextmanager
def no_result_above(most: int) -> Iterator[None]:
    """Let `check_size` refuse results of more bytes than this."""
    before = _most.set(most)
    try:
        yield
    finally:
        _most.reset(before)


def check_size(shape: Sequence[int], dtype: np.dtype) -> None:
    """Raise Unknown for a result of more bytes than may be asked for, before it is computed."""
    size = math.prod(shape) * dtype.itemsize
    require(size <= _most.get(), f"its result would take {size} bytes")


def accumulates(dtype: np.dtype) -> np.dtype:
    """The type in which sums of products are made: half types are added up in float32."""
    return np.dtype(np.float32) if dtype.itemsize < 4 else dtype
