"""What ONNX's schemas say of element types: which an operator takes, and which its results have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import onnx
import onnx_ir as ir
from onnx.shape_inference import infer_node_outputs

from un_deploy.errors import InputError, one_line
from un_deploy.graph.analysis.held_constant import held_constant
from un_deploy.graph.model.labels import node_name

_STRINGS = {
    ir.DataType.FLOAT: "tensor(float)",
    ir.DataType.FLOAT16: "tensor(float16)",
    ir.DataType.BFLOAT16: "tensor(bfloat16)",
}

#: Since then an operator whose inputs, outputs and attributes stay the same means the same.
_SETTLED = 13


class OperatorTypes:
    """The schemas of a model's operators at the opsets that it declares."""

    def __init__(self, model: ir.Model, opset: int | None = None) -> None:
        self._versions = dict(model.opset_imports)
        if opset is not None:
            self._versions[""] = opset
        self._imports = [onnx.helper.make_opsetid(d, v) for d, v in self._versions.items()]
        self._ir_version = model.ir_version or 10

    def schema(self, node: ir.Node) -> onnx.defs.OpSchema | None:
        """None where onnx has none: the operator is somebody else's."""
        try:
            version = self._versions[node.domain]
            return onnx.defs.get_schema(node.op_type, version, node.domain)
        except (KeyError, onnx.defs.SchemaError):
            return None

    def takes(self, node: ir.Node, index: int, dtype: ir.DataType) -> bool:
        """Whether the input may be of this type."""
        schema = self.schema(node)
        return schema is not None and _allows(schema.inputs, index, dtype)

    def makes(self, node: ir.Node, index: int, dtype: ir.DataType) -> bool:
        """Whether the output may be of this type."""
        schema = self.schema(node)
        return schema is not None and _allows(schema.outputs, index, dtype)

    def results(
        self, node: ir.Node, inputs: Sequence[onnx.TypeProto | None]
    ) -> list[onnx.TypeProto | None]:
        """The outputs' types for these input types, by ONNX's own inference; None: unknown.

        Raises:
            InputError: the operator does not take these types together.
        """
        schema = self.schema(node)
        if schema is None or has_body(node):
            return [None] * len(node.outputs)
        if node.op_type == "Constant" and not node.domain:
            tensor = held_constant(node.outputs[0])
            return [None if tensor is None else tensor_type(tensor.dtype)]
        proto = ir.to_proto(node)
        del proto.input[:], proto.output[:]
        proto.input.extend("" if v is None else f"i{k}" for k, v in enumerate(node.inputs))
        proto.output.extend(f"o{k}" for k in range(len(node.outputs)))
        known = {f"i{k}": given for k, given in enumerate(inputs) if given is not None}
        try:
            found = infer_node_outputs(
                schema, proto, known, opset_imports=self._imports, ir_version=self._ir_version
            )
        except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
            raise InputError(
                f"node {node_name(node)!r} ({node.op_type}) does not take its inputs' types: "
                f"{one_line(error)}"
            ) from error
        return [found.get(f"o{k}") for k in range(len(node.outputs))]


def value_types(model: ir.Model) -> dict[ir.Value, onnx.TypeProto]:
    """The type of every value of the main graph; no weight is read.

    What the file claims counts only where onnx cannot tell: it may be stale.

    Raises:
        InputError: names a value whose type nothing tells.
    """
    operators = OperatorTypes(model)
    types: dict[ir.Value, onnx.TypeProto] = {}
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        tensor = value.const_value
        if tensor is not None:
            types[value] = tensor_type(tensor.dtype)
        elif value.type is not None:
            types[value] = _claimed(value.type)
    for node in model.graph:
        inputs = [None if v is None else types.get(v) for v in node.inputs]
        claims = [output.type for output in node.outputs]
        for k, body in _body_outputs(node):
            claims[k] = claims[k] or body.type
        for value, found, claim in zip(
            node.outputs, operators.results(node, inputs), claims, strict=True
        ):
            if not value.name:
                continue  # an output that is left out
            if found is None or found.WhichOneof("value") is None:
                if claim is None:
                    raise InputError(
                        f"nothing tells the type of {value.name!r}, which {node_name(node)!r} "
                        f"({node.domain or 'ai.onnx'}.{node.op_type}) makes: write it into the "
                        f"file's value_info"
                    )
                found = _claimed(claim)
            types[value] = found
    return types


def element(found: onnx.TypeProto | None) -> ir.DataType | None:
    """The element type of a tensor; None for sequences and other kinds."""
    if found is None or not found.HasField("tensor_type"):
        return None
    return ir.DataType(found.tensor_type.elem_type)


def tensor_type(dtype: ir.DataType) -> onnx.TypeProto:
    """A tensor of this type and unknown shape."""
    return onnx.helper.make_tensor_type_proto(int(dtype), None)


def has_body(node: ir.Node) -> bool:
    """Whether it is control flow."""
    return any(True for _ in bodies(node))


def bodies(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs inside an If, a Loop or a Scan."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def opset_for(model: ir.Model, dtype: ir.DataType) -> int:
    """The lowest opset from the declared one on in which most operators take this type.

    Only opsets that change none of the model's operators but in the types they take. So an
    opset-20 graph with a convolution becomes one of opset 22 for bf16, since Conv takes it from
    there on.
    """
    declared = model.opset_imports[""]
    if declared < _SETTLED:
        return declared
    nodes = [node for node in model.graph.all_nodes() if not node.domain]
    here = OperatorTypes(model)
    best, fewest = declared, sum(_refuses(here, node, dtype) for node in nodes)
    for opset in range(declared + 1, onnx.defs.onnx_opset_version() + 1):
        there = OperatorTypes(model, opset)
        if not all(_same_but_types(here.schema(n), there.schema(n)) for n in nodes):
            break
        refused = sum(_refuses(there, node, dtype) for node in nodes)
        if refused < fewest:
            best, fewest = opset, refused
    return best


def _refuses(operators: OperatorTypes, node: ir.Node, dtype: ir.DataType) -> bool:
    """Whether some port takes float32 and not the type."""
    return any(
        ask(node, k, ir.DataType.FLOAT) and not ask(node, k, dtype)
        for ask, ports in ((operators.takes, node.inputs), (operators.makes, node.outputs))
        for k in range(len(ports))
    )


def _same_but_types(old: onnx.defs.OpSchema | None, new: onnx.defs.OpSchema | None) -> bool:
    if old is None or new is None:
        return old is new
    if old.since_version == new.since_version:
        return True
    return not new.deprecated and _signature(old) == _signature(new)


def _signature(schema: onnx.defs.OpSchema) -> tuple[object, ...]:
    ports = [(p.name, p.option, p.type_str) for p in (*schema.inputs, *schema.outputs)]
    attributes = {
        name: (a.type, a.required, a.default_value.SerializeToString(deterministic=True))
        for name, a in schema.attributes.items()
    }
    return len(schema.inputs), ports, attributes


def _allows(
    ports: Sequence[onnx.defs.OpSchema.FormalParameter], index: int, dtype: ir.DataType
) -> bool:
    return bool(ports) and _STRINGS[dtype] in ports[min(index, len(ports) - 1)].types


def _claimed(given: ir.TypeProtocol) -> onnx.TypeProto:
    return ir.serde.serialize_type(given)


def _body_outputs(node: ir.Node) -> Iterator[tuple[int, ir.Value]]:
    """What gives control flow's outputs their types; a Loop's body makes its condition first."""
    skip = 1 if node.op_type == "Loop" else 0
    for body in bodies(node) if not node.domain else ():
        yield from enumerate(list(body.outputs)[skip:])
