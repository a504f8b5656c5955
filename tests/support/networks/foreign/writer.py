"""Writes a network, an operator or a layer at a time, as ONNX's text with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnx_ir as ir

from un_deploy.engines.profiles import Profile, parse_shapes, profiles_of


@dataclass(frozen=True)
class Network:
    """A network and the shapes that its open sizes are built for.

    Attributes:
        name: what tests and tables call it.
        write: makes its ONNX model.
        shapes: as --shapes takes them; "" where every size is fixed.
        bodies: whether products stand in the bodies of an If, a Loop or a Scan.
    """

    name: str
    write: Callable[[], onnx.ModelProto]
    shapes: str = ""
    bodies: bool = False

    def model(self) -> ir.Model:
        return ir.from_proto(self.write())

    @property
    def profiles(self) -> tuple[Profile, ...]:
        return profiles_of([], [parse_shapes(self.shapes)] if self.shapes else [], [])


@dataclass
class Writer:
    """Lines of ONNX's text; a body of control flow is written by a `within` of its own."""

    prefix: str = "t"
    lines: list[str] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __call__(self, call: str) -> str:
        """Write one operator, ``Add(x, y)``; returns the name of what it makes."""
        name = f"{self.prefix}{len(self.lines)}"
        self.lines.append(f"{name} = {call}")
        return name

    def within(self, prefix: str) -> Writer:
        """For a body, which reads the weights of the graph around it."""
        return Writer(f"{self.prefix}{prefix}", [], self.weights, self.rng)

    def body(self, name: str, inputs: str, outputs: str) -> str:
        """What was written, as a graph."""
        return f"{name} ({inputs}) => ({outputs}) {{ {' '.join(self.lines)} }}"

    def model(self, inputs: str, outputs: str, opset: int = 20) -> onnx.ModelProto:
        header = f'<ir_version: 10, opset_import: ["" : {opset}]>'
        model = onnx.parser.parse_model(f"{header} {self.body('network', inputs, outputs)}")
        model.graph.initializer.extend(
            onnx.numpy_helper.from_array(array, name) for name, array in self.weights.items()
        )
        return model

    def give(self, array: object) -> str:
        """A constant: floats as float32, integers as int64."""
        given = np.asarray(array)
        name = f"w{len(self.weights)}"
        self.weights[name] = given.astype(np.float32 if given.dtype.kind == "f" else np.int64)
        return name

    def random(self, *shape: int) -> str:
        """A weight whose product keeps the size of what it is given."""
        fan_in = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
        return self.give(self.rng.standard_normal(shape) / max(fan_in, 1) ** 0.5)

    def linear(self, x: str, inside: int, outside: int) -> str:
        product = self(f"MatMul({x}, {self.random(inside, outside)})")
        return self(f"Add({product}, {self.give(self.rng.standard_normal(outside) / 10)})")

    def affine(self, x: str, width: int) -> str:
        """A norm without statistics: a scale and a shift."""
        scaled = self(f"Mul({x}, {self.give(self.rng.uniform(0.5, 1.5, width))})")
        return self(f"Add({scaled}, {self.give(self.rng.standard_normal(width) / 10)})")

    def layer_norm(self, x: str, width: int) -> str:
        ones, zeros = self.give(np.ones(width)), self.give(np.zeros(width))
        return self(f"LayerNormalization({x}, {ones}, {zeros})")

    def reshape(self, x: str, *sizes: int) -> str:
        return self(f"Reshape({x}, {self.give(list(sizes))})")

    def heads(self, x: str, width: int, heads: int, perm: str = "0,2,1,3") -> str:
        return self(f"Transpose<perm=[{perm}]>({self.reshape(x, 0, -1, heads, width // heads)})")

    def attend(self, q: str, k: str, v: str, size: int, mask: str = "") -> str:
        """Softmax of scaled scores, as exporters write it out; k lies transposed."""
        scores = self(f"MatMul({q}, {k})")
        scores = self(f"Mul({scores}, {self.give(np.float32(size**-0.5))})")
        if mask:
            scores = self(f"Add({scores}, {mask})")
        return self(f"MatMul({self(f'Softmax<axis=-1>({scores})')}, {v})")

    def attention(self, x: str, width: int, heads: int, *, memory: str = "", mask: str = "") -> str:
        """Of x to itself, or to a memory; (batch, tokens, width)."""
        memory = memory or x
        q = self.heads(self.linear(x, width, width), width, heads)
        k = self.heads(self.linear(memory, width, width), width, heads, "0,2,3,1")
        v = self.heads(self.linear(memory, width, width), width, heads)
        found = self.attend(q, k, v, width // heads, mask)
        back = self.reshape(self(f"Transpose<perm=[0,2,1,3]>({found})"), 0, -1, width)
        return self.linear(back, width, width)

    def mlp(self, x: str, width: int, times: int = 4) -> str:
        hidden = self(f"Gelu({self.linear(x, width, times * width)})")
        return self.linear(hidden, times * width, width)

    def block(self, x: str, width: int, heads: int, *, memory: str = "", mask: str = "") -> str:
        """A block of a transformer, with a cross attention where there is a memory."""
        x = self(f"Add({x}, {self.attention(self.affine(x, width), width, heads, mask=mask)})")
        if memory:
            seen = self.attention(self.affine(x, width), width, heads, memory=memory)
            x = self(f"Add({x}, {seen})")
        return self(f"Add({x}, {self.mlp(self.affine(x, width), width)})")

    def conv(self, x: str, inside: int, outside: int, size: int = 3, **attributes: object) -> str:
        """Of two dimensions, with a bias."""
        group = int(attributes.get("group", 1))  # type: ignore[call-overload]
        kernel = self.random(outside, inside // group, size, size)
        given = ", ".join(f"{key}={value}" for key, value in attributes.items())
        bias = self.give(self.rng.standard_normal(outside) / 10)
        return self(f"Conv<{given or 'group=1'}>({x}, {kernel}, {bias})")

    def patches(self, image: str, width: int, size: int) -> str:
        """An image of three channels as tokens."""
        found = self.conv(image, 3, width, size, strides=[size, size])
        return self(f"Transpose<perm=[0,2,1]>({self.reshape(found, 0, width, -1)})")

    def pooled(self, x: str) -> str:
        """The mean of the tokens."""
        return self(f"ReduceMean<keepdims=0>({x}, {self.give([1])})")
