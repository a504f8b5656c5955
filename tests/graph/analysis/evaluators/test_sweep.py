"""Every evaluator against ONNX Runtime and onnx's reference, at every opset, in drawn settings.

At least one of the two must be asked about every setting, and both must agree where both are. The
short run is a few settings an opset; `make evaluators-test` draws a hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.graph.analysis.evaluators import (
    draw_elementwise,
    draw_layout,
    draw_places,
    draw_products,
)
from tests.graph.analysis.evaluators.judges import FAULTS, JUDGES, Fault, is_known
from tests.graph.analysis.evaluators.setting import Array, Draw, Setting
from un_deploy.graph.analysis.evaluators import EVALUATORS, Unknown, evaluate, evaluate_exact
from un_deploy.graph.analysis.floating import is_real

DRAWN = {
    **draw_elementwise.DRAWN,
    **draw_layout.DRAWN,
    **draw_places.DRAWN,
    **draw_products.DRAWN,
}

#: These add up, in an order of their own: they may differ by some units in the last place.
_SUMS = {"MatMul", "Gemm", "Einsum", "Conv", "ConvTranspose", "BatchNormalization", "Sum"}
_SUMS |= {f"{kind}Normalization" for kind in ("Layer", "RMS", "Instance", "Group")}
_SUMS |= {"ReduceMean", "ReduceSum", "AveragePool", "GlobalAveragePool", "Resize", "Upsample"}
_SUMS |= {"ai.onnx.ml.Scaler"}

#: These multiply, and are rounded once.
_SLOPES = ("LeakyRelu", "PRelu")


@cache
def opsets(op: str) -> list[int]:
    """Those at which the operator changed, and the last one that its evaluator knows."""
    first, last = EVALUATORS[op].opsets
    schemas = onnx.defs.get_all_schemas_with_history()
    versions = [s.since_version for s in schemas if s.name == op and s.domain == ""]
    return sorted({max(version, first) for version in versions if version <= last} | {last})


def settings(op: str, count: int) -> Iterator[Setting]:
    """So many of each opset."""
    for opset in opsets(op):
        for seed in range(count):
            yield DRAWN[op](Draw(op, opset, seed))


def difference(op: str, got: list[Array], wanted: list[Array]) -> str:
    """What tells two lists of outputs apart; nothing where they are the same."""
    if len(got) != len(wanted):
        return f"{len(got)} outputs, not {len(wanted)}"
    for a, b in zip(got, wanted, strict=True):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return f"{a.dtype}{list(a.shape)}, not {b.dtype}{list(b.shape)}"
        if not _alike(op, a, b):
            return f"{a.ravel()[:8]}, not {b.ravel()[:8]}"
    return ""


def _alike(op: str, a: Array, b: Array) -> bool:
    if not is_real(a) or op not in _SUMS:
        return np.array_equal(a, b, equal_nan=is_real(a))
    unit = 2.0**-7 if a.dtype.name == "bfloat16" else float(np.finfo(a.dtype).eps)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    size = np.max(np.abs(wide_b), initial=1, where=np.isfinite(wide_b))
    return np.allclose(wide_a, wide_b, rtol=4 * unit, atol=8 * unit * size, equal_nan=True)


def judged(setting: Setting, got: list[Array]) -> list[str]:
    """What the judges have against it."""
    found, asked = [], 0
    for name, judge in JUDGES.items():
        if is_known(name, setting):
            continue
        try:
            wanted = judge(setting)
        except Exception as error:
            found.append(f"{setting}: {name} cannot run it: {error}")
            continue
        if wanted is not None:
            asked += 1
            if wrong := difference(setting.op, got, wanted):
                found.append(f"{setting}: {wrong}, says {name}")
    return found if asked or found else [f"{setting}: nobody can judge it"]


def exactly(setting: Setting, node: ir.Node, got: list[Array]) -> str:
    """What is wrong with the evaluation in float64, seen from the one in the tensors' types."""
    try:
        exact = evaluate_exact(node, setting.inputs, setting.opset)
    except Unknown as error:
        return "" if setting.op in ("Cast", "Equal", "Ceil", "Floor") else f"{setting}: {error}"
    if any(is_real(a) and a.dtype != np.float64 for a in exact):
        return f"{setting}: not all is in float64"
    if setting.op in ("Div", "Sqrt", "Add", "Sub", "Mul", "DequantizeLinear", *_SUMS, *_SLOPES):
        rounded = [e.astype(a.dtype) for e, a in zip(exact, got, strict=True)]
        wrong = difference("MatMul", rounded, got)
    else:
        wrong = difference(
            setting.op, exact, [a.astype(e.dtype) for e, a in zip(exact, got, strict=True)]
        )
    return f"{setting}: {wrong}, in float64" if wrong else ""


def faults(op: str, count: int) -> list[str]:
    found = []
    for setting in settings(op, count):
        (node,) = ir.from_proto(setting.model()).graph
        try:
            got = evaluate(node, setting.inputs, setting.opset)
        except Unknown as error:
            found.append(f"{setting}: {error}")
            continue
        found += judged(setting, got)
        found += filter(None, [exactly(setting, node, got)])
    return found


def test_settings_are_drawn_for_every_evaluator() -> None:
    assert DRAWN.keys() == EVALUATORS.keys()


@pytest.mark.parametrize("op", sorted(EVALUATORS))
def test_a_few_settings_of_each_opset(op: str) -> None:
    assert faults(op, 10) == []


@pytest.mark.slow
@pytest.mark.parametrize("op", sorted(EVALUATORS))
def test_a_hundred_settings_of_each_opset(op: str) -> None:
    assert faults(op, 100) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.judge}: {fault.reason}")
def test_a_known_fault_of_a_judge_is_still_there(fault: Fault) -> None:
    """A judge that is right again shall judge again."""
    held = (s for op in sorted(fault.ops) for s in settings(op, 50) if fault.holds(s))
    assert any(_is_wrong(fault, setting) for setting in held)


def _is_wrong(fault: Fault, setting: Setting) -> bool:
    (node,) = ir.from_proto(setting.model()).graph
    try:
        wanted = JUDGES[fault.judge](setting)
    except Exception:
        return True
    got = evaluate(node, setting.inputs, setting.opset)
    return wanted is not None and bool(difference(setting.op, got, wanted))
