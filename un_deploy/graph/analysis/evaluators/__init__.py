"""Computes single operators from their inputs: a closed list, by ONNX's own words, in numpy.

Fold and proof rest on these and on nothing else, so each is needed, and each is held against two
other implementations in its test. Whatever is not listed is unknown. A file with `EVALUATORS` in it
is found by being here.

- arithmetic: Add, Sub, Mul, Div, Sum, Neg, Abs and Sqrt; Mod; Ceil and Floor; Equal; Relu,
  LeakyRelu and PRelu.
- casts: Cast, between the types that are computed with.
- convolution: Conv and ConvTranspose of any rank: each offset in the kernel adds one product of
  matrices.
- evaluator: What an evaluator is, and what all of them need: the unknown, sizes, axes, types.
- joining: Concat and Split.
- layout: What moves elements and changes none: Transpose, Reshape and their like, Expand, Tile,
  Pad, DepthToSpace, SpaceToDepth, Identity.
- normalization: BatchNormalization at inference; Layer, RMS, Instance and GroupNormalization;
  Scaler.
- pooling: AveragePool and MaxPool, over windows and over all places, Resize and Upsample.
- products: MatMul, Gemm and Einsum. Half types are added up in float32, as runtimes do, and rounded
  at the end.
- quantised: DequantizeLinear: per tensor, along an axis, in blocks.
- reductions: ReduceMean, ReduceSum, ReduceMax and ReduceMin.
- selection: Gather, GatherElements, GatherND, Slice and Where: they pick elements.
- sources: Constant, ConstantOfShape, Shape and Size: they make tensors of no numbers but sizes.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import (
    LARGEST_RESULT,
    Array,
    Compute,
    Evaluator,
    Inputs,
    Unknown,
    is_among,
    no_result_above,
)
from un_deploy.graph.analysis.floating import widen

_FILES = [import_module(f"{__name__}.{file.name}") for file in iter_modules(__path__)]

#: Every evaluator, by ONNX's name of its operator, behind its domain where that is not ONNX's own.
EVALUATORS: dict[str, Evaluator] = {
    name: evaluator
    for file in _FILES
    for name, evaluator in getattr(file, "EVALUATORS", {}).items()
}


def is_known(node: ir.Node, opset: int) -> bool:
    """Whether there is an evaluator for this operator at this opset, with these attributes."""
    evaluator = EVALUATORS.get(_name(node))
    if evaluator is None:
        return False
    known = is_among(opset, evaluator.opsets, node.op_type)
    return known and node.attributes.keys() <= evaluator.attributes


def evaluate(node: ir.Node, inputs: Inputs, opset: int, most: int = LARGEST_RESULT) -> list[Array]:
    """The node's outputs in the inputs' own types, as ONNX states them.

    Args:
        node: the operator; its own inputs are not looked at.
        inputs: an array for each of them, None where an optional one is absent.
        opset: of the main domain, as the model imports it.
        most: bytes that a result may take.

    Returns:
        An array for each output; an optional one at the end that is not asked for is left out.
        They may share memory with the inputs, and are not to be written to.

    Raises:
        Unknown: the operator, its opset, an attribute or a type is not on the list, or the inputs
            do not fit, or the result would take more bytes than `most`.
    """
    return _computed(_evaluator(node, opset).compute, node, inputs, opset, most)


def evaluate_exact(
    node: ir.Node, inputs: Inputs, opset: int, most: int = LARGEST_RESULT
) -> list[Array]:
    """The same without rounding: every floating array is widened to float64, before and after.

    Raises:
        Unknown: as `evaluate`; or the operator rounds or compares, which float64 does differently.
            A Cast widens if it is to float64, or if the node's input states the type it is from.
    """
    evaluator = _evaluator(node, opset)
    widened = [None if array is None else widen(array) for array in inputs]
    computed = _computed(evaluator.exact or evaluator.compute, node, widened, opset, most)
    return [widen(array) for array in computed]


def _evaluator(node: ir.Node, opset: int) -> Evaluator:
    if not is_known(node, opset):
        raise Unknown(f"{node.op_type} of opset {opset} with {sorted(node.attributes)}")
    return EVALUATORS[_name(node)]


def _name(node: ir.Node) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _computed(
    compute: Compute, node: ir.Node, inputs: Inputs, opset: int, most: int
) -> list[Array]:
    try:
        with np.errstate(all="ignore"), no_result_above(most):
            return compute(node, inputs, opset)
    except Unknown as error:
        raise Unknown(f"{node.op_type}: {error}") from error
    except Exception as error:  # whatever does not fit: shapes, indices, attributes
        raise Unknown(f"{node.op_type}: {error}") from error
