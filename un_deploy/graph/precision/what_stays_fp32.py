"""Decides which operators stay in fp32 when the rest of a graph becomes fp16 or bf16, and why.

An operator stays when

- the user named it, its type, its module, or a tensor that it reads or makes;
- it holds other things than tensors, or is not ONNX's own: its inside is unknown;
- ONNX does not give it the half type at the model's opset, or TensorRT does not;
- it computes from integers alone, such as sizes, counts, positions and masks: fp16 has no odd
  number beyond 2048 and nothing beyond 65504, bf16 none beyond 256;
- it carries a number beyond the type's range to where it is bounded again (`out_of_range_masks`);
- it is a Cast, or computes from constants alone, and an operator in fp32 reads it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import replace

import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.graph.analysis.constants import rounded
from un_deploy.graph.analysis.held_constant import held_constant
from un_deploy.graph.analysis.operator_types import OperatorTypes, bodies, element, has_body
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.model.labels import label_of, node_name
from un_deploy.graph.precision.bodies import (
    ConstantsOfAll,
    all_types,
    crossings,
    every_graph,
    every_node,
    is_control_flow,
)
from un_deploy.graph.precision.out_of_range_masks import carriers
from un_deploy.graph.precision.rounding import NAMES, Narrowing, narrowing

_FLOAT = ir.DataType.FLOAT

#: What TensorRT-RTX 1.7 fails at in bf16, whatever ONNX says; between Casts it may compute in bf16.
_NO_BF16 = ("ConvTranspose", "GRU")
BUILDER_LACKS = "TensorRT-RTX 1.7 builds no"


class Fp32Choice:
    """What stays in fp32.

    Attributes:
        half: FLOAT16 or BFLOAT16.
        types: of every value, before the conversion.
        operators: the schemas at the opset that the result will have.
        nodes: every operator; those of a body come before the one that it belongs to.
        kept: the operators that stay in fp32, with the reason, in that order.
        narrowings: what becomes of each float32 constant, stored or computed, if it is rounded.
    """

    def __init__(
        self,
        model: ir.Model,
        half: ir.DataType,
        opset: int,
        *,
        keep: Collection[str],
        keep_io: bool,
    ) -> None:
        self.half = half
        self.types = all_types(model)
        self.nodes = list(every_node(model.graph))
        self.operators = OperatorTypes(model, opset)
        self.narrowings: dict[ir.Value, Narrowing] = {}
        self._graph = model.graph
        self._keep_io = keep_io
        self._constants = ConstantsOfAll(model)
        self._fixed: set[ir.Value] = set()
        self._kept: dict[ir.Node, str] = {}
        self._keep_named(keep)
        self._named = set(self._kept)
        self._keep_what_must()
        self._keep_counting()
        self._look_at_constants()
        self._keep_beyond_range(keep)
        self._keep_sources()
        self.kept = {node: self._kept[node] for node in self.nodes if node in self._kept}

    def is_float(self, value: ir.Value | None) -> bool:
        """Whether it is a float32 tensor, before the conversion."""
        return value is not None and element(self.types.get(value)) == _FLOAT

    def wanted(self, node: ir.Node, index: int) -> ir.DataType:
        """The type in which a node wants a float32 input."""
        if node in self._kept or has_body(node):
            return _FLOAT
        return self.half if self.operators.takes(node, index, self.half) else _FLOAT

    def demands(self, value: ir.Value) -> set[ir.DataType]:
        """The types in which a float32 value is read."""
        found = {self.wanted(node, index) for node, index in value.uses()}
        if value.is_graph_output():
            of_body = value.graph is not self._graph
            found.add(_FLOAT if self._keep_io or of_body else self.half)
        return found

    def constants(self) -> Iterator[tuple[ir.Value, ir.TensorProtocol]]:
        """The float32 tensors that the graphs hold: in initializers and in attributes."""
        for graph in every_graph(self._graph):
            for value in graph.initializers.values():
                if self.is_float(value) and value.const_value is not None:
                    yield value, value.const_value
        for node in self.nodes:
            if not node.outputs or not self.is_float(value := node.outputs[0]):
                continue
            if node.op_type == "Constant" and (tensor := held_constant(value)) is not None:
                yield value, tensor
            elif is_filled(value) and "value" in node.attributes:
                yield value, node.attributes["value"].as_tensor()

    @staticmethod
    def kind(value: ir.Value) -> str:
        """What a message calls a constant, before its name."""
        node = value.producer()
        return "the initializer" if node is None else f"the {node.op_type} {node_name(node)!r} of"

    def remedy(self) -> str:
        """What a message tells to do about a constant."""
        other = "" if self.half == ir.DataType.BFLOAT16 else ", or convert to bf16"
        return f"keep it in fp32 ({argument('keep_fp32')}){other}"

    def _keep_named(self, keep: Collection[str]) -> None:
        values = {str(value.name): value for value in self.types}
        known = set(values)
        for node in self.nodes:
            names = {node.name or node.op_type, node.op_type, label_of(node)}
            known |= names
            for name in sorted(names & set(keep)):
                self._note(node, f"{name!r} is named to be kept")
                self._note_bodies(node, f"it is in {node_name(node)!r}, which is named to be kept")
                if node.op_type == "Constant":
                    self._keep_around(node.outputs[0], name)
        for name in sorted(set(keep)):
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
                hint = f"; near it: {', '.join(map(repr, near))}" if near else ""
                raise InputError(
                    f"{name!r}, which is to be kept in fp32, is no operator, operator type, "
                    f"module or tensor of this model{hint}"
                )
            if name in values:
                self._keep_around(values[name], name)

    def _keep_around(self, value: ir.Value, name: str) -> None:
        if (maker := value.producer()) is not None:
            self._note(maker, f"it makes {name!r}, which is named to be kept")
        for reader, _ in value.uses():
            self._note(reader, f"it reads {name!r}, which is named to be kept")

    def _keep_what_must(self) -> None:
        for node in self.nodes:
            kinds = [self.types[v] for v in (*node.inputs, *node.outputs) if v in self.types]
            if is_control_flow(node):
                continue
            if self.operators.schema(node) is None or has_body(node):
                self._note_bodies(node, f"the inside of a {node.op_type} is not known")
            if self.operators.schema(node) is None:
                self._note(node, f"ONNX has no {node.op_type} in the domain {node.domain!r}")
            elif node.op_type in _NO_BF16 and self.half == ir.DataType.BFLOAT16:
                self._note(node, f"{BUILDER_LACKS} {node.op_type} in bf16")
            elif any(element(kind) is None for kind in kinds):
                self._note(node, "it reads or makes something else than tensors")
            elif node.op_type != "Constant" and not self._has_half_port(node):
                reason = f"ONNX has no {NAMES[self.half]} {node.op_type} at this opset"
                self._note(node, reason)

    def _has_half_port(self, node: ir.Node) -> bool:
        takes, makes = self.operators.takes, self.operators.makes
        return any(
            ask(node, k, self.half)
            for ask, values in ((takes, node.inputs), (makes, node.outputs))
            for k, value in enumerate(values)
            if self.is_float(value)
        )

    def _keep_counting(self) -> None:
        """Keep what is computed from integers alone, up to the first weights."""
        counted: set[ir.Value] = set()
        for node in self.nodes:
            if not node.outputs or node.outputs[0] in self._constants or has_body(node):
                continue
            read = [v for v in node.inputs if self.is_float(v)]
            made = [v for v in node.outputs if self.is_float(v)]
            if any(map(self._is_weight, read)):
                continue
            if read:
                found = any(v in counted for v in read)
                found = found and all(v in counted or self._is_fixed(v) for v in read)
                moved = operator_named(node.op_type).moves and all(map(self._is_fixed, read))
            else:
                found = bool(made) and self._from_other_type(node)
                moved = is_filled(node.outputs[0])
            if moved:
                self._fixed.update(made)
            if found:
                counted.update(made)
                self._note(node, "it computes from integers alone")

    def _is_fixed(self, value: ir.Value | None) -> bool:
        """Whether it is a constant, or one that was spread to a size that is not."""
        return value in self._constants or value in self._fixed

    def _is_weight(self, value: ir.Value | None) -> bool:
        """Whether it is a constant with at least two axes."""
        if value is None or value not in self._constants:
            return False
        tensor = held_constant(value)
        shape = tensor.shape.numpy() if tensor is not None else self._constants[value].shape
        return sum(size > 1 for size in shape) > 1

    def _look_at_constants(self) -> None:
        for value, tensor in self.constants():
            self.narrowings[value] = narrowing(tensor.numpy(), self.half)
        for node in self.nodes:
            operator = operator_named(node.op_type)
            if operator.moves:  # what was looked at once need not be looked at again
                continue
            for value in node.outputs:
                if self.is_float(value) and value in self._constants:
                    found = narrowing(rounded(self._constants[value], _FLOAT), self.half)
                    if operator.sums:
                        found = replace(found, flush=None)
                    self.narrowings[value] = found

    def _keep_beyond_range(self, keep: Collection[str]) -> None:
        across = crossings(self._graph)
        for value, found in self.narrowings.items():
            entry = found.overflow
            if entry is None or value.name in keep:
                continue
            nodes = carriers(
                value, entry, self.is_float, self._named, across, may_leave=self._keep_io
            )
            holds = f"{value.name!r} holds {entry}, beyond the range of {NAMES[self.half]}"
            if nodes is None:
                raise InputError(
                    f"{self.kind(value)} {holds}, and no Softmax bounds it: {self.remedy()}"
                )
            for node in nodes:
                self._note(node, holds)

    def _keep_sources(self) -> None:
        """What is read in fp32 must not have been rounded before, so no Cast may do that."""
        for node in reversed(self.nodes):
            fixed = node.op_type != "Constant" and self._is_fixed(node.outputs[0])
            if fixed or self._from_other_type(node, real=True):
                for value in node.outputs:
                    if self.is_float(value) and _FLOAT in self.demands(value):
                        self._note(node, f"{value.name!r} is read in fp32")

    def _from_other_type(self, node: ir.Node, *, real: bool = False) -> bool:
        """Whether it is a Cast from integers or booleans, or from float64 and the like."""
        if node.op_type not in ("Cast", "CastLike") or node.domain:
            return False
        dtype = element(self.types.get(node.inputs[0])) if node.inputs[0] is not None else None
        return dtype not in (None, _FLOAT) and (real or not dtype.is_floating_point())

    def _note(self, node: ir.Node, reason: str) -> None:
        """Keep an operator; what enters and leaves an If, a Loop or a Scan is in fp32 anyway."""
        floats = any(map(self.is_float, (*node.inputs, *node.outputs)))
        if floats and not is_control_flow(node):
            self._kept.setdefault(node, reason)

    def _note_bodies(self, node: ir.Node, reason: str) -> None:
        for body in bodies(node):
            for inner in every_node(body):
                self._note(inner, reason)


def is_filled(value: ir.Value) -> bool:
    """Whether ConstantOfShape makes it."""
    node = value.producer()
    return node is not None and node.op_type == "ConstantOfShape" and not node.domain
