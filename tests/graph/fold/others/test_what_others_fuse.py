"""What other optimisers' suites expect to be fused is fused, or refused with a true reason.

The graphs of onnxscript's rewrite rules, of OnnxSlim, onnx/optimizer, onnxsim, ONNX Runtime and
PyTorch, as far as they are about a scale and shift at a linear operator, made anew and small. What
else these suites fuse is no such thing: MatMul and Add to Gemm, three products to one, Pad into
Conv, activations, integers and quantised operators, a zero bias that an operator has as an input
(it costs nothing there), and the factor of a product of two computed tensors, which no weight can
take in and only operators outside of ONNX have a place for.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from tests.graph.fold.others import biases, factors, norms
from tests.graph.fold.others.case import Case
from tests.support.graphs import (
    build,
    feeds_for,
    fold_and_prove,
    largest_error,
    operators,
    to_bytes,
)
from un_deploy.graph.fold.fold import Folded, fold_graph

CASES = {**norms.CASES, **factors.CASES, **biases.CASES}


@pytest.mark.parametrize("name", [name for name in CASES if not CASES[name].reasons])
def test_it_is_fused(name: str) -> None:
    folded = _as_expected(CASES[name])
    assert folded.report.folded and not folded.report.stayed and not folded.report.near_misses


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].reasons])
def test_it_is_refused_with_a_true_reason(name: str) -> None:
    report = _as_expected(CASES[name]).report
    told = [site.reason for site in report.stayed] + [miss.reason for miss in report.near_misses]
    assert all(any(reason in text for text in told) for reason in CASES[name].reasons), told


def _as_expected(case: Case) -> Folded:
    """The fold of a case, which has left the operators that it should, and computes the same."""
    model = build(case.signature, case.body, opset=case.opset, **case.constants)
    if case.left.split() == operators(model):
        folded = fold_graph(model.clone())
        assert to_bytes(folded.model) == to_bytes(model)
        return folded
    folded = fold_and_prove(model)
    assert operators(folded.model) == case.left.split()
    feeds = feeds_for(model)
    assert largest_error(_run(folded.model, feeds), _run(model, feeds)) < 1e-5
    return folded


def _run(model: ir.Model, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By ONNX Runtime, its own optimiser off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))
