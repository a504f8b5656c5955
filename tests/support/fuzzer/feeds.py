"""Inputs for a random graph: numbers, ids, conditions and turns, at several sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

Feeds = dict[str, np.ndarray]

#: Of the batch, of the tokens, whether a condition holds, and the turns of a Loop.
_RUNS = (
    {"B": 2, "S": 3, "c": True, "trip": 2},
    {"B": 3, "S": 5, "c": False, "trip": 1},
    {"B": 1, "S": 1, "c": True, "trip": 0},
    {"B": 0, "S": 2, "c": False, "trip": 3},
)


def feeds(model: onnx.ModelProto, seed: int) -> Iterator[Feeds]:
    """Four sets of inputs; what overrides an initializer is there in the second alone."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    rng = np.random.default_rng(seed)
    for index, run in enumerate(_RUNS):
        given: Feeds = {}
        for value in model.graph.input:
            name, tensor = value.name, value.type.tensor_type
            if name in held:
                if index == 1:
                    array = onnx.numpy_helper.to_array(held[name])
                    given[name] = (array * rng.uniform(0.5, 1.5, array.shape)).astype(array.dtype)
                continue
            if name in ("c", "trip"):
                given[name] = np.array(run[name])
                continue
            shape = [_size(dim, run) for dim in tensor.shape.dim]
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            most = {"i": 9, "b": 2}.get(dtype.kind)
            drawn = rng.standard_normal(shape) if most is None else rng.integers(0, most, shape)
            given[name] = np.asarray(drawn).astype(dtype)
        yield given


def _size(dim: onnx.TensorShapeProto.Dimension, run: dict[str, int]) -> int:
    if dim.dim_value:
        return dim.dim_value
    hidden = re.fullmatch(r"D(\d+)_\d+", dim.dim_param)
    return int(hidden[1]) if hidden else run[dim.dim_param]
