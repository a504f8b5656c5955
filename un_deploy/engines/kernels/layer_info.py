"""Reads and writes trtexec's ``--exportLayerInfo``: what the engine inspector tells of layers.

Up to 10 the file is {"Layers": [...], "Bindings": ["x", "y"]}; from 11 on the names of inputs and
outputs are in "I/O Tensors", a list of objects (NVIDIA's guide "Migrating IEngineInspector Usage
from TensorRT 10.x to 11.x"). A layer is a plain string, its name, unless the engine was built with
``--profilingVerbosity=detailed``; then it is an object, whose tensors have "Format/Datatype" in 10,
"Format" and "Datatype" in 11.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from un_deploy.engines.nvidia_json import parse_json
from un_deploy.errors import InputError

# "[ONNX Layer: a]\x1f[ONNX Layer: b]": nodes of a fusion, with a separator or without.
_ONNX = re.compile(r"\[ONNX Layer: (.*?)\](?=\s*(?:[\x1e\x1f]|\[ONNX Layer: |$))", re.DOTALL)


@dataclass(frozen=True)
class LayerTensor:
    """An input or output of a layer; a dynamic size is -1.

    Up to 10 the memory layout, in words, tells the type too, in no fixed form; from 11 on that is
    the datatype, such as "Half" or "FP16".
    """

    name: str
    dims: tuple[int, ...]
    format: str
    datatype: str | None


@dataclass(frozen=True)
class Layer:
    """A layer of an engine.

    Attributes:
        name: several layers may have the same.
        kind: its LayerType.
        inputs, outputs: in order.
        constants: that it reads, as far as they are not among the inputs; a convolution's weights,
            of which only type and count are told, are the last.
        tactic: its TacticName; "" where the inspector names none.
        stream: the StreamId, as far as it is told.
        onnx_nodes: the ONNX nodes that its metadata names.
        detail: the inspector's whole object; empty for a layer of which only the name is told,
            for which all fields but the name are empty.
    """

    name: str
    kind: str = ""
    inputs: tuple[LayerTensor, ...] = ()
    outputs: tuple[LayerTensor, ...] = ()
    constants: tuple[LayerTensor, ...] = ()
    tactic: str = ""
    stream: int | None = None
    onnx_nodes: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class IOTensor:
    """An input or output of an engine; of the files up to 10 only its name is known.

    The mode is "Input" or "Output", the datatype such as "Float"; a dynamic size is -1.
    """

    name: str
    mode: str | None = None
    datatype: str | None = None
    dims: tuple[int, ...] | None = None


@dataclass(frozen=True)
class LayerInfo:
    """An engine's layers in the order in which they run, and its inputs and outputs."""

    layers: tuple[Layer, ...]
    io_tensors: tuple[IOTensor, ...]


def parse_layer_info(text: str) -> LayerInfo:
    """Read the file, of 10 or of 11.

    Raises:
        InputError: it is not in either form.
    """
    found = parse_json(text, "layers")
    if not isinstance(found, dict) or not isinstance(found.get("Layers"), list):
        raise InputError('the layer information has no "Layers"')
    tensors = found.get("I/O Tensors", found.get("Bindings"))
    if not isinstance(tensors, list):
        raise InputError('the layer information has neither "I/O Tensors" nor "Bindings"')
    try:
        return LayerInfo(
            tuple(_layer(layer) for layer in found["Layers"]),
            tuple(_io_tensor(tensor) for tensor in tensors),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"the layer information is not in its form: {error!r}") from error


def layers_named(names: Iterable[str], info: LayerInfo) -> Iterator[Layer]:
    """The layer of each name; of those with the same name in the order in which they run."""
    known: dict[str, list[Layer]] = defaultdict(list)
    for layer in info.layers:
        known[layer.name].append(layer)
    for name in names:
        yield known[name].pop(0) if known[name] else Layer(name)


def write_layer_info(inspected: str) -> str:
    """The file's text for an engine inspected in another way.

    That is the JSON of ``EngineInspector.get_engine_information``, of an inspector that has an
    execution context: the sizes are those of its shapes.

    Raises:
        InputError: see `parse_layer_info`.
    """
    parse_layer_info(inspected)
    return inspected.rstrip("\n") + "\n"


def _layer(given: Any) -> Layer:
    if isinstance(given, str):
        return Layer(given)
    return Layer(
        name=given["Name"],
        kind=given.get("LayerType", ""),
        inputs=_tensors(given.get("Inputs")),
        outputs=_tensors(given.get("Outputs")),
        constants=(*_tensors(given.get("Constants")), *_weights(given.get("Weights"))),
        tactic=given.get("TacticName") or "",
        stream=given.get("StreamId"),
        onnx_nodes=tuple(dict.fromkeys(_ONNX.findall(given.get("Metadata") or ""))),
        detail=given,
    )


def _tensors(given: Any) -> tuple[LayerTensor, ...]:
    return tuple(
        LayerTensor(
            name=tensor["Name"],
            dims=tuple(tensor.get("Dimensions") or ()),
            format=tensor.get("Format/Datatype", tensor.get("Format", "")),
            datatype=tensor.get("Datatype", tensor.get("DataType")),
        )
        for tensor in given or ()
    )


def _weights(given: Any) -> tuple[LayerTensor, ...]:
    """Of {"Type": "Half", "Count": 9408}; other layers have none, or no count."""
    if not isinstance(given, dict) or not given.get("Count"):
        return ()
    return (LayerTensor("Weights", (int(given["Count"]),), "", str(given.get("Type", ""))),)


def _io_tensor(given: Any) -> IOTensor:
    if isinstance(given, str):
        return IOTensor(given)
    return IOTensor(
        name=given["Name"],
        mode=given.get("IOMode"),
        datatype=given.get("DataType", given.get("Datatype")),
        dims=tuple(given["Dimensions"]) if "Dimensions" in given else None,
    )
