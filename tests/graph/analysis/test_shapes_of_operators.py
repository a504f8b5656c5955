"""No inferred shape contradicts a run, on the test cases that ONNX has for its operators."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import sympy

from un_deploy.graph.analysis.dims import Dim, symbol
from un_deploy.graph.analysis.shapes import Shapes


@cache
def _cases() -> list[Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in collect_testcases(None) if case.data_sets]


def _with_symbolic_inputs(model: ir.Model, inputs: list[np.ndarray]) -> dict[sympy.Symbol, int]:
    """Give every axis of every input a name of its own; returns the sizes by symbol."""
    sizes = {}
    for value, array in zip(model.graph.inputs, inputs, strict=False):
        if isinstance(array, np.ndarray) and value.shape is not None and array.size:
            names = [f"{value.name}_{axis}" for axis in range(array.ndim)]
            value.shape = ir.Shape(names)
            sizes |= {symbol(n): size for n, size in zip(names, array.shape, strict=True)}
    return sizes


def _agrees(dim: Dim, size: int, sizes: dict[sympy.Symbol, int]) -> bool:
    """Whether the size can be this dimension's; one with a private symbol can be anything."""
    value = dim.subs(sizes) if isinstance(dim, sympy.Expr) else dim
    return value is None or bool(getattr(value, "free_symbols", ())) or value == size


def _wrong_shapes(cases: list[Any], symbolic: bool) -> Iterator[str]:
    for case in cases:
        inputs, outputs = case.data_sets[0]
        model = ir.from_proto(case.model)
        sizes = _with_symbolic_inputs(model, inputs) if symbolic else {}
        for value in model.graph.outputs:
            value.shape = None
        shapes = Shapes(model)
        for value, array in zip(model.graph.outputs, outputs, strict=True):
            shape = shapes.of(value)
            if shape is None or not isinstance(array, np.ndarray):
                continue
            agree = map(lambda d, s: _agrees(d, s, sizes), shape, array.shape)
            if len(shape) != array.ndim or not all(agree):
                yield f"{case.name} {value.name}: inferred {shape}, ran to {array.shape}"


@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
@pytest.mark.parametrize(
    "expanded", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "expanded"]
)
def test_what_is_inferred_is_what_runs(expanded: bool, symbolic: bool) -> None:
    """Expanded: an operator written out in others, which the plain ones have, too."""
    cases = [case for case in _cases() if ("_expanded" in case.name) == expanded]
    assert len(cases) > 400
    assert list(_wrong_shapes(cases, symbolic)) == []


def test_enough_operators_are_covered() -> None:
    operators = {node.op_type for case in _cases() for node in case.model.graph.node}
    standard = {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}
    assert len(operators & standard) > 0.8 * len(standard)
