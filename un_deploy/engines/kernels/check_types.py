"""The type check: refuses an engine with a kernel of another precision than was asked for.

A kernel tells which tensors it reads, with their types, and which ONNX nodes it computes, not which
tensor goes into which node. So the graph is asked: what a kernel reads in another type than that of
its products must be what the graph gives the other nodes in it, such as the fp32 mask that is added
between the two products of an attention, or the inside of a LayerNormalization that another kernel
began: TensorRT takes its statistics in fp32.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from un_deploy.engines.kernels.inspected import is_readable
from un_deploy.engines.kernels.kernels import Kernel, KernelTensor
from un_deploy.errors import InputError
from un_deploy.graph.analysis.operator_types import element, value_types
from un_deploy.graph.fold.rules import operator_named
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.precision.convert import Precision, PrecisionReport

NAMES: dict[str, str] = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16"}
"""TensorRT's names of the precisions."""

_NOT_MULTIPLIED = ("Int32", "Int64", "Bool")
"""Types of sizes, indices and masks."""

_OF_ONNX = {
    "FLOAT": "Float",
    "FLOAT16": "Half",
    "BFLOAT16": "BFloat16",
    "FLOAT8E4M3FN": "FP8",
    "FLOAT4E2M1": "FP4",
    "INT8": "Int8",
    "UINT8": "UInt8",
    "INT4": "Int4",
}
"""TensorRT's names of ONNX's types, by those of ``onnx_ir.DataType``."""


@dataclass(frozen=True)
class TypeReport:
    """In which types an engine computes.

    Attributes:
        precision: that was asked for.
        multiplying: how many kernels hold matrix products, convolutions or attention, by the type
            in which they multiply.
        fp32_outputs: kernels that write fp32 although less was asked for: graph outputs, and
            statistics of a LayerNormalization, which TensorRT computes in fp32.
        unnamed: nodes with a product that no kernel names, since nothing needs them, or since
            TensorRT computes two that are alike once. Every kernel that multiplies is held against
            the precision, whatever it names.
    """

    precision: Precision
    multiplying: Mapping[str, int]
    fp32_outputs: tuple[str, ...]
    unnamed: tuple[str, ...]


def check_types(
    kernels: Sequence[Kernel], model: ir.Model, conversion: PrecisionReport
) -> TypeReport:
    """Hold all kernels of an engine of a model against the precision that was asked for.

    The conversion says what precision every product, convolution and attention must have, and
    which nodes stay in fp32.

    Raises:
        InputError: a kernel multiplies in another type; what was to stay in fp32 did not, or is
            computed together with what was not; the types that a kernel reads are not told; or no
            kernel tells of a product.
    """
    precision = conversion.precision
    asked = _Asked(model, conversion, kernels)
    told = {node for kernel in kernels if kernel.multiplies for node in kernel.onnx_nodes}
    # A generated kernel may have a product's name for moving its input, or for being the product.
    multiplying = [
        k for k in kernels if k.multiplies or any(n not in told for n in asked.products(k))
    ]
    found: Counter[str] = Counter()
    wrong = []
    for kernel in multiplying:
        wanted = asked.type_of(kernel)
        if asked.computes_in(kernel, wanted):
            found[wanted] += 1
        elif wanted == NAMES[precision]:
            wrong.append(f"{kernel.name} in {_types_read(kernel)}")
        else:
            raise InputError(
                f"{asked.products(kernel)[0]} was to stay in fp32, but TensorRT multiplies it in "
                f"{_types_read(kernel)} (the kernel {kernel.name}), since what is around it is in "
                f"{precision}: ask for fp32, or for bf16, which has fp32's range and needs no "
                f"exception"
            )
    if wrong:
        raise InputError(
            f"{precision} was asked for, but {len(wrong)} kernels multiply in another type: "
            f"{'; '.join(wrong[:3])}"
        )
    named = {node for kernel in kernels for node in kernel.onnx_nodes}
    unnamed = tuple(name for name in asked.all_products if name not in named)
    if unnamed and not multiplying:
        raise InputError(
            f"{precision} was asked for, but the engine tells of no kernel for {unnamed[0]}: its "
            "precision cannot be shown"
        )
    return TypeReport(
        precision=precision,
        multiplying=dict(found),
        fp32_outputs=tuple(
            kernel.name
            for kernel in kernels
            if precision != "fp32" and any(t.type == NAMES["fp32"] for t in kernel.outputs)
        ),
        unnamed=unnamed,
    )


class _Asked:
    """What a graph asks of the kernels, by the names that TensorRT has for its nodes."""

    def __init__(
        self, model: ir.Model, conversion: PrecisionReport, kernels: Sequence[Kernel]
    ) -> None:
        self._precision = conversion.precision
        self._makers = {t.name: set(k.onnx_nodes) for k in kernels for t in k.outputs}
        self._types = value_types(model)
        self._nodes: dict[str, list[ir.Node]] = defaultdict(list)
        self._kept: set[ir.Node] = set()
        kept = {one.node for one in conversion.kept}
        for outer in model.graph:
            for node in (outer, *_inside(outer)):
                self._nodes[_told_as(node)].append(node)
                if node_name(outer) in kept:
                    self._kept.add(node)

    @property
    def all_products(self) -> list[str]:
        """Names of the nodes that multiply."""
        return [name for name, nodes in self._nodes.items() if any(map(_multiplies, nodes))]

    def products(self, kernel: Kernel) -> list[str]:
        """Those that a kernel names."""
        return [_told_as(node) for node in self._of(kernel) if _multiplies(node)]

    def type_of(self, kernel: Kernel) -> str:
        """In which type a kernel must multiply.

        Raises:
            InputError: its products ask for two.
        """
        products = [node for node in self._of(kernel) if _multiplies(node)]
        kept = [node_name(node) for node in products if node in self._kept]
        if kept and len(kept) < len(products):
            other = next(node_name(node) for node in products if node not in self._kept)
            raise InputError(
                f"the kernel {kernel.name} computes {kept[0]}, which stays in fp32, together with "
                f"{other}, which does not: their precision cannot be shown"
            )
        return NAMES["fp32" if kept else self._precision]

    def computes_in(self, kernel: Kernel, wanted: str) -> bool:
        """Whether a kernel multiplies in this type, and reads others only where the graph asks.

        Raises:
            InputError: the type of something it reads is not told, or nothing that it reads.
        """
        if not (read := _read(kernel)):
            raise InputError(
                f"TensorRT does not tell what the kernel {kernel.name} reads: the engine's "
                "precision cannot be shown"
            )
        allowed, multiplied = self._read_by_graph(kernel)
        allowed += self._begun(kernel)
        return (wanted in read or not multiplied) and all(
            count <= allowed[type_] for type_, count in read.items() if type_ != wanted
        )

    def _read_by_graph(self, kernel: Kernel) -> tuple[Counter[str], bool]:
        """What nodes that do not multiply read from outside the kernel, and whether others do."""
        nodes = self._of(kernel)
        made = {output for node in nodes for output in node.outputs}
        products = [node for node in nodes if _multiplies(node)]
        others = [node for node in nodes if not _multiplies(node)]
        types = (self._type(value) for value in _inputs(others) - made)
        return Counter(t for t in types if t), not products or bool(_inputs(products) - made)

    def _begun(self, kernel: Kernel) -> Counter[str]:
        """Types of what a kernel reads of a LayerNormalization that it ends and another began.

        That it reads a statistic, one number a row, shows that it divides by it itself. Else what
        it reads may be the normalized tensor, which the product would multiply in fp32.
        """
        norms = {
            _told_as(node) for node in self._of(kernel) if node.op_type == "LayerNormalization"
        }
        inner = {t.name: t for t in kernel.inputs if norms & self._makers.get(t.name, set())}
        if not any(t.dims and t.dims[-1] == 1 for t in inner.values()):
            return Counter()
        return Counter(t.type for t in inner.values())

    def _type(self, value: ir.Value) -> str | None:
        found = element(self._types.get(value)) or value.dtype
        return None if found is None else _OF_ONNX.get(found.name)

    def _of(self, kernel: Kernel) -> list[ir.Node]:
        return [node for name in kernel.onnx_nodes for node in self._nodes.get(name, ())]


def _told_as(node: ir.Node) -> str:
    """What TensorRT's parser calls a node."""
    return node.name or f"node_of_{node.outputs[0].name}"


def _multiplies(node: ir.Node) -> bool:
    return operator_named(node.op_type).multiplies


def _inside(node: ir.Node) -> Iterable[ir.Node]:
    """The nodes of its bodies, if it is control flow."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield from attribute.as_graph().all_nodes()


def _inputs(nodes: Iterable[ir.Node]) -> set[ir.Value]:
    return {value for node in nodes for value in node.inputs if value is not None}


def _read(kernel: Kernel) -> Counter[str]:
    """How many tensors a kernel reads of each type that can be multiplied.

    Single numbers, such as a product's scale, count only where there is nothing else.

    Raises:
        InputError: a type is not told.
    """
    read: tuple[KernelTensor, ...] = (*kernel.inputs, *kernel.constants)
    for tensor in read:
        if not is_readable(tensor):
            raise InputError(
                f"TensorRT tells {tensor.type!r} for the type of {tensor.name}, which the kernel "
                f"{kernel.name} reads: the engine's precision cannot be shown"
            )
    distinct = {t.name: t for t in read if t.type not in _NOT_MULTIPLIED}.values()
    several = [t for t in distinct if any(dim != 1 for dim in t.dims)]
    return Counter(t.type for t in several or distinct)


def _types_read(kernel: Kernel) -> str:
    return ", ".join(sorted(_read(kernel)))
