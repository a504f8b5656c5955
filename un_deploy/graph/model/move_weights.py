"""Moves the weights of a model out of it: to a file, or aside while its graph is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import onnx_ir as ir

from un_deploy.graph.model.tensor_storage import tensor_attributes

#: Tensors up to this many bytes, such as shapes, stay where they are.
_SMALL = 256


def move_to_file(model: ir.Model, path: Path) -> None:
    """Write the weights to a file, one at a time, and let the model refer to it.

    These are the initializers of all graphs and the tensors of nodes.
    """
    weights = [tensor for tensor in _tensors(model) if _is_weight(tensor)]
    written = ir.external_data.convert_tensors_to_external(weights, path.parent, path.name)
    new = {id(old): tensor for old, tensor in zip(weights, written, strict=True)}
    _change(model, lambda tensor: new.get(id(tensor), tensor))


def take_aside(model: ir.Model) -> list[ir.TensorProtocol]:
    """Let a model say of each weight only its type, its shape and its place in the list returned.

    These are those of `move_to_file`; `give_back` is for what has been made of the model.
    """
    weights = [tensor for tensor in _tensors(model) if _is_weight(tensor)]
    numbers = {id(tensor): number for number, tensor in enumerate(weights)}

    def numbered(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
        if (number := numbers.get(id(tensor))) is None:
            return tensor
        shape = ir.Shape(tensor.shape.numpy())
        return ir.ExternalTensor(
            str(number), None, None, tensor.dtype, shape=shape, name=tensor.name or ""
        )

    _change(model, numbered)
    return weights


def give_back(model: ir.Model, weights: Sequence[ir.TensorProtocol]) -> None:
    """Put the weights that `take_aside` took where their places in the list are named."""
    _change(
        model, lambda t: weights[int(str(t.location))] if isinstance(t, ir.ExternalTensor) else t
    )


def _is_weight(tensor: ir.TensorProtocol) -> bool:
    return isinstance(tensor, ir.ExternalTensor) or (
        tensor.dtype != ir.DataType.STRING and tensor.nbytes > _SMALL
    )


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value.const_value
    for _, attribute in tensor_attributes(model):
        yield attribute.as_tensor()


def _change(model: ir.Model, change: Callable[[ir.TensorProtocol], ir.TensorProtocol]) -> None:
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                value.const_value = change(value.const_value)
    for node, attribute in tensor_attributes(model):
        tensor = attribute.as_tensor()
        if (new := change(tensor)) is not tensor:
            node.attributes[attribute.name] = ir.AttrTensor(attribute.name, new)
