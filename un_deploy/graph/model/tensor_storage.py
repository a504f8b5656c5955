"""Makes a model own its tensors, and lists those that lie in weights files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir

from un_deploy.errors import InputError, one_line
from un_deploy.graph.model.file_tensor import FileTensor
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.model.read_model import THIS_FILE, read_weight

_LARGE = 1 << 16
"""Bytes of a weight that is worth forgetting; sizes and axes are smaller."""


def leave_message(model: ir.Model, path: Path) -> None:
    """Take the tensors out of the protobuf message that the model was read from at a path.

    The message copies a weight each time it is read, and frees its memory all at once.

    Raises:
        InputError: the file has changed since, or cannot be read any more.
    """
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                value.const_value = _in_memory(value.const_value, path)
    for node, attribute in tensor_attributes(model):
        tensor = attribute.as_tensor()
        if isinstance(tensor, ir.TensorProtoTensor):  # the form that its numbers have is kept
            message = onnx.TensorProto()
            message.CopyFrom(tensor.raw)
            own: ir.TensorProtocol = ir.TensorProtoTensor(message)
        else:
            own = _in_memory(tensor, path)
        node.attributes[attribute.name] = ir.AttrTensor(attribute.name, own)


def _in_memory(tensor: ir.TensorProtocol, path: Path) -> ir.TensorProtocol:
    """A tensor of the model's file in an array of its own; one that is elsewhere as it is."""
    if isinstance(tensor, ir.ExternalTensor) and tensor.location == THIS_FILE:
        try:
            held = read_weight(tensor, path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read: {one_line(error)}") from error
    elif isinstance(tensor, ir.TensorProtoTensor) and tensor.dtype != ir.DataType.STRING:
        held = ir.Tensor(tensor.numpy(), dtype=tensor.dtype, name=tensor.name)
    else:
        return tensor
    held.doc_string = tensor.doc_string
    held.metadata_props.update(tensor.metadata_props)
    return held


def own_tensors(model: ir.Model, origin: str, home: Path | None = None) -> None:
    """Give the model tensor objects of its own, so that a rename reaches nobody else's.

    No weight is copied. External tensors inside nodes are read into memory, since files are
    written for initializers only. For origin and home see `FileTensor`.

    Raises:
        InputError: a weights file is not there, not long enough, or lies where it may not.
    """
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                value.const_value = _own(value.const_value, origin, home)
    for node, attribute in tensor_attributes(model):
        tensor = attribute.as_tensor()
        if isinstance(tensor, ir.ExternalTensor):
            array = FileTensor(tensor, origin, home).numpy().copy()
            inside = ir.Tensor(array, dtype=tensor.dtype, name=tensor.name)
            node.attributes[attribute.name] = ir.AttrTensor(attribute.name, inside)


def require_unchanged(model: ir.Model) -> None:
    """Hold the weights files of a model against what they were when it was loaded.

    Raises:
        InputError: one has changed, so that nobody can say what was read of it.
    """
    for _, tensor in external_tensors(model):
        if isinstance(tensor, FileTensor):
            tensor.require_unchanged()


def forget_weights(model: ir.Model) -> None:
    """Give the memory of weights back; types and shapes stay, and whatever shapes are read from."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None and value.const_value.nbytes >= _LARGE:
                value.const_value = None


def external_tensors(model: ir.Model) -> Iterator[tuple[str, ir.ExternalTensor]]:
    """Every tensor in a weights file, with the name of its initializer or node."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                yield str(value.name), value.const_value
    for node, attribute in tensor_attributes(model):
        tensor = attribute.as_tensor()
        if isinstance(tensor, ir.ExternalTensor):
            yield node_name(node), tensor


def tensor_attributes(model: ir.Model) -> Iterator[tuple[ir.Node, ir.Attr]]:
    """Every attribute that is a tensor, as a Constant has one, with its node."""
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        for node in graph.all_nodes():
            for attribute in list(node.attributes.values()):
                if attribute.type == ir.AttributeType.TENSOR and not attribute.is_ref():
                    yield node, attribute


def _own(tensor: ir.TensorProtocol, origin: str, home: Path | None) -> ir.TensorProtocol:
    own: ir.ExternalTensor | ir.StringTensor | ir.LazyTensor
    if isinstance(tensor, ir.ExternalTensor):
        own = FileTensor(tensor, origin, home)
    elif tensor.dtype == ir.DataType.STRING:
        own = ir.StringTensor(tensor.numpy())
    else:
        own = ir.LazyTensor(lambda: tensor, tensor.dtype, ir.Shape(tensor.shape.numpy()))
    own.name, own.doc_string = tensor.name, tensor.doc_string
    own.metadata_props.update(tensor.metadata_props)
    return own
