"""What is known of a folded model's tensors, and what its constants and bodies are."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import sympy
from onnx.reference import ReferenceEvaluator

from un_deploy.graph.analysis.shapes import Shapes

#: Constants of no more entries than this may say how large a tensor is.
_SMALL = 64


class Tensors:
    """What is known of a model's tensors, by name; the same for every copy of it."""

    def __init__(self, model: ir.Model) -> None:
        self._opset = model.opset_imports[""]
        self._model = model
        self._shapes = Shapes(model)
        self._in_bodies = _inferred_in_bodies(model)
        self._sizes: dict[object, int] = {}
        self._known: dict[str, np.ndarray] = {}
        self._numbers: dict[object, int] = {}
        self._keys: dict[str, int] = {}
        self._take(model.graph)

    def kind(self, value: ir.Value) -> tuple[object, ...] | None:
        """Element type and sizes; None where they are not known."""
        if value.name in self._in_bodies:
            return self._in_bodies[value.name]
        shape, dtype = self._shapes.of(value), self._shapes.dtype(value)
        if shape is None or dtype is None or any(dim is None for dim in shape):
            return None
        return (dtype.name, *(str(dim) for dim in shape))

    def alike(self, a: ir.Value, b: ir.Value) -> bool:
        """Whether two tensors hold the same numbers.

        They are computed alike from the same, or are equal and follow from sizes alone.
        """
        return self._keys[str(a.name)] == self._keys[str(b.name)]

    def computes_the_same(self, node: ir.Node) -> bool:
        """Whether an operator, as it is now, still gives what it gave, from sizes alone."""
        for value in node.outputs:
            before = self._known.get(str(value.name))
            if before is None or not np.array_equal(before, self._from_sizes(node, value)):
                return False
        return True

    def picked(self, node: ir.Node) -> np.ndarray | None:
        """Which entries of its data a Slice or Gather picks, as far as that follows from sizes."""
        data, *others = (v for v in node.inputs if v is not None)
        shape = self._shapes.of(data)
        if node.op_type not in ("Slice", "Gather") or shape is None or None in shape:
            return None
        if any(str(v.name) not in self._known for v in others):
            return None
        sizes = [self._size(dim) for dim in shape]
        inputs = {str(v.name): self._known[str(v.name)] for v in others}
        inputs[str(data.name)] = np.arange(np.prod(sizes)).reshape(sizes)
        found = self._evaluated(node, inputs)
        return None if found is None else found[0]

    def _take(self, graph: ir.Graph) -> None:
        for value in graph.inputs:
            self._note(value, ("input", value.name))
        for value in graph.initializers.values():
            self._note(value, self._of_array(value, numbers(value)))
        for node in graph:
            for body in bodies(node, self._model):
                self._take(body)
            for value in node.outputs:
                self._note(value, self._computed(node, value))

    def _note(self, value: ir.Value, key: object) -> None:
        self._keys[str(value.name)] = self._numbers.setdefault(key, len(self._numbers))

    def _of_array(self, value: ir.Value, array: np.ndarray) -> object:
        if array.size <= _SMALL:
            self._known[str(value.name)] = array
        return (array.dtype.name, array.shape, array.tobytes())

    def _computed(self, node: ir.Node, value: ir.Value) -> object:
        if is_constant(value):
            return self._of_array(value, numbers(value))
        if bodies(node, self._model) or "Random" in node.op_type:
            return ("of its own", value.name)
        if (array := self._from_sizes(node, value)) is not None:
            return self._of_array(value, array)
        inputs = [None if v is None else self._keys[str(v.name)] for v in node.inputs]
        attributes = sorted((name, str(a.value)) for name, a in node.attributes.items())
        place = node.outputs.index(value)
        return (node.domain, node.op_type, str(attributes), str(inputs), place)

    def _from_sizes(self, node: ir.Node, value: ir.Value) -> np.ndarray | None:
        """What a tensor holds that follows from sizes and small constants; else None."""
        first = node.inputs[0] if node.inputs else None
        if node.op_type == "Shape" and first is not None:
            shape = self._shapes.of(first)
            if shape is None or any(dim is None for dim in shape):
                return None
            sizes = np.array([self._size(dim) for dim in shape], dtype=np.int64)
            end = node.attributes.get_int("end", len(sizes))
            return sizes[node.attributes.get_int("start", 0) : end]
        names = [str(v.name) for v in node.inputs if v is not None]
        if node.domain or any(name not in self._known for name in names):
            return None
        found = self._evaluated(node, {name: self._known[name] for name in names})
        return None if found is None else np.asarray(found[node.outputs.index(value)])

    def _evaluated(self, node: ir.Node, inputs: dict[str, np.ndarray]) -> list[np.ndarray] | None:
        try:
            return ReferenceEvaluator(ir.to_proto(node), opsets={"": self._opset}).run(None, inputs)
        except Exception:  # a damaged operator may fit its inputs no longer
            return None

    def _size(self, dim: object) -> int:
        """A number for a dimension; those of two symbols have no divisor in common."""
        expression = sympy.sympify(dim)
        for symbol in sorted(expression.free_symbols - self._sizes.keys(), key=str):
            self._sizes[symbol] = sympy.prime(30 + len(self._sizes))
        return int(expression.subs(self._sizes))


def bodies(node: ir.Node, model: ir.Model) -> list[ir.Graph]:
    """Of If, Loop and Scan, and of the local function that is called."""
    function = model.functions.get(node.op_identifier())
    found = [] if function is None else [function.graph]
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            found.append(attribute.as_graph())
        elif attribute.type == ir.AttributeType.GRAPHS:
            found.extend(attribute.as_graphs())
    return found


def is_constant(value: ir.Value) -> bool:
    node = value.producer()
    if node is None:
        return value.is_initializer() and not value.is_graph_input()
    return node.op_type == "Constant" and "value" in node.attributes


def numbers(value: ir.Value) -> np.ndarray:
    """What a constant holds, in its own type; a copy."""
    node = value.producer()
    tensor = value.const_value if node is None else node.attributes["value"].as_tensor()
    assert tensor is not None
    return np.array(tensor.numpy())


def put(value: ir.Value, array: np.ndarray) -> None:
    """Let a constant hold other numbers of its type."""
    node = value.producer()
    if node is None:
        assert value.const_value is not None
        value.const_value = ir.Tensor(array, dtype=value.const_value.dtype, name=value.name)
    else:
        dtype = node.attributes["value"].as_tensor().dtype
        node.attributes["value"] = ir.AttrTensor("value", ir.Tensor(array, dtype=dtype))


def _inferred_in_bodies(model: ir.Model) -> dict[str, tuple[object, ...]]:
    inferred = ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(model)))
    inside = (body for node in inferred.graph.all_nodes() for body in bodies(node, inferred))
    return {
        str(v.name): (v.dtype.name, *(str(dim) for dim in v.shape))
        for body in inside
        for v in (*body.inputs, *(v for node in body for v in node.outputs))
        if v.dtype is not None and v.shape is not None
    }
