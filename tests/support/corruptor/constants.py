"""Damages to what a model's constants hold, or to which of them is read."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from tests.support.corruptor.target import Place, Target
from tests.support.corruptor.tensors import is_constant, numbers, put

#: Where operators read a bias: an Add either operand, the others one input.
_BIASES = {"Gemm": 2, "Conv": 2, "ConvTranspose": 2, "BatchNormalization": 2}
_BIASES |= {"LayerNormalization": 2, "BiasGelu": 1, "SkipLayerNormalization": 3}

#: A proof may allow one unit in the last place, so less than two is no damage.
_UNITS = 2


def weight_off(target: Target) -> Place | None:
    """One entry 1 % off; in half types two units in the last place, in integers one at least."""
    for value in target.constants():
        array = numbers(value)
        usable = np.flatnonzero(_may_be_off(array))
        if usable.size:
            index = int(target.random.choice(usable))
            array.reshape(-1)[index] = _off(array.reshape(-1)[index : index + 1])[0]
            put(value, array)
            return target.place(f"{value.name}, entry {index} of {array.size}, is off", value)
    return None


def weights_swapped(target: Target) -> Place | None:
    """Two entries of one constant swapped."""
    for value in _floating(target):
        array = numbers(value)
        flat = array.reshape(-1)
        first = target.random.randrange(max(flat.size, 1))
        others = np.flatnonzero(_far(flat, flat[first : first + 1]))
        if others.size:
            second = int(target.random.choice(others))
            flat[[first, second]] = flat[[second, first]]
            put(value, array)
            return target.place(f"entries {first} and {second} of {value.name} swapped", value)
    return None


def bias_zeroed(target: Target) -> Place | None:
    """All entries of a bias become zero."""
    for _, value in biases(target):
        array = numbers(value)
        put(value, np.zeros_like(array))
        return target.place(f"the bias {value.name} is zero", value)
    return None


def matrix_transposed(target: Target) -> Place | None:
    """The last two axes of a constant swapped, where they are equally long."""
    for value in _floating(target):
        array = numbers(value)
        if array.ndim < 2 or array.shape[-1] != array.shape[-2]:
            continue
        turned = np.ascontiguousarray(np.swapaxes(array, -1, -2))
        if np.any(_far(array, turned)):
            put(value, turned)
            return target.place(f"{value.name} transposed", value)
    return None


def table_row_changed(target: Target) -> Place | None:
    """One row of a table that Gather reads: off, or swapped with another."""
    for node in target.shuffled(target.nodes):
        table = node.inputs[0] if node.op_type == "Gather" else None
        if table is None or not is_constant(table) or numbers(table).dtype.kind in "iub":
            continue
        axis = node.attributes.get_int("axis", 0)
        array = numbers(table)
        rows = np.moveaxis(array, axis, 0)
        first = target.random.randrange(len(rows))
        second = target.random.randrange(len(rows))
        if first != second and target.random.random() < 0.5:
            if not np.any(_far(rows[first], rows[second])):
                continue
            rows[[first, second]] = rows[[second, first]]
        else:
            usable = _may_be_off(rows[first])
            if not usable.any():
                continue
            rows[first] = np.where(usable, _off(rows[first]), rows[first])
        put(table, array)
        return target.place(f"rows {first} and {second} of {table.name}", table)
    return None


def wrongly_shared(target: Target) -> Place | None:
    """All that read one constant read another of its type and shape in its place."""
    kinds: dict[object, list[ir.Value]] = {}
    for value in _floating(target):
        array = numbers(value)
        others = kinds.setdefault((array.dtype.name, array.shape), [])
        for other in others:
            if value.graph is other.graph and np.any(_far(array, numbers(other))):
                first, second = sorted((value, other), key=lambda v: _age(target, v))
                place = target.place(f"{first.name} read for {second.name}", first, second)
                second.replace_all_uses_with(first)
                if second.is_initializer():
                    del target.model.graph.initializers[str(second.name)]
                return place
        others.append(value)
    return None


def biases(target: Target) -> list[tuple[ir.Node, ir.Value]]:
    """Biases that are not zero, with the operator that adds them."""
    found = []
    for node in target.shuffled(target.nodes):
        places = (0, 1) if node.op_type == "Add" else (_BIASES.get(node.op_type, -1),)
        for index in places:
            value = node.inputs[index] if 0 <= index < len(node.inputs) else None
            if value is None or not is_constant(value):
                continue
            array = numbers(value)
            if array.dtype.kind not in "iub" and np.any(_far(array, np.zeros_like(array))):
                found.append((node, value))
    return found


def _floating(target: Target) -> list[ir.Value]:
    return [v for v in target.constants() if numbers(v).dtype.kind not in "iubSO"]


def _age(target: Target, value: ir.Value) -> int:
    """Where a constant comes into being: who reads one may read all before it."""
    node = value.producer()
    return -1 if node is None else [*target.model.graph.all_nodes()].index(node)


def _may_be_off(array: np.ndarray) -> np.ndarray:
    """Where 1 % is something: neither zero nor infinite, nor too small for its type."""
    if array.dtype.kind in "SOb":
        return np.zeros(array.shape, bool)
    if array.dtype.kind in "iu":
        return np.full(array.shape, array.ndim > 0 and array.dtype.itemsize == 1)
    wide = np.abs(array.astype(np.float64))
    return np.isfinite(wide) & (wide >= _smallest(array.dtype)) & (wide < 1e37)


def _off(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "iu":
        limits = np.iinfo(array.dtype)
        wide = array.astype(np.int64)
        step = np.maximum(1, np.abs(wide) // 100)
        return np.where(wide + step <= limits.max, wide + step, wide - step).astype(array.dtype)
    if array.dtype.itemsize == 2:
        up = array.view(np.uint16) + np.uint16(_UNITS)  # away from zero
        return up.view(array.dtype)
    return (array * array.dtype.type(1.01)).astype(array.dtype)


def _smallest(dtype: np.dtype) -> float:
    """The smallest number with all its digits."""
    import ml_dtypes

    return float(ml_dtypes.finfo(dtype).tiny)


def _far(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays are at least `_UNITS` units in the last place apart."""
    return np.abs(_place(a) - _place(b)) >= _UNITS


def _place(array: np.ndarray) -> np.ndarray:
    """The number of each entry among all numbers of its type, in order."""
    whole = f"i{array.dtype.itemsize}"
    bits = np.ascontiguousarray(array).view(whole).astype(object if whole == "i8" else np.int64)
    return np.where(bits < 0, np.iinfo(whole).min - bits, bits)
