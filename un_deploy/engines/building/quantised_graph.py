"""What TensorRT takes of a quantised graph: the rest is refused by name before anything is built.

It takes QuantizeLinear and DequantizeLinear of int8 (fp8, and int4 for weights) with zero points of
0. A bias that is stored in int32, as ONNX Runtime's quantize_static writes it, becomes the float32
numbers that its DequantizeLinear makes of it, since TensorRT dequantises no int32.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from un_deploy.arguments.names import argument
from un_deploy.errors import InputError
from un_deploy.graph.analysis.constants import Constants
from un_deploy.graph.analysis.shapes import Shapes
from un_deploy.graph.fold.quantised import hides_norms, named, quantised
from un_deploy.graph.fold.rewire import remove_unread
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.precision.convert import Precision

_FORM = (
    "TensorRT takes int8 as QuantizeLinear and DequantizeLinear with zero points of 0: quantise "
    "the float network in that form (ONNX Runtime's quantize_static: QuantFormat.QDQ, "
    "QuantType.QInt8, and ActivationSymmetric and WeightSymmetric in extra_options)"
)


def as_tensorrt_takes_it(model: ir.Model, precision: Precision | None) -> ir.Model:
    """The model itself where nothing is quantised; else one whose biases are float32.

    Args:
        model: is not changed.
        precision: that was asked for.

    Raises:
        InputError: TensorRT does not take the form in which it is quantised, or a precision was
            asked for of activations that are.
    """
    if not (found := quantised(model)):
        return model
    foreign = {kind: count for kind, count in found.items() if not _takes(kind)}
    if foreign:
        raise InputError(f"the network is quantised with operators ({named(foreign)}): {_FORM}")
    constants = Constants(model, Shapes(model), from_sizes=True)
    for node in model.graph.all_nodes():
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and not node.domain:
            _check_zero_point(node, constants)
    if precision is not None and hides_norms(found):
        raise InputError(
            f"the network is quantised ({named(found)}), which says in what types it computes: "
            f"leave {argument('precision')} away"
        )
    if not any(True for _ in _biases(model.graph, constants)):
        return model
    changed = model.clone()
    constants = Constants(changed, Shapes(changed), from_sizes=True)
    for node in list(_biases(changed.graph, constants)):
        _store(changed.graph, node, constants)
    return changed


def _takes(kind: str) -> bool:
    """ONNX's two operators, and those of TensorRT's own that end like them."""
    return kind.endswith(("QuantizeLinear", "DequantizeLinear")) and kind != "DynamicQuantizeLinear"


def _check_zero_point(node: ir.Node, constants: Constants) -> None:
    zero = node.inputs[2] if len(node.inputs) > 2 else None
    if zero is not None and (zero not in constants or np.any(constants[zero] != 0)):
        raise InputError(
            f"the zero point of {node_name(node)!r} ({node.op_type}) is not 0: {_FORM}"
        )
    if _is_unsigned(node, zero, constants):
        raise InputError(
            f"{node_name(node)!r} ({node.op_type}) is of uint8, which TensorRT would compute as "
            f"int8: {_FORM}"
        )


def _is_unsigned(node: ir.Node, zero: ir.Value | None, constants: Constants) -> bool:
    """Whether it makes or reads uint8; where nothing is said, QuantizeLinear makes that."""
    stored = node.inputs[0] if node.op_type == "DequantizeLinear" else None
    if zero is None and stored is None:
        kind = node.attributes.get_int("output_dtype", 0)
        return kind in (0, ir.DataType.UINT8.value)
    told = (constants.dtype(value) for value in (zero, stored) if value is not None)
    return ir.DataType.UINT8 in told


def _biases(graph: ir.Graph, constants: Constants) -> Iterator[ir.Node]:
    """Each DequantizeLinear of a vector of int32, by one scale or by one an entry."""
    for node in graph:
        if node.op_type != "DequantizeLinear" or node.outputs[0].is_graph_output():
            continue
        stored, scale = node.inputs[:2]
        if stored is None or scale is None or stored not in constants or scale not in constants:
            continue
        shape, scales = constants[stored].shape, constants[scale].size
        is_vector = constants.dtype(stored) == ir.DataType.INT32 and len(shape) == 1
        if is_vector and scales in (1, *shape):
            yield node


def _store(graph: ir.Graph, node: ir.Node, constants: Constants) -> None:
    """Let an initializer of the same name hold what the operator makes."""
    inputs, output = node.inputs, node.outputs[0]
    stored, scale = inputs[:2]
    assert stored is not None and scale is not None
    exact = constants[stored].astype(np.float64) * constants[scale].reshape(-1)
    array = exact.astype(constants.dtype(scale).numpy())
    name, output.name = str(output.name), None
    held = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.register_initializer(held)
    output.replace_all_uses_with(held)
    graph.remove(node, safe=True)
    remove_unread(graph, inputs)
