"""A conversion of which all is asserted that must hold of any, and what is read of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from tests.support.graphs import to_bytes
from un_deploy.graph.analysis.operator_types import element, value_types
from un_deploy.graph.precision.convert import Precision, PrecisionReport, to_precision

HALF = {"fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}
EPS = {"fp16": 2.0**-10, "bf16": 2.0**-7}
SIGNATURE = "float[2,3] x => float[2,3] y"
LINEAR = "m = MatMul(x, w) y = Add(m, b)"
LOWEST = float(np.finfo(np.float32).min)
INTEGERS = "it computes from integers alone"


def converted(
    model: ir.Model, precision: Precision = "fp16", **options: Any
) -> tuple[ir.Model, PrecisionReport]:
    """Convert, and assert what must hold of any conversion."""
    before = to_bytes(model)
    result, report = to_precision(model, precision, **options)
    assert to_bytes(model) == before
    onnx.checker.check_model(ir.to_proto(result), full_check=True)
    claimed = {v: v.dtype for node in result.graph for v in node.outputs if v.dtype is not None}
    types = value_types(result)
    assert claimed == {value: element(types[value]) for value in claimed}
    if options.get("keep_io", True):
        for old, new in ((model.graph.inputs, result.graph.inputs), (model.graph.outputs,) * 2):
            assert [(v.name, v.dtype) for v in new] == [(v.name, v.dtype) for v in old]
    return result, report


def compute(model: ir.Model, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return ReferenceEvaluator(ir.to_proto(model)).run(None, feeds)[0]


def types_of(model: ir.Model) -> dict[str, str]:
    """What each operator computes in: the type of its first output, by the node's name."""
    types = value_types(model)
    dtypes = {str(node.name): element(types[node.outputs[0]]) for node in model.graph}
    return {name: "" if dtype is None else dtype.name for name, dtype in dtypes.items()}


def reasons(report: PrecisionReport) -> dict[str, str]:
    return {kept.node: kept.reason for kept in report.kept}


def array(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)
