"""What an odd file is: a network with one norm that folds, changed in one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser

#: One norm in front of a product, from x of shape (B, 3, 4) to y of (B, 3, 5), as graphs' texts.
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
    constants: Mapping[str, np.ndarray | int] = {},
    imports: Mapping[str, int] = {},
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


def with_all_operators(**fields: str) -> onnx.ModelProto:
    """The network, in which every operator has this name, or this domain."""
    model = network()
    for node in model.graph.node:
        for field, text in fields.items():
            setattr(node, field, text)
    return model


def behind(text: str) -> str:
    """A network in which operators from z to y follow the fold."""
    return PLAIN.replace("y =", "z =").replace(" }", f" {text} }}")


def way(
    *, folds: int = 1, gone: tuple[str, ...] = ("Mul",), **feeds: object
) -> Callable[[Callable[[], onnx.ModelProto]], Callable[[], onnx.ModelProto]]:
    """Make what a function returns an odd file that is called like it."""

    def add(make: Callable[[], onnx.ModelProto]) -> Callable[[], onnx.ModelProto]:
        return named_way(make.__name__, make, folds=folds, gone=gone, **feeds)

    return add


def named_way(
    name: str,
    make: Callable[[], onnx.ModelProto],
    *,
    folds: int = 1,
    gone: tuple[str, ...] = ("Mul", "BatchNormalization"),
    **feeds: object,
) -> Callable[[], onnx.ModelProto]:
    """The same with a name of its own; see `OddFile`. Inputs that are not given are drawn."""

    def odd() -> OddFile:
        model = make()
        return OddFile(name, model, folds, {**_drawn(model), **feeds}, frozenset(gone))

    WAYS[name] = odd
    return make


WAYS: dict[str, Callable[[], OddFile]] = {}
"""What makes each of the odd files, by its name."""


def _drawn(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Numbers for the inputs of floating tensors; a size without a number is 2."""
    held = {tensor.name for tensor in model.graph.initializer}
    rng = np.random.default_rng(1)
    return {
        info.name: rng.standard_normal(
            [max(dim.dim_value, 0) or 2 for dim in info.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for info in model.graph.input
        if info.name not in held and info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
