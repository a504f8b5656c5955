"""Every opset that is read, and the forms that operators had in the older ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx

from tests.support.odd_files.way import named_way, network
from un_deploy.graph.model.mend import OLDEST_OPSET

_F = np.float32
_ROW = "(float[2,3,4] x) => (float[2,3,5] y)"
_IMAGE = "(float[B,4,6,6] x) => (float[B,5,6,6] y)"
_WIDE = "(float[B,4,6,6] x) => (float[B,5,12,12] y)"
_NORM = "m = Mul(x, a) n = Add(m, b)"
_SQUARE = {"a": np.full((4, 1, 1), 2, _F), "b": np.ones((4, 1, 1), _F)}
_CONV = {"w": np.ones((5, 4, 1, 1), _F)}
_BN = {name: np.full(4, value, _F) for name, value in {"s": 2, "t": 1, "u": 0.5, "v": 0.3}.items()}


def _ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


#: By what is old in it: opset, text, further constants.
_OLD: Mapping[str, tuple[int, str, Mapping[str, np.ndarray]]] = {
    "batch_normalization_of_opset_7": (
        7,
        f"{_IMAGE} {{ n = BatchNormalization<epsilon=1e-5>(x, s, t, u, v) y = Conv(n, w) }}",
        {**_BN, **_CONV},
    ),
    "batch_normalization_of_opset_9": (
        9,
        f"{_IMAGE} {{ n = BatchNormalization(x, s, t, u, v) y = Conv(n, w) }}",
        {**_BN, **_CONV},
    ),
    "reshape_of_opset_5": (
        7,
        f"{_ROW} {{ {_NORM} r = Reshape(n, s) p = MatMul(r, k) y = Reshape(p, t) }}",
        {"s": _ints(-1, 4), "t": _ints(2, 3, 5)},
    ),
    "squeeze_and_unsqueeze_with_attributes": (
        7,
        f"{_ROW} {{ {_NORM} u = Unsqueeze<axes=[0]>(n)"
        " r = Squeeze<axes=[0]>(u) y = MatMul(r, k) }",
        {},
    ),
    "slice_with_attributes": (
        9,
        f"(float[2,5,4] x) => (float[2,3,5] y) {{ {_NORM}"
        " r = Slice<axes=[1], starts=[1], ends=[-1]>(n) y = MatMul(r, k) }",
        {"a": np.full(4, 2, _F)},
    ),
    "slice_of_opset_10": (
        10,
        f"(float[2,5,4] x) => (float[2,3,5] y) {{ {_NORM}"
        " r = Slice(n, i, j, l) y = MatMul(r, k) }",
        {"i": _ints(1), "j": _ints(4), "l": _ints(-2)},
    ),
    "pad_with_attributes": (
        10,
        f"{_ROW} {{ {_NORM} r = Pad<pads=[0,0,0,0,0,0]>(n) y = MatMul(r, k) }}",
        {},
    ),
    "clip_with_attributes": (
        7,
        f"{_ROW} {{ {_NORM} r = MatMul(n, k) y = Clip<min=-1.0, max=1.0>(r) }}",
        {},
    ),
    "dropout_of_opset_7": (
        7,
        f"{_ROW} {{ {_NORM} r, mask = Dropout<ratio=0.5>(n) y = MatMul(r, k) }}",
        {},
    ),
    "upsample_of_opset_7": (
        7,
        f'{_WIDE} {{ {_NORM} r = Upsample<mode="nearest", scales=[1.0,1.0,2.0,2.0]>(n)'
        " y = Conv(r, w) }",
        {**_SQUARE, **_CONV},
    ),
    "upsample_of_opset_9": (
        9,
        f'{_WIDE} {{ {_NORM} r = Upsample<mode="linear">(n, f) y = Conv(r, w) }}',
        {**_SQUARE, **_CONV, "f": np.array([1, 1, 2, 2], _F)},
    ),
    "resize_of_opset_10": (
        10,
        f'{_WIDE} {{ {_NORM} r = Resize<mode="nearest">(n, f) y = Conv(r, w) }}',
        {**_SQUARE, **_CONV, "f": np.array([1, 1, 2, 2], _F)},
    ),
    "top_k_of_opset_1": (
        9,
        f"{_ROW} {{ {_NORM} r = MatMul(n, k) t, i = TopK<k=5>(r) y = Relu(t) }}",
        {},
    ),
    "softmax_of_opset_1": (9, f"{_ROW} {{ {_NORM} r = MatMul(n, k) y = Softmax(r) }}", {}),
    "gemm_of_opset_7": (
        7,
        f"(float[B,4] x) => (float[B,5] y) {{ {_NORM} y = Gemm(n, k, c) }}",
        {"c": np.ones((1, 5), _F)},
    ),
    "split_of_opset_2": (
        7,
        f"(float[2,6,4] x) => (float[2,3,5] y) {{ {_NORM} r, q = Split<axis=1>(n)"
        " p = MatMul(r, k) o = MatMul(q, k) y = Max(p, o) }",
        {},
    ),
    "sums_of_opset_7": (7, f"{_ROW} {{ {_NORM} p = MatMul(n, k) y = Sum(p, p, p) }}", {}),
    "reduced_with_attributes": (
        7,
        f"(float[2,6,4] x) => (float[2,1,5] y) {{ {_NORM} r = ReduceMean<axes=[1]>(n)"
        " y = MatMul(r, k) }",
        {},
    ),
    "axes_from_the_back": (
        9,
        f"(float[2,3,4] x) => (float[2,3,5] y) {{ {_NORM} p = MatMul(n, k)"
        " y = Concat<axis=-1>(p) }",
        {},
    ),
}


def _of_opset(opset: int) -> Callable[[], onnx.ModelProto]:
    return lambda: network(opset=opset)


def _old(name: str) -> Callable[[], onnx.ModelProto]:
    opset, text, constants = _OLD[name]
    return lambda: network(text, opset=opset, constants=constants)


for _opset in range(OLDEST_OPSET, onnx.defs.onnx_opset_version() + 1):
    named_way(f"opset_{_opset}", _of_opset(_opset))
for _name in _OLD:
    named_way(_name, _old(_name))
