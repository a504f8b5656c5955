"""A graph while it is made: its operators, constants, inputs and outputs, and names nobody has."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import onnx.shape_inference
from onnx import NodeProto, TensorProto

from tests.support.fuzzer.drawing.spelling import factors

Dims = tuple[int | str, ...]

#: The types that a graph may be in, by the names of ONNX's text form.
TYPES: dict[str, Any] = {
    "float": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "double": np.float64,
}

_IR_VERSION = 9  # the first with local functions is 8

_BLEND = """<ir_version: 9, opset_import: ["": 13, "own": 1]> m (float x) => (float y) {
    y = own.Blend(x, x) } <domain: "own", opset_import: ["": 13]> Blend (one, other) => (blended)
    { half = Tanh(other) blended = Add(one, half) }"""


@dataclass
class Draft:
    """A graph that is still changed.

    Attributes:
        opset: of ONNX's own operators.
        dtype: of its floating tensors, by the name in `TYPES`.
        sizes: symbols of the parts that are numbers in this graph.
        claims: types and shapes of tensors that onnx cannot infer.
    """

    opset: int
    dtype: str
    sizes: dict[str, int] = field(default_factory=dict)
    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: dict[str, tuple[int, Dims]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    overridable: list[str] = field(default_factory=list)
    claims: dict[str, tuple[int, Dims]] = field(default_factory=dict)
    _count: int = 0

    @property
    def elem(self) -> int:
        """The floating type as ONNX numbers it."""
        return onnx.helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[self.dtype]))

    def fresh(self, stem: str) -> str:
        """A name that no tensor has."""
        self._count += 1
        return f"{stem}_{self._count}"

    def constant(self, stem: str, array: np.ndarray, *, as_it_is: bool = False) -> str:
        """A new initializer; floats get the graph's type, unless it is to stay as it is."""
        name = self.fresh(stem)
        is_float = array.dtype.kind == "f" and not as_it_is
        self.constants[name] = array.astype(TYPES[self.dtype]) if is_float else array
        return name

    def add(self, text: str, at: int | None = None) -> None:
        """Operators in ONNX's text form, at the end or from a place on."""
        nodes = onnx.parser.parse_graph(f"g () => () {{ {text} }}").node
        place = len(self.nodes) if at is None else at
        self.nodes[place:place] = nodes

    def rename(self, text: str) -> dict[str, str]:
        """A new name for each that a text has in braces, such as {k}."""
        return {name: self.fresh(name) for name in sorted(set(re.findall(r"\{([a-z]+)\}", text)))}

    def readers(self, name: str) -> list[NodeProto]:
        """Operators of the main graph that read a tensor themselves, not in a body."""
        return [node for node in self.nodes if name in node.input]

    def made_at(self) -> dict[str, int]:
        """The place of the operator that makes each tensor; -1 for an input."""
        return dict.fromkeys(self.inputs, -1) | {
            name: index for index, node in enumerate(self.nodes) for name in node.output
        }

    def floats(self) -> list[str]:
        """Weights that are neither inputs nor outputs."""
        floats = (name for name, a in self.constants.items() if a.dtype == TYPES[self.dtype])
        others = {*self.overridable, *self.outputs, *factors(self.nodes)}
        return [name for name in floats if name not in others]

    def types(self) -> dict[str, tuple[int, Dims]]:
        """Type and shape of whatever onnx can infer; a size that it cannot tell is ""."""
        model = onnx.shape_inference.infer_shapes(self._model({}))
        found = {}
        for value in model.graph.value_info:
            tensor = value.type.tensor_type
            if tensor.HasField("shape"):
                dims = (d.dim_value or d.dim_param for d in tensor.shape.dim)
                found[value.name] = (tensor.elem_type, tuple(dims))
        held = {
            name: (onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in self.constants.items()
        }
        return {**held, **self.claims, **found, **self.inputs}

    def model(self, *, claims: bool = True, named: bool = True) -> onnx.ModelProto:
        """The graph as it is.

        Args:
            claims: the file says of tensors inside what onnx cannot infer.
            named: each operator is named after its type and place; else none is.
        """
        typed = self.types()
        model = self._model({name: typed[name] for name in self.outputs})
        for index, node in enumerate(model.graph.node):
            node.name = f"{node.op_type}_{index}" if named else ""
        if not claims:
            del model.graph.value_info[:]
        return model

    def _model(self, outputs: dict[str, tuple[int, Dims]]) -> onnx.ModelProto:
        graph = onnx.helper.make_graph(
            self.nodes,
            "fuzzed",
            [_value(name, *typed) for name, typed in self.inputs.items()],
            [_value(name, *typed) for name, typed in outputs.items()],
            [onnx.numpy_helper.from_array(array, name) for name, array in self.constants.items()],
            value_info=[_value(n, *typed) for n, typed in self.claims.items() if n not in outputs],
        )
        for name in self.overridable:
            array = self.constants[name]
            elem = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            graph.input.append(_value(name, elem, array.shape))
        domains = {node.domain for node in graph.node} - {""}
        opsets = [onnx.helper.make_opsetid(name, 1) for name in sorted(domains)]
        opsets.insert(0, onnx.helper.make_opsetid("", self.opset))
        model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        if "own" in domains:
            (blend,) = onnx.parser.parse_model(_BLEND).functions
            blend.opset_import[0].version = self.opset
            model.functions.append(blend)
        return model


def _value(name: str, elem: int, dims: Dims) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, elem, [dim or None for dim in dims])


def is_float(elem: int) -> bool:
    """Whether this is a type of `TYPES`."""
    return elem in (
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.DOUBLE,
    )
