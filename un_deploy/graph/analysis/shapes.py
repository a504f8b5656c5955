"""Infers the shape of every tensor, once, on the side, and never guesses: the one authority on it.

The rules per operator come from onnx-shape-inference. It is run node by node on a clone that
shares the weights, and reads nothing but the shapes of the graph's inputs and its constants: what
a file claims about any other tensor may be stale or invented (TorchScript names the dimensions of
its outputs at will), and a wrong claim must never lead to a wrong fold. Where a claimed size
contradicts the inferred one, one of the two is wrong and nobody can tell which: that dimension is
unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import sympy
from onnx_ir.passes.common import InlinePass

from un_deploy.graph.analysis.bounded_context import BoundedContext
from un_deploy.graph.analysis.dims import Dim, Shape, simplest, symbol
from un_deploy.graph.analysis.shape_rules import Corrections
from un_deploy.graph.analysis.side_dims import SideDim, expression, side_dim

#: Attributes that became inputs 1, 2 and 3, of operators whose old form the package does not know.
_BECAME_INPUTS: Mapping[str, Mapping[str, type]] = {
    "Slice": {"starts": np.int64, "ends": np.int64, "axes": np.int64},
    "TopK": {"k": np.int64},
    "Upsample": {"scales": np.float32},
}

#: From here on the package has a rule for the form of every operator that runtimes run.
_RULES_BEGIN = 10

_SUBGRAPHS = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


class Shapes:
    """The shape of every value in a model's main graph, inferred when it is made.

    Nothing is written to the model. Values are known by name, so the shapes stay with them while
    the graph is edited; an edit that creates a value says its shape with `set`.
    """

    def __init__(self, model: ir.Model) -> None:
        self._shapes: dict[str, Shape] = {}
        self.contradictions: dict[str, str] = {}
        """By value: what the file claims about its shape and what its operators give instead."""
        self.numbers: Mapping[str, np.ndarray]
        """By value: the whole numbers that operators read from sizes, where all are known."""
        inferred, self._dtypes, self.numbers = _infer(model)
        for value in _values(model.graph):
            if value.name is not None and (shape := inferred.get(value.name)) is not None:
                self._take(value, shape)

    def of(self, value: ir.Value) -> Shape | None:
        """The value's shape, None where its rank is unknown. A constant has its true shape."""
        if value.is_initializer() and not value.is_graph_input() and value.const_value is not None:
            return tuple(int(dim) for dim in value.const_value.shape.numpy())
        return None if value.name is None else self._shapes.get(value.name)

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """The value's element type: as the file has it, else as its operators give it."""
        if value.dtype is not None:
            return value.dtype
        return None if value.name is None else self._dtypes.get(value.name)

    def set(self, value: ir.Value, shape: Shape) -> None:
        """State the shape of a value that an edit created or changed."""
        if value.name is None:
            raise ValueError("a value needs a name before its shape can be set")
        self._shapes[value.name] = tuple(simplest(dim) for dim in shape)

    def _take(self, value: ir.Value, shape: Shape) -> None:
        claimed = value.shape
        assert value.name is not None
        if claimed is None or value.is_graph_input():
            self._shapes[value.name] = shape
            return
        if len(claimed) != len(shape):
            self.contradictions[value.name] = f"the file says {claimed}, its operators {shape}"
            return
        kept = tuple(
            None if isinstance(said, int) and isinstance(dim, int) and said != dim else dim
            for said, dim in zip(_known_or_none(claimed), shape, strict=True)
        )
        if kept != shape:
            self.contradictions[value.name] = f"the file says {claimed}, its operators {shape}"
        self._shapes[value.name] = kept


def _infer(
    model: ir.Model,
) -> tuple[dict[str, Shape], dict[str, ir.DataType], dict[str, np.ndarray]]:
    """Shapes, element types and whole numbers by value name, where they can be told."""
    from onnx_shape_inference import registry

    side = model.clone()
    if side.functions:
        InlinePass()(side)
    own_names = _forget_claims(side.graph)
    registry.collect()
    context = BoundedContext(side.opset_imports, policy="override")
    for value in side.graph.inputs:
        context.name_anonymous_dims(value)
    corrections = Corrections(context)
    corrections.note_sizes((*side.graph.inputs, *side.graph.initializers.values()))
    for node in side.graph:
        if any(attribute.type in _SUBGRAPHS for attribute in node.attributes.values()):
            continue  # what a branch or a loop returns may differ from run to run
        rule = _rule(node, context.get_opset_version(node.domain))
        try:
            corrections.infer(node, rule)
        except Exception:  # a rule that gives up, for whatever reason, leaves the shape unknown
            for value in node.outputs:
                value.shape = None
    dtypes = {v.name: v.dtype for v in _values(side.graph) if v.name and v.dtype is not None}
    numbers = {
        str(value.name): array
        for node in side.graph
        for value in node.outputs
        if (array := _numbers(value, context.get_symbolic_value(value))) is not None
    }
    return _own_terms(_values(side.graph), own_names), dtypes, numbers


def _rule(node: ir.Node, version: int) -> Callable[..., None] | None:
    """The package's rule of an operator; of a form that is older than all of them, the first.

    ONNX Runtime's optimiser writes some of its own operators into the main domain.
    """
    from onnx_shape_inference import registry

    if not node.domain and node.op_type in _BECAME_INPUTS:
        _with_inputs(node, _BECAME_INPUTS[node.op_type])
    rule = registry.get(node.domain, node.op_type, version)
    if rule is not None or node.domain:
        return rule
    newer = (registry.get("", node.op_type, v) for v in range(version, _RULES_BEGIN + 1))
    own = registry.get("com.microsoft", node.op_type, 1)
    return own or next((rule for rule in newer if rule is not None), None)


def _with_inputs(node: ir.Node, types: Mapping[str, type]) -> None:
    """Give a node of the side model its attributes of these names as inputs behind the first."""
    for index, (name, dtype) in enumerate(types.items(), 1):
        if (attribute := node.attributes.get(name)) is not None:
            node.resize_inputs(max(index + 1, len(node.inputs)))
            array: np.ndarray = np.atleast_1d(np.array(attribute.value, dtype))
            tensor = ir.tensor(array)
            shape, kind = ir.Shape(array.shape), ir.TensorType(tensor.dtype)
            held = ir.Value(name=name, shape=shape, type=kind, const_value=tensor)
            node.replace_input_with(index, held)


def _numbers(value: ir.Value, known: Sequence[SideDim] | None) -> np.ndarray | None:
    """The numbers of a shape tensor, where each is known."""
    if known is None or value.shape is None or not value.shape.is_static():
        return None
    if value.dtype not in (ir.DataType.INT32, ir.DataType.INT64):
        return None
    numbers = [side_dim(expression(number)) for number in known]
    if not all(isinstance(number, int) for number in numbers):
        return None
    return np.array(numbers, dtype=value.dtype.numpy()).reshape(value.shape.numpy())


def _forget_claims(graph: ir.Graph) -> dict[str, str]:
    """Keep the inputs' shapes and the constants, drop what the file says of other tensors.

    The inputs' dimensions get plain names, since the package reads a name as an expression;
    returned are the user's names by the plain ones.
    """
    plain: dict[str, str] = {}
    for value in graph.inputs:
        value.const_value = None  # an initializer that is an input too can be overridden
        if value.shape is not None:
            value.shape = ir.Shape(
                dim
                if isinstance(dim, int) or dim.value is None
                # setdefault: the same name is the same dimension
                else plain.setdefault(dim.value, f"u{len(plain)}")
                for dim in _known_or_none(value.shape)
            )
    for value in graph.initializers.values():
        if value.const_value is not None:
            value.shape = ir.Shape(value.const_value.shape.numpy())
    for node in graph:
        for value in node.outputs:
            value.shape = value.const_value = None
    return {new: old for old, new in plain.items()}


def _known_or_none(shape: ir.Shape) -> list[int | ir.SymbolicDim]:
    """The dimensions; -1, which some exporters write for a dynamic one, has no name."""
    return [ir.SymbolicDim(None) if isinstance(dim, int) and dim < 0 else dim for dim in shape.dims]


def _own_terms(values: Iterable[ir.Value], own_names: dict[str, str]) -> dict[str, Shape]:
    """The side model's shapes, over the user's symbols and a private one for each nameless size."""
    symbols: dict[sympy.Expr, sympy.Expr] = {}
    dims: dict[str, Dim] = {}

    def own(dim: int | ir.SymbolicDim) -> Dim:
        if isinstance(dim, int):
            return simplest(dim)
        text = str(dim.value)
        if text not in dims:
            value = expression(dim)
            for name in value.free_symbols - symbols.keys():
                user = own_names.get(str(name))
                symbols[name] = (
                    symbol(user) if user else sympy.Dummy(str(name), integer=True, positive=True)
                )
            dims[text] = simplest(value.xreplace(symbols))
        return dims[text]

    return {
        value.name: tuple(own(dim) for dim in value.shape.dims)
        for value in values
        if value.name is not None and value.shape is not None
    }


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs
