"""One operator in one setting: its attributes, its inputs, the opset; and what settings are drawn
with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper

Array = np.ndarray

REALS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOAT8 = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
_NAMES = {"float32": "float", "float64": "double"}
_NAMES |= {name: name.replace("float8_", "float8") for name in FLOAT8}


def dtype(name: str) -> np.dtype:
    """A type by numpy's name, or ml_dtypes'."""
    return np.dtype(getattr(ml_dtypes, name, None) or name)


@dataclass(frozen=True)
class Setting:
    """An operator and what it is given; None stands for an optional input that is absent."""

    op: str
    opset: int
    inputs: Sequence[Array | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1

    def model(self, stored: Sequence[str] = ()) -> onnx.ModelProto:
        """A graph of this operator alone, with inputs i0, i1, ... and outputs o0, o1, ...

        Inputs of the `stored` types are initializers.
        """
        names = ["" if a is None else f"i{k}" for k, a in enumerate(self.inputs)]
        outputs = [f"o{k}" for k in range(self.outputs)]
        domain, _, op = self.op.rpartition(".")
        node = helper.make_node(op, names, outputs, domain=domain, **self.attributes)
        held = [
            ir.to_proto(ir.tensor(array, name=name))
            for name, array in self.feeds().items()
            if array.dtype.name in stored
        ]
        given = [
            helper.make_tensor_value_info(name, int(ir.DataType.from_numpy(a.dtype)), a.shape)
            for name, a in self.feeds(stored).items()
        ]
        made = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph([node], "one", given, made, held)
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(domain, 1)] if domain else []
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def feeds(self, stored: Sequence[str] = ()) -> dict[str, Array]:
        """The inputs by name, but for those of the `stored` types."""
        return {
            f"i{k}": np.asarray(array)
            for k, array in enumerate(self.inputs)
            if array is not None and array.dtype.name not in stored
        }

    def __str__(self) -> str:
        """With short inputs as numbers."""
        shown = ("-" if a is None else f"{a.dtype}{_short(a)}" for a in self.inputs)
        return f"{self.op} of opset {self.opset} {self.attributes} ({', '.join(shown)})"


def _short(array: Array) -> list:
    return array.tolist() if 0 < array.size <= 4 else list(array.shape)


class Draw:
    """Draws the parts of settings of one operator at one opset."""

    def __init__(self, op: str, opset: int, seed: int) -> None:
        self.op, self.opset = op, opset
        self.rng = np.random.default_rng([seed, opset, *op.encode()])

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def among(self, choices: Sequence[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def number(self, low: int, high: int) -> int:
        """Both bounds included."""
        return int(self.rng.integers(low, high + 1))

    def shape(self, low: int = 0, high: int = 4, empty: float = 0.04) -> tuple[int, ...]:
        """Of a rank between the bounds; some axes have size 1, few size 0."""
        rank = self.number(low, high)
        return tuple(0 if self.chance(empty) else self.among([1, 2, 3, 4, 5]) for _ in range(rank))

    def two_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Two that broadcast."""
        full = self.shape()
        a, b = (
            tuple(1 if self.chance(0.3) else size for size in full[self.number(0, len(full)) :])
            for _ in range(2)
        )
        return a, b

    def axis(self, rank: int) -> int:
        """From the front or from the back, which runtimes take at every opset."""
        return self.number(-rank, rank - 1)

    def axes(self, rank: int, count: int) -> list[int]:
        """Different ones, in any order, some from the back."""
        chosen = self.rng.permutation(rank)[:count]
        return [int(a) - (rank if self.chance(0.4) else 0) for a in chosen]

    def type(self, index: int = 0, among: Sequence[str] = (*REALS, *INTEGERS, "bool")) -> np.dtype:
        """One that the operator's schema gives its input; half of the time float32."""
        schema = onnx.defs.get_schema(self.op, self.opset, "")
        return self._fitting(schema.inputs[min(index, len(schema.inputs) - 1)].types, among)

    def type_of_output(self) -> np.dtype:
        """One that the operator's schema gives its output."""
        schema = onnx.defs.get_schema(self.op, self.opset, "")
        return self._fitting(schema.outputs[0].types, (*REALS, *INTEGERS, "bool"))

    def _fitting(self, allowed: Collection[str], among: Sequence[str]) -> np.dtype:
        fitting = [name for name in among if f"tensor({_NAMES.get(name, name)})" in allowed]
        if self.opset < 7 and len(fitting) > 1:  # ONNX Runtime casts it by a later opset's Cast
            fitting = [name for name in fitting if name != "float16"]
        most = "float32" in fitting and self.chance(0.4)
        return dtype("float32" if most else self.among(fitting))

    def array(self, shape: Sequence[int], kind: np.dtype, positive: bool = False) -> Array:
        """Numbers about 1; small whole ones in an integer type."""
        if kind.kind == "b":
            return self.rng.random(shape) < 0.5
        if kind.kind in "iu" or kind.name in ("int4", "uint4"):
            low = 1 if positive else (0 if kind.name.startswith("u") else -7)
            return self.rng.integers(low, 8, shape).astype(kind)
        numbers = np.asarray(self.rng.standard_normal(shape))
        return (np.abs(numbers) + 0.1 if positive else numbers).astype(kind)


Drawn = Callable[[Draw], Setting]
