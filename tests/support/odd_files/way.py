"""What an odd file is: a network with one norm that folds, changed in one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser

#: One norm in front of a product, as a part of a graph's text; `x` is float[B,3,4], `y` float[B,3,5].
FOLD = "m = Mul(x, a) n = Add(m, b) y = MatMul(n, k)"
PLAIN = f"(float[B,3,4] x) => (float[B,3,5] y) {{ {FOLD} }}"
_RNG = np.random.default_rng(0)

#: The constants of `FOLD`.
CONSTANTS: Mapping[str, np.ndarray] = {
    "a": _RNG.uniform(0.5, 1.5, 4).astype(np.float32),
    "b": _RNG.standard_normal(4).astype(np.float32),
    "k": _RNG.standard_normal((4, 5)).astype(np.float32),
}


@dataclass(frozen=True)
class OddFile:
    """One file.

    Attributes:
        name: what is odd.
        model: as it is in the file.
        folds: norms that fold.
        feeds: what ONNX Runtime computes its outputs from; sequences as lists of arrays.
        gone: the operators of the norm, none of which is left.
    """

    name: str
    model: onnx.ModelProto
    folds: int
    feeds: Mapping[str, object]
    gone: frozenset[str]


def network(
    text: str = PLAIN,
    opset: int = 17,
    ir_version: int = 8,
    constants: Mapping[str, np.ndarray | int] = {},  # noqa: B006  # it is only read
    imports: Mapping[str, int] = {},  # noqa: B006
) -> onnx.ModelProto:
    """A model from ONNX's text form, with the constants of `FOLD` and these."""
    header = f'<ir_version: {ir_version}, opset_import: ["" : {opset}]>'
    model = onnx.parser.parse_model(f"{header} g {text}")
    for domain, version in imports.items():
        model.opset_import.append(onnx.helper.make_opsetid(domain, version))
    held = {**CONSTANTS, **constants}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()
    )
    return model


_WAYS: list[Callable[[], OddFile]] = []


def way(
    *,
    folds: int = 1,
    gone: tuple[str, ...] = ("Mul",),
    **feeds: object,
) -> Callable[[Callable[[], onnx.ModelProto]], Callable[[], onnx.ModelProto]]:
    """Make what a function returns an odd file that is called like it."""

    def add(make: Callable[[], onnx.ModelProto]) -> Callable[[], onnx.ModelProto]:
        x = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)
        _WAYS.append(
            lambda: OddFile(make.__name__, make(), folds, {"x": x, **feeds}, frozenset(gone))
        )
        return make

    return add


def ways() -> list[Callable[[], OddFile]]:
    """What makes each of the odd files."""
    return _WAYS
