"""In which types the kernels of an engine must multiply, and what else its graph lets them read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import onnx_ir as ir

from un_deploy.engines.kernels.inspected import is_readable
from un_deploy.engines.kernels.kernels import Kernel, KernelTensor
from un_deploy.engines.kernels.products import RECURRENT, NodesByName, multiplies, told_as
from un_deploy.graph.analysis.operator_types import element
from un_deploy.graph.model.labels import node_name
from un_deploy.graph.precision.bodies import all_types, every_node
from un_deploy.graph.precision.convert import PrecisionReport
from un_deploy.graph.precision.what_stays_fp32 import BUILDER_LACKS

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


class NotToldError(Exception):
    """Why a kernel does not tell in which type it multiplies."""


class WantedTypes:
    """What a graph asks of the kernels."""

    def __init__(
        self, model: ir.Model, conversion: PrecisionReport, kernels: Sequence[Kernel]
    ) -> None:
        self._precision = NAMES[conversion.precision]
        self._makers = {t.name: set(k.onnx_nodes) for k in kernels for t in k.outputs}
        self._types = all_types(model)
        self._nodes = NodesByName(model.graph)
        kept = {one.node: one.reason for one in conversion.kept}
        products = [node for node in every_node(model.graph) if multiplies(node)]
        self._kept = {node: kept[node_name(node)] for node in products if node_name(node) in kept}
        named = {node for kernel in kernels for node in self.products(kernel)}
        self._unnamed = [node for node in products if node not in named]

    def products(self, kernel: Kernel) -> list[ir.Node]:
        """Those that a kernel names."""
        return [
            node
            for node in self._of(kernel)
            if multiplies(node) and (kernel.multiplies or node.op_type not in RECURRENT)
        ]

    def types_of(self, kernel: Kernel) -> list[str]:
        """In which type a kernel must multiply, or in one of which.

        That is one that all its products may have; if it names none, one of any that none names.

        Raises:
            NotToldError: its products ask for two.
        """
        products = self.products(kernel)
        if not products:
            return sorted({self._precision}.union(*map(self._types_of, self._unnamed)))
        wanted = set.intersection(*map(self._types_of, products))
        if not wanted:
            kept = next(told_as(node) for node in products if node in self._kept)
            other = next(told_as(node) for node in products if node not in self._kept)
            raise NotToldError(
                f"the kernel {kernel.name} computes {kept}, which stays in fp32, together with "
                f"{other}, which does not"
            )
        return sorted(wanted)

    def in_nameless(self, types: Collection[str]) -> set[ir.Node]:
        """The products that kernels compute which name none, if these are the types of all of them.

        TensorRT takes a recurrent layer apart, and unrolls the rounds of a Loop that are few.
        """
        return {
            node
            for node in self._unnamed
            if (node.op_type in RECURRENT or self._nodes.in_rounds(node))
            and types
            and self._types_of(node).issuperset(types)
        }

    def _types_of(self, node: ir.Node) -> set[str]:
        """What stays in fp32 only because the builder fails may have the type asked for as well."""
        if node not in self._kept:
            return {self._precision}
        lacking = self._kept[node].startswith(BUILDER_LACKS)
        return {NAMES["fp32"], self._precision} if lacking else {NAMES["fp32"]}

    def computes_in(self, kernel: Kernel, wanted: str) -> bool:
        """Whether a kernel multiplies in this type, and reads others only where the graph asks.

        Raises:
            NotToldError: the type of something it reads is not told, or that of what it multiplies.
        """
        if not (read := _read(kernel)):
            raise NotToldError(f"TensorRT does not tell what the kernel {kernel.name} reads")
        allowed, multiplied = self._read_by_graph(kernel)
        allowed += self._begun(kernel)
        if any(count > allowed[type_] for type_, count in read.items() if type_ != wanted):
            return False
        if multiplied and wanted not in read:
            raise NotToldError(f"TensorRT does not tell what the kernel {kernel.name} multiplies")
        return True

    def _read_by_graph(self, kernel: Kernel) -> tuple[Counter[str], bool]:
        """What nodes that do not multiply read from outside the kernel, and whether others do."""
        nodes = self._of(kernel)
        made = {output for node in nodes for output in node.outputs}
        products = [node for node in nodes if multiplies(node)]
        others = [node for node in nodes if not multiplies(node)]
        types = (self._type(value) for value in _inputs(others) - made)
        return Counter(t for t in types if t), not products or bool(_inputs(products) - made)

    def _begun(self, kernel: Kernel) -> Counter[str]:
        """Types of what a kernel reads of a LayerNormalization that it ends and another began.

        That it reads a statistic, one number a row, shows that it divides by it itself. Else what
        it reads may be the normalized tensor, which the product would multiply in fp32.
        """
        norms = {told_as(node) for node in self._of(kernel) if node.op_type == "LayerNormalization"}
        inner = {t.name: t for t in kernel.inputs if norms & self._makers.get(t.name, set())}
        if not any(t.dims and t.dims[-1] == 1 for t in inner.values()):
            return Counter()
        return Counter(t.type for t in inner.values())

    def _type(self, value: ir.Value) -> str | None:
        found = element(self._types.get(value)) or value.dtype
        return None if found is None else _OF_ONNX.get(found.name)

    def _of(self, kernel: Kernel) -> list[ir.Node]:
        return [node for name in kernel.onnx_nodes for node in self._nodes[name]]


def _inputs(nodes: Iterable[ir.Node]) -> set[ir.Value]:
    return {value for node in nodes for value in node.inputs if value is not None}


def _read(kernel: Kernel) -> Counter[str]:
    """How many tensors a kernel reads of each type that can be multiplied.

    Single numbers, such as a product's scale, count only where there is nothing else.

    Raises:
        NotToldError: a type is not told.
    """
    read: tuple[KernelTensor, ...] = (*kernel.inputs, *kernel.constants)
    for tensor in read:
        if not is_readable(tensor):
            raise NotToldError(
                f"TensorRT tells {tensor.type!r} for the type of {tensor.name}, which the kernel "
                f"{kernel.name} reads"
            )
    distinct = {t.name: t for t in read if t.type not in _NOT_MULTIPLIED}.values()
    several = [t for t in distinct if any(dim != 1 for dim in t.dims)]
    return Counter(t.type for t in several or distinct)


def types_read(kernel: Kernel) -> str:
    return ", ".join(sorted(_read(kernel)))
