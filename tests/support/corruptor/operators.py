"""Damages to what a model's operators are and what they read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from tests.support.corruptor.constants import biases
from tests.support.corruptor.target import Place, Target, reads_numbers
from tests.support.corruptor.tensors import is_constant, numbers

#: Attributes without which the operator computes the same, or may.
_IDLE = {"auto_pad", "momentum", "allowzero", "noop_with_empty_axes", "saturate", "storage_order"}
_IDLE |= {"ceil_mode", "count_include_pad", "stash_type", "training_mode", "output_dtype"}
_IDLE |= {"block_size", "round_mode", "precision"}

#: Attributes that say yes or no, yes by any number but zero.
_FLAGS = {"transA", "transB", "keepdims", "select_last_index", "exclusive", "reverse", "fmod"}
_FLAGS |= {"largest", "sorted", "is_causal", "exclude_outside", "unidirectional"}

#: How often another change of an attribute is drawn where no runtime would load the first.
_TRIES = 5

#: With input and output alike in shape, these give what they take.
_MOVE_NOTHING = {"Identity", "Dropout", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand"}
_MOVE_NOTHING |= {"Tile", "Cast", "CastLike", "Split", "Concat", "Pad", "Constant", "Slice"}

#: Another operator that takes and gives the same.
_OTHERS = {"Add": "Mul", "Mul": "Add", "Sub": "Add", "Div": "Mul", "Relu": "Sigmoid"}
_OTHERS |= {"Sigmoid": "Tanh", "Tanh": "Sigmoid", "Erf": "Tanh", "Softmax": "LogSoftmax"}
_OTHERS |= {"LeakyRelu": "Elu", "QuickGelu": "Gelu", "GlobalAveragePool": "GlobalMaxPool"}
_OTHERS |= {"ReduceMean": "ReduceMax", "Sqrt": "Exp"}

_COMMUTATIVE = ("Add", "Mul", "Max", "Min", "Sum", "Mean", "Equal", "And", "Or")


def bias_dropped(target: Target) -> Place | None:
    """An operator loses the input that held its bias, or the Add of one is gone."""
    for node, value in biases(target):
        index = node.inputs.index(value)
        if node.op_type in ("Gemm", "Conv", "ConvTranspose", "SkipLayerNormalization"):
            place = target.place(f"the bias {value.name} dropped", node, value)
            node.replace_input_with(index, None)
            return place
        if node.op_type == "Add" and _may_stand_for(target, node.inputs[1 - index], node):
            place = target.place(f"the bias {value.name} dropped", node, value)
            _bypass(node, node.inputs[1 - index])
            return place
    return None


def operator_dropped(target: Target) -> Place | None:
    """Whoever reads an operator's output reads one of its inputs, of the same type and shape."""
    for node in target.shuffled(target.nodes):
        if node.op_type in _MOVE_NOTHING or len(node.outputs) != 1:
            continue
        for value in target.shuffled(node.inputs):
            if value is not None and _may_stand_for(target, value, node):
                place = target.place(f"{node.op_type} {node.outputs[0].name} dropped", node)
                _bypass(node, value)
                return place
    return None


def operator_replaced(target: Target) -> Place | None:
    """An operator becomes another that takes and gives the same."""
    for node in target.shuffled(target.nodes):
        if node.op_type in _OTHERS and (node.op_type != "Sub" or not _reads_zero(node)):
            old, node.op_type = node.op_type, _OTHERS[node.op_type]
            if target.tensors.computes_the_same(node):
                node.op_type = old
                continue
            return target.place(f"{old} {node.outputs[0].name} is a {node.op_type}", node)
    return None


def edge_moved(target: Target) -> Place | None:
    """An operator reads another tensor of the same type and shape, from earlier in the graph."""
    for node in target.shuffled(target.nodes):
        earlier: list[ir.Value] | None = None
        for index in target.shuffled(range(len(node.inputs))):
            value = node.inputs[index]
            if value is None or not reads_numbers(node, index):
                continue
            if (kind := target.tensors.kind(value)) is None:
                continue
            earlier = [*target.before(node)] if earlier is None else earlier
            others = [
                v
                for v in earlier
                if target.tensors.kind(v) == kind and not target.tensors.alike(v, value)
            ]
            if others:
                other = target.random.choice(others)
                place = target.place(f"{other.name} read for {value.name}", node)
                picked = target.tensors.picked(node)
                node.replace_input_with(index, other)
                same = picked is not None and np.array_equal(picked, target.tensors.picked(node))
                if not same and not target.tensors.computes_the_same(node):
                    return place
                node.replace_input_with(index, value)
    return None


def outputs_swapped(target: Target) -> Place | None:
    """Two outputs of one operator, or of the graph, take each other's place."""
    lists = [node.outputs for node in target.nodes if len(node.outputs) > 1]
    for values in target.shuffled([*lists, target.model.graph.outputs]):
        for first, second in pairwise(values):
            kind = target.tensors.kind(first)
            if kind is None or kind != target.tensors.kind(second) or _alike(first, second):
                continue
            if target.tensors.alike(first, second):
                continue
            place = target.place(
                f"{first.name} and {second.name} swapped",
                *(node for v in (first, second) if (node := v.producer()) is not None),
            )
            if values is target.model.graph.outputs:
                name, other = str(first.name), str(second.name)
                first.name = f"{name} for a moment"
                second.name, first.name = name, other
                values[:] = [
                    {first: second, second: first}.get(v, v) for v in target.model.graph.outputs
                ]
            else:
                uses = [(second, first.uses()), (first, second.uses())]
                for instead, readers in [(v, [*found]) for v, found in uses]:
                    for node, index in readers:
                        node.replace_input_with(index, instead)
            return place
    return None


def attribute_changed(target: Target) -> Place | None:
    """An attribute has another value, or one that was not given is; loadable where possible."""
    last = None
    for node in target.shuffled(target.nodes)[: 4 * _TRIES]:
        for attribute in target.shuffled([*_changes(target, node)])[:1]:
            old = node.attributes.get(attribute.name)
            node.attributes[attribute.name] = attribute
            if not target.tensors.computes_the_same(node):
                last = (node, old, attribute)
                if _loads(target.model):
                    return _told(target, *last)
            _set_back(node, attribute.name, old)
    if last is None:
        return None
    node, _, attribute = last
    node.attributes[attribute.name] = attribute
    return _told(target, *last)


def _set_back(node: ir.Node, name: str, old: ir.Attr | None) -> None:
    if old is None:
        del node.attributes[name]
    else:
        node.attributes[name] = old


def _told(target: Target, node: ir.Node, old: ir.Attr | None, new: ir.Attr) -> Place:
    was = "not given" if old is None else f"{old.value}"
    text = f"{node.op_type} {node.outputs[0].name}: {new.name} {new.value}, was {was}"
    return target.place(text, node)


def _changes(target: Target, node: ir.Node) -> Iterator[ir.Attr]:
    if node.op_type == "Constant":
        return
    values: dict[str, Any] = {name: a.value for name, a in node.attributes.items()}
    opset = target.model.opset_imports.get(node.domain, 1)
    if onnx.defs.has(node.op_type, opset, node.domain):
        schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
        for name, one in schema.attributes.items():
            if name not in values and one.default_value.type:
                values[name] = onnx.helper.get_attribute_value(one.default_value)
    for name, value in values.items():
        if name in _IDLE or _means_nothing(node, name):
            continue
        if name == "axis":
            yield from _other_axis(target, node, value)
        elif name in _FLAGS:
            yield ir.AttrInt64(name, int(not value))
        elif isinstance(value, int):
            yield ir.AttrInt64(name, value + target.random.choice((-1, 1)))
        elif isinstance(value, float):
            yield ir.AttrFloat32(name, 1.01 * value if value else 0.5)
        elif isinstance(value, (str, bytes)):
            yield ir.AttrString(name, "tanh" if name == "approximate" else "other")
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], int):
            entries, place = list(value), target.random.randrange(len(value))
            if name == "perm":
                other = (place + 1) % len(entries)
                entries[place], entries[other] = entries[other], entries[place]
            else:
                entries[place] += target.random.choice((-1, 1)) if entries[place] > 1 else 1
            if entries != list(value):
                yield ir.AttrInt64s(name, entries)


def _other_axis(target: Target, node: ir.Node, axis: int) -> Iterator[ir.Attr]:
    first = node.inputs[0]
    kind = None if first is None else target.tensors.kind(first)
    others = [axis + 1] if kind is None else range(len(kind) - 1)
    others = [one for one in others if kind is None or one != axis % (len(kind) - 1)]
    if others:
        yield ir.AttrInt64("axis", target.random.choice(others))


def _means_nothing(node: ir.Node, name: str) -> bool:
    """Whether the operator does not look at the attribute, given its inputs."""
    if name == "axis" and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        scale = node.inputs[1]
        return scale is None or not is_constant(scale) or numbers(scale).ndim == 0
    if name == "beta" and node.op_type == "Gemm":
        return len(node.inputs) < 3 or node.inputs[2] is None
    if name == "dilations" and node.op_type in ("Conv", "ConvTranspose"):
        weight = node.inputs[1]
        return weight is None or not is_constant(weight) or 1 in numbers(weight).shape[2:]
    return False


def _loads(model: ir.Model) -> bool:
    proto = ir.to_proto(model)
    try:
        onnx.checker.check_model(proto)
        onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    except Exception:
        return False
    return True


def _may_stand_for(target: Target, value: ir.Value | None, node: ir.Node) -> bool:
    output = node.outputs[0]
    if value is None or (kind := target.tensors.kind(output)) is None:
        return False
    if target.tensors.kind(value) != kind or target.tensors.alike(value, output):
        return False
    if output.is_graph_output():
        made = value.producer()
        return made is not None and made.graph is node.graph and not value.is_graph_output()
    return True


def _bypass(node: ir.Node, value: ir.Value | None) -> None:
    """Remove an operator: its readers read the value, which takes its name where that is told."""
    assert value is not None and node.graph is not None
    output = node.outputs[0]
    ends = output.is_graph_output()
    output.replace_all_uses_with(value, replace_graph_outputs=True)
    node.graph.remove(node, safe=True)
    if ends:
        value.name, value.type, value.shape = output.name, output.type, output.shape


def _alike(first: ir.Value, second: ir.Value) -> bool:
    """Whether one operator reads both and does not care which is which, or nothing reads them."""
    readers = {node for value in (first, second) for node, _ in value.uses()}
    if not readers:
        return not (first.is_graph_output() and second.is_graph_output())
    return len(readers) == 1 and next(iter(readers)).op_type in _COMMUTATIVE


def _reads_zero(node: ir.Node) -> bool:
    return any(v is not None and is_constant(v) and not numbers(v).any() for v in node.inputs)
