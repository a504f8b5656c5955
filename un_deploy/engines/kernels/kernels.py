"""The kernels that an engine will run, read from what the builder tells about its layers.

Built with DETAILED verbosity, an engine lists one kernel a line:

    Name: __myl_FcAdd_myl0_3, LayerType: runtime_fusion, Inputs: [ { Name: add.1, Dimensions:
    [100,64], ..., Datatype: Float, Format: (Linear) ... }], Constants: [...], Outputs: [...],
    TacticName: ..., StreamId: 0, Metadata: [ONNX Layer: node_MatMul_12][ONNX Layer: node_linear]

in one message that starts with ``Layers:``. Engines of two graphs do the same work when their
kernels have the same signatures: what they are, what they fuse, and what they write.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from un_deploy.errors import InputError

_LINE = re.compile(
    r"\s*Name: (?P<name>.*), LayerType: (?P<type>[^,]*), Inputs: \[(?P<inputs>.*)\],"
    r" Constants: \[(?P<constants>.*)\], Outputs: \[(?P<outputs>.*)\],"
    r" TacticName: (?P<tactic>.*), StreamId: \d+(?:, .*?)?, Metadata:(?P<metadata>.*)"
)
_TENSOR = re.compile(
    r"\{ Name: (?P<name>.*?), Dimensions: \[(?P<dims>[^\]]*)\],.*?Datatype: (?P<type>[^,]+),"
    r" Format: .*? \}"
)
_FUSED = re.compile(r"__myl_([A-Za-z]+)_")
_OWN_LAYER = re.compile(
    r"\s*Name: (?P<name>.*), LayerType: (?P<type>[^,]*), Inputs: \[.*\], Outputs: \[.*\],"
    r" TacticValue: [^,]*, StreamId: \d+(?:, .*?)?, Metadata:.*"
)
_ONNX_NODE = re.compile(r"\[ONNX Layer: (.*?)\](?=\s*(?:\[ONNX Layer: |$))")
_OWN_NAME = re.compile(r"_myl\d+_\d+$")
_SCALE = re.compile(r"__mye\d+(.*)_(?:alpha|beta)_myl\d+")

BYTES = {
    "Float": 4,
    "Half": 2,
    "BFloat16": 2,
    "FP8": 1,
    "Int8": 1,
    "UInt8": 1,
    "Bool": 1,
    "Int32": 4,
    "Int64": 8,
}
"""Bytes of an element, by TensorRT's name of the type."""

NARROW = ("FP4", "Int4")
"""Types of which two elements share a byte."""

IDLE = ("Constant", "NoOp", "signal", "wait", "TrainStation")
"""Layer types that compute nothing: streams and parts of an engine wait for each other."""

UNREAD = "unread"
"""The layer type of a kernel whose line is of a form that is not known."""

_MULTIPLIES = re.compile(r"gemm|correlation|conv|mha|attention|matrixmultiply", re.IGNORECASE)
"""In the layer type, or the name of a generated kernel, of a product, convolution or attention."""


@dataclass(frozen=True)
class KernelTensor:
    """What a kernel reads or writes; a size that is open at build time is -1.

    The type is one of `BYTES` or `NARROW`; any other text is what TensorRT says in place of one.
    """

    name: str
    dims: tuple[int, ...]
    type: str

    @property
    def bytes(self) -> int | None:
        """None where a size is open, or the type has no whole bytes or is not told."""
        if any(dim < 0 for dim in self.dims) or self.type not in BYTES:
            return None
        return prod(self.dims) * BYTES[self.type]


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
        name: TensorRT's.
        layer_type: "gemm", "correlation" (a convolution), "runtime_fusion", "kgen", ...
        fused: the operators that it fuses, "FcAddAdd" for a product and two sums; may be empty.
        tactic: may be empty, where it is chosen on the device.
        inputs, constants, outputs: in order.
        onnx_nodes: those it computes.
    """

    name: str
    layer_type: str
    fused: str
    tactic: str
    inputs: tuple[KernelTensor, ...]
    constants: tuple[KernelTensor, ...]
    outputs: tuple[KernelTensor, ...]
    onnx_nodes: tuple[str, ...]

    @property
    def multiplies(self) -> bool:
        """Whether it holds a matrix product, a convolution or attention, as far as is told."""
        if self.layer_type == UNREAD or self.fused.startswith("Fc"):
            return True
        if _MULTIPLIES.search(self.layer_type):
            return True
        return self.name.startswith("_") and bool(re.match(r"_+(gemm|mha|conv)", self.name))


@dataclass(frozen=True, order=True)
class Signature:
    """What makes two kernels alike, names of tensors and nodes left out."""

    layer_type: str
    fused: str
    tactic: str
    outputs: tuple[tuple[tuple[int, ...], str], ...]
    constants: int

    def __str__(self) -> str:
        written = ", ".join(f"{'x'.join(map(str, dims))} {type_}" for dims, type_ in self.outputs)
        what = f"{self.layer_type} {self.fused}".rstrip()
        return f"{what} -> {written or 'nothing'} ({self.constants} constants)"


def parse_kernels(text: str) -> tuple[Kernel, ...]:
    """Read the message that starts with ``Layers:``.

    A line without a layer type is no kernel, nor is one with a type that computes nothing.

    Raises:
        InputError: a kernel's line is of a form that this version does not know.
    """
    found = (_kernel(line) for line in text.splitlines() if "LayerType: " in line)
    return tuple(kernel for kernel in found if kernel.layer_type not in IDLE)


def parse_readable_kernels(text: str) -> tuple[Kernel, ...]:
    """As `parse_kernels`, with an `UNREAD` kernel for a line of an unknown form.

    Nothing where no line is of a known one. The whole line is such a kernel's tactic, so that its
    signature is that of no other.
    """
    found: list[Kernel] = []
    for line in text.splitlines():
        try:
            found += parse_kernels(line)
        except InputError:
            name = line.strip().removeprefix("Name: ").partition(", LayerType: ")[0]
            nodes = tuple(_ONNX_NODE.findall(line.partition("Metadata:")[2]))
            told = KernelTensor("", (), UNREAD)
            found.append(Kernel(name, UNREAD, "", line, (), (), (told,), nodes))
    return tuple(found) if any(kernel.layer_type != UNREAD for kernel in found) else ()


def signatures(kernels: Iterable[Kernel]) -> Counter[Signature]:
    """How often each signature occurs."""
    return Counter(
        Signature(
            layer_type=kernel.layer_type,
            fused=kernel.fused,
            tactic=kernel.tactic,
            outputs=tuple(sorted((tensor.dims, tensor.type) for tensor in kernel.outputs)),
            constants=len(kernel.constants),
        )
        for kernel in kernels
    )


def bytes_written(kernels: Iterable[Kernel]) -> int | None:
    """Bytes that all kernels write to memory in one run; None where one's are not known."""
    sizes = [tensor.bytes for kernel in kernels for tensor in kernel.outputs]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def fused_in(name: str) -> str:
    """The operators that a generated kernel fuses, from its name: "FcAdd"; else ""."""
    found = _FUSED.match(name)
    return found.group(1) if found else ""


def _kernel(line: str) -> Kernel:
    found = _LINE.fullmatch(line)
    own = None if found else _OWN_LAYER.fullmatch(line)
    if own and not _MULTIPLIES.search(own["type"]):
        return Kernel(own["name"], own["type"], "", "", (), (), (), ())
    if not found:
        raise InputError(f"TensorRT describes a kernel in a form that is not known: {line[:200]}")
    constants = _tensors(found["constants"])
    nodes = _ONNX_NODE.findall(found["metadata"])
    return Kernel(
        name=found["name"],
        layer_type=found["type"],
        fused=fused_in(found["name"]),
        tactic=found["tactic"],
        inputs=_tensors(found["inputs"]),
        constants=constants,
        outputs=_tensors(found["outputs"]),
        onnx_nodes=tuple(nodes or _nodes_in_names(found["name"], constants)),
    )


def _nodes_in_names(name: str, constants: Iterable[KernelTensor]) -> Iterator[str]:
    """Nodes that a kernel without metadata tells in other names: its own, and those of its scales.

    A node in a body comes behind ``$$myelin$$(Unnamed Loop* 0)^``; names of several are joined.
    """
    scales = (found[1] for tensor in constants if (found := _SCALE.fullmatch(tensor.name)))
    for told in dict.fromkeys((*_OWN_NAME.sub("", name).split("+"), *scales)):
        node = told.rpartition("^")[2]
        if not node.startswith("__my") and "[" not in node:  # not a name of TensorRT's own
            yield node


def _tensors(text: str) -> tuple[KernelTensor, ...]:
    tensors = tuple(
        KernelTensor(
            name=found["name"],
            dims=tuple(int(dim) for dim in found["dims"].split(",") if dim),
            type=found["type"],
        )
        for found in _TENSOR.finditer(text)
    )
    if len(tensors) != text.count("Datatype: "):
        raise InputError(f"TensorRT describes a tensor in a form that is not known: {text[:200]}")
    return tensors
