"""Forms of an ONNX file that onnx-ir has no objects for: sparse weights, maps, two of a name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from un_deploy.errors import InputError

_MAPS = "un_deploy.maps"


def without_odd_forms(proto: onnx.ModelProto, origin: str) -> tuple[onnx.ModelProto, list[str]]:
    """The message itself, or a copy: dense weights, one of a name, no type where a map's was.

    Returns:
        A message for onnx-ir, and what was changed, a sentence each. For the types see `keep_maps`.

    Raises:
        InputError: a sparse weight does not fit its shape; names it.
    """
    notes = []
    if any(True for _ in _sparse(proto)):
        notes.append("weights were sparse, and are written dense")
    if proto.training_info:
        notes.append("it holds training graphs, which are not written")
    if any(len(_last(graph)) < len(graph.initializer) for graph in _graphs(proto)):
        notes.append("weights were there twice: the last one of a name counts")
    maps = [info for graph in _graphs(proto) for info in _values(graph) if _has_map(info.type)]
    if not notes and not maps:
        return proto, []
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    copy.ClearField("training_info")
    for attribute in [a for node in _nodes(copy) for a in node.attribute]:
        if attribute.type == onnx.AttributeProto.SPARSE_TENSOR:
            tensor = _dense(attribute.sparse_tensor, origin)
            name = "value" if attribute.name == "sparse_value" else attribute.name
            attribute.CopyFrom(onnx.helper.make_attribute(name, tensor))
    for graph in _graphs(copy):
        last = list(_last(graph).values())
        if len(last) < len(graph.initializer):
            kept = [graph.initializer[place] for place in last]
            graph.ClearField("initializer")
            graph.initializer.extend(kept)
        graph.initializer.extend(_dense(one, origin) for one in graph.sparse_initializer)
        graph.ClearField("sparse_initializer")
        for info in _values(graph):
            if _has_map(info.type):
                info.ClearField("type")
    return copy, notes


def keep_maps(model: ir.Model, proto: onnx.ModelProto) -> None:
    """Keep beside a model the types of maps that its message gives its inputs and outputs."""
    ends = (*proto.graph.input, *proto.graph.output)
    maps = {info.name: info.type for info in ends if _has_map(info.type)}
    if maps:
        model.meta[_MAPS] = maps


def maps_of(model: ir.Model) -> Mapping[str, onnx.TypeProto]:
    """The types of inputs and outputs that are maps, or sequences of maps, by name."""
    found: Mapping[str, onnx.TypeProto] = model.meta.get(_MAPS, {})
    return found


def keep_meta(new: ir.Model, old: ir.Model) -> None:
    """Let a clone have what is kept beside the model that it was made of."""
    new.meta.update(old.meta)


def to_message(model: ir.Model) -> onnx.ModelProto:
    """The message of a model, with the types that `keep_maps` kept."""
    proto = ir.to_proto(model)
    maps = maps_of(model)
    for info in (*proto.graph.input, *proto.graph.output) if maps else ():
        if info.name in maps:
            info.type.CopyFrom(maps[info.name])
    return proto


def _graphs(proto: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    yield proto.graph
    for node in _nodes(proto):
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield attribute.g
            yield from attribute.graphs


def _nodes(proto: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    pending: list[Iterable[onnx.NodeProto]] = [proto.graph.node]
    pending += [function.node for function in proto.functions]
    while pending:
        for node in pending.pop():
            yield node
            for attribute in node.attribute:
                pending += [graph.node for graph in (attribute.g, *attribute.graphs)]


def _values(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from graph.input
    yield from graph.output
    yield from graph.value_info


def _has_map(found: onnx.TypeProto) -> bool:
    kind = found.WhichOneof("value")
    if kind in ("sequence_type", "optional_type"):
        return _has_map(getattr(found, kind).elem_type)
    return bool(kind == "map_type")


def _last(graph: onnx.GraphProto) -> dict[str, int]:
    """The place of the last initializer of each name."""
    return {tensor.name: place for place, tensor in enumerate(graph.initializer)}


def _sparse(proto: onnx.ModelProto) -> Iterator[onnx.SparseTensorProto]:
    for graph in _graphs(proto):
        yield from graph.sparse_initializer
    for node in _nodes(proto):
        yield from (a.sparse_tensor for a in node.attribute if a.HasField("sparse_tensor"))


def _dense(sparse: onnx.SparseTensorProto, origin: str) -> onnx.TensorProto:
    name = sparse.values.name
    try:
        values, places = (numpy_helper.to_array(t) for t in (sparse.values, sparse.indices))
        array = np.zeros(tuple(sparse.dims), values.dtype)
        at = (places,) if places.ndim == 1 else tuple(places.T)
        if places.ndim == 1:
            array.reshape(-1)[at] = values
        else:
            array[at] = values
    except Exception as error:  # sizes, places, a type or a weights file that do not fit
        raise InputError(
            f"{origin} holds the sparse weight {name!r}, which cannot be made dense ({error}): "
            f"export it again"
        ) from error
    return numpy_helper.from_array(array, name)
