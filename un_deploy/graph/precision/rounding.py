"""Rounds float32 numbers to fp16 or bf16, and tells what overflows or becomes zero."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

Array = np.ndarray

#: What users call the half types.
NAMES = {ir.DataType.FLOAT16: "fp16", ir.DataType.BFLOAT16: "bf16"}

#: Entries looked at in one go; keeps the temporary arrays small.
_CHUNK = 1 << 22

#: Tensors up to this many bytes are converted at once, larger ones when they are saved.
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One number of a tensor, and where it stands."""

    value: float
    index: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.value:g} at {list(self.index)}" if self.index else f"{self.value:g}"


@dataclass(frozen=True)
class Narrowing:
    """What rounding a float32 tensor to a half type does to it.

    Attributes:
        overflow: the first finite number that would become infinite; None: there is none.
        flush: the first number that would become zero and may matter (see `narrowing`).
        flushed: how many become zero and cannot matter.
        subnormal: how many are kept, but below the type's smallest normal number, where it has
            fewer digits.
        worst_relative_error: over all finite numbers but those that become zero.
    """

    overflow: Entry | None = None
    flush: Entry | None = None
    flushed: int = 0
    subnormal: int = 0
    worst_relative_error: float = 0.0


def narrowing(array: Array, dtype: ir.DataType) -> Narrowing:
    """Round to nearest even, chunk by chunk, and tell what is lost.

    A number that becomes zero cannot matter if, along every axis, the slice that it lies in holds
    a normal number of the type: then it is smaller than the rounding error of that number, with
    which it is summed. Of some 10 million normally distributed weights a dozen are so small. With
    fewer than two axes there is nothing that it is summed with: there it may matter.

    Args:
        array: float32, any shape; infinities and NaN stay what they are and are not counted.
        dtype: FLOAT16 or BFLOAT16.
    """
    flat = array.reshape(-1)
    found = Narrowing()
    zeros: list[Array] = []
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            back = chunk.astype(dtype.numpy()).astype(np.float32)
            size = np.abs(chunk)
            counted = np.isfinite(chunk) & (chunk != 0)
            lost = counted & np.isinf(back)
            zero = counted & (back == 0)
            kept = counted & ~lost & ~zero
            errors = np.abs(back[kept] - chunk[kept]) / size[kept]
        if found.overflow is None and lost.any():
            found = replace(found, overflow=_entry(array, start + int(np.argmax(lost))))
        if zero.any():
            zeros.append(start + np.flatnonzero(zero))
        found = replace(
            found,
            subnormal=found.subnormal + int(np.count_nonzero(kept & (size < _normal(dtype)))),
            worst_relative_error=max(found.worst_relative_error, float(np.max(errors, initial=0))),
        )
    if not zeros:
        return found
    places = np.concatenate(zeros)
    matter = places[_may_matter(array, places, _normal(dtype))]
    flush = _entry(array, int(matter[0])) if matter.size else None
    return replace(found, flush=flush, flushed=places.size - matter.size)


def narrowed(tensor: ir.TensorProtocol, dtype: ir.DataType, name: str | None) -> ir.TensorProtocol:
    """The tensor in a half type; a large one is converted each time it is read, not held."""

    def convert() -> ir.Tensor:
        with np.errstate(over="ignore", under="ignore"):
            return ir.Tensor(tensor.numpy().astype(dtype.numpy()), dtype, name=name)

    new: ir.TensorProtocol
    if tensor.nbytes <= _AT_ONCE:
        new = convert()
    else:
        new = ir.LazyTensor(convert, dtype, ir.Shape(tensor.shape.numpy()), name=name)
    new.doc_string = tensor.doc_string
    new.metadata_props.update(tensor.metadata_props)
    return new


def _may_matter(array: Array, places: Array, normal: float) -> Array:
    """Which of the flat places lie in a slice, along some axis, that holds no normal number."""
    wide = [axis for axis, size in enumerate(array.shape) if size > 1]
    if len(wide) < 2:
        return np.ones(places.size, dtype=bool)
    indices = np.unravel_index(places, array.shape)
    matter = np.zeros(places.size, dtype=bool)
    for axis in wide:
        others = tuple(a for a in range(array.ndim) if a != axis)
        largest = np.maximum(np.max(array, axis=others), -np.min(array, axis=others))
        matter |= largest[indices[axis]] < normal
    return matter


def _entry(array: Array, place: int) -> Entry:
    index = tuple(int(i) for i in np.unravel_index(place, array.shape))
    return Entry(float(array[index]), index)


def _normal(dtype: ir.DataType) -> float:
    return 2.0**-14 if dtype == ir.DataType.FLOAT16 else 2.0**-126
