"""Proves an engine's precision from its own kernels: never a silent fp32 engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from un_deploy.errors import InputError
from un_deploy.runtime.tensorrt.kernels import Kernel, KernelTensor

Precision = Literal["fp32", "fp16", "bf16"]

NAMES: dict[str, str] = {"fp32": "Float", "fp16": "Half", "bf16": "BFloat16"}
"""TensorRT's names of the precisions."""

MULTIPLYING = ("MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "Attention")
"""ONNX operators whose kernels must have the precision."""


@dataclass(frozen=True)
class TypeReport:
    """In which types an engine computes.

    Attributes:
        precision: that was asked for.
        multiplying: how many kernels hold matrix products, convolutions or attention, by the type
            of what they multiply.
        fp32_outputs: kernels that write fp32 although less was asked for: graph outputs, and
            statistics of a LayerNormalization, which TensorRT computes in fp32.
    """

    precision: Precision
    multiplying: Mapping[str, int]
    fp32_outputs: tuple[str, ...]


def check_types(
    kernels: Sequence[Kernel],
    operators: Mapping[str, str],
    precision: Precision,
    kept: Sequence[str] = (),
) -> TypeReport:
    """Hold the kernels of an engine against the precision that was asked for.

    Args:
        kernels: all of the engine.
        operators: the type of each node of the graph, by its name.
        precision: that every product, convolution and attention must have.
        kept: names of nodes that stay in fp32 because they were told to.

    Raises:
        InputError: a kernel multiplies in another type, or no kernel tells of a node that does.
    """
    wanted = NAMES[precision]
    multiplying = [k for k in kernels if k.multiplies or _holds_product(k, operators)]
    wrong = [k for k in multiplying if _types(k) - {wanted} and not set(k.onnx_nodes) & set(kept)]
    if wrong:
        found = "; ".join(f"{k.name} in {', '.join(sorted(_types(k)))}" for k in wrong[:3])
        raise InputError(
            f"{precision} was asked for, but {len(wrong)} kernels multiply in another type: {found}"
        )
    told = {node for kernel in multiplying for node in kernel.onnx_nodes}
    silent = [n for n, op in operators.items() if op in MULTIPLYING and n not in told]
    if silent and not multiplying:
        raise InputError(
            f"{precision} was asked for, but the engine tells of no kernel for {silent[0]}: its "
            "precision cannot be shown"
        )
    return TypeReport(
        precision=precision,
        multiplying=dict(Counter("/".join(sorted(_types(k))) for k in multiplying)),
        fp32_outputs=tuple(
            kernel.name
            for kernel in kernels
            if wanted != NAMES["fp32"] and any(t.type == NAMES["fp32"] for t in kernel.outputs)
        ),
    )


def _holds_product(kernel: Kernel, operators: Mapping[str, str]) -> bool:
    return kernel.layer_type != "kgen" and any(
        operators.get(node) in MULTIPLYING for node in kernel.onnx_nodes
    )


def _types(kernel: Kernel) -> set[str]:
    """Floating types of what a kernel reads; single numbers, such as a product's scale, aside."""
    read: tuple[KernelTensor, ...] = (*kernel.inputs, *kernel.constants)
    return {t.type for t in read if t.type in NAMES.values() and abs(prod(t.dims)) != 1}
