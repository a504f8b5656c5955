"""One file per operator family; a file with a `RULE` in it is found by being here.

What the rooms around need to know of an operator is stated here too: by its rule, or in
`without_rule`, and read through `operators` and `operator_named`.

- activation: Relu, LeakyRelu, PRelu and Abs: a positive scale passes.
- broadcast: Gauges of operands that broadcast: seen in the rank of the result, and back.
- channel: Reads a gauge along one axis, as linear operators need it.
- concat_split: Concat and Split: a gauge of the whole is cut into its parts' gauges, or joined from
  them.
- conv: Conv, 1-d to 3-d, with groups: absorbs what reaches it along its channels.
- conv_transpose: ConvTranspose, 1-d to 3-d, with groups: takes a scale on either side, and a shift
  behind it.
- depth: SpaceToDepth and DepthToSpace: pixels of a block become channels, and back.
- elementwise: Add, Sub, Sum, Neg, Mul and Div.
- equation: MatMul and Einsum as one thing: a product of two tensors whose axes have names.
- example_models: Builds the small models that rules give as examples, from ONNX's text form.
- gather_slice: Gather and Slice: they pick elements along axes and change none.
- gemm: Gemm, y = alpha A B + beta C with constant B and C: absorbs what reaches it.
- layout: Transpose, Reshape and all that moves elements and changes none: a gauge moves with them.
- layout_run: Layouts in a row that merge an axis with one of unknown size, and split it again, are
  one.
- lookup: GatherND and GatherElements: entries of a tensor at indices.
- matmul: MatMul and Einsum with a constant operand: absorb every gauge that reaches them.
- measuring_norm: Norms that measure their data: their own scale and shift take in what reaches
  their output.
- mixing: The modulation n * o + t of diffusion transformers, where one linear operator makes o and
  t.
- operator: What the rooms around the rules know of an operator, as data: stated here and nowhere
  else.
- pad: Pad: a gauge that is alike along the padded axes passes, as far as what is put in obeys it.
- pieces: Where the pieces of a tensor's axes lie after Transposes and Reshapes, on symbolic sizes.
- pool: AveragePool and MaxPool, over windows and over all places: a gauge of the channels passes.
- product: A product with one constant operand: which axis is whose, and along which a scale passes.
- protocol: What a rule is: how one family of operators passes on a change of variables, or absorbs
  it.
- reduce: ReduceMean, ReduceSum, ReduceMax, ReduceMin: what is alike along the axes passes through.
- resize: Resize and Upsample, nearest, linear or cubic: a gauge that is alike along the resized
  axes passes.
- tile: Tile: a gauge is repeated with the tensor.
- where: Where: entry by entry one of two tensors, which then have one gauge.
- without_rule: ONNX operators that no rule knows, as far as something is known of them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import onnx_ir as ir

from un_deploy.graph.analysis.evaluators.evaluator import is_among
from un_deploy.graph.fold.rules import without_rule
from un_deploy.graph.fold.rules.operator import Operator

if TYPE_CHECKING:
    from un_deploy.graph.fold.rules.protocol import Rule


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of their files' names."""
    modules = (
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    )
    return tuple(module.RULE for module in modules if hasattr(module, "RULE"))


def rule_for(node: ir.Node, opset: int) -> Rule | None:
    """The rule that knows this operator at this opset, if any."""
    if node.domain:
        return None
    for rule in rules():
        operator = rule.ops.get(node.op_type)
        if operator is not None and operator.opsets is not None:
            return rule if is_among(opset, operator.opsets, node.op_type) else None
    return None


@cache
def operators() -> Mapping[str, Operator]:
    """Every operator of which something is known, by ONNX's name."""
    of_rules = {name: operator for rule in rules() for name, operator in rule.ops.items()}
    return {**without_rule.OPERATORS, **of_rules}


def operator_named(op_type: str) -> Operator:
    """What is known of an operator, whatever its domain and opset; of an unknown one nothing."""
    return operators().get(op_type, _UNKNOWN)


_UNKNOWN = Operator()
