"""The settings that are drawn for evaluators hold shape inference too."""

from __future__ import annotations

import onnx_ir as ir
import pytest
import sympy

from tests.graph.analysis.evaluators.setting import Setting
from tests.graph.analysis.evaluators.test_sweep import settings
from un_deploy.graph.analysis.dims import Dim, symbol
from un_deploy.graph.analysis.evaluators import EVALUATORS, evaluate
from un_deploy.graph.analysis.shapes import Shapes

#: Which hold shapes, axes and bounds, and so are known.
STORED = ("int64",)


def faults(setting: Setting, symbolic: bool) -> list[str]:
    """Where a shape or a type is inferred that is not that of the result."""
    model = ir.from_proto(setting.model(stored=STORED))
    sizes: dict[sympy.Symbol, int] = {}
    for value in model.graph.inputs if symbolic else ():
        names = [f"{value.name}_{axis}" for axis in range(len(value.shape))]
        sizes |= dict(zip(map(symbol, names), value.shape, strict=True))
        value.shape = ir.Shape(names)
    (node,) = model.graph
    shapes, found = Shapes(model), []
    for value, array in zip(
        model.graph.outputs, evaluate(node, setting.inputs, setting.opset), strict=True
    ):
        shape, dtype = shapes.of(value), shapes.dtype(value)
        if shape is not None and not (
            len(shape) == array.ndim
            and all(_can_be(dim, size, sizes) for dim, size in zip(shape, array.shape, strict=True))
        ):
            found.append(f"{setting}: {shape}, not {array.shape}")
        if dtype is not None and dtype != ir.DataType.from_numpy(array.dtype):
            found.append(f"{setting}: {dtype}, not {array.dtype}")
    return found


def _can_be(dim: Dim, size: int, sizes: dict[sympy.Symbol, int]) -> bool:
    """A size of which nothing is known can be anything."""
    value = dim.subs(sizes) if isinstance(dim, sympy.Expr) else dim
    return value is None or bool(getattr(value, "free_symbols", ())) or value == size


def _drawn(op: str, count: int, symbolic: bool) -> list[str]:
    """A symbol is a positive size."""
    drawn = (s for s in settings(op, count) if not symbolic or not _is_empty(s))
    return [fault for setting in drawn for fault in faults(setting, symbolic)]


def _is_empty(setting: Setting) -> bool:
    return any(array is not None and array.size == 0 for array in setting.inputs)


@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
@pytest.mark.parametrize("op", sorted(EVALUATORS))
def test_a_few_settings_of_each_opset(op: str, symbolic: bool) -> None:
    assert _drawn(op, 2, symbolic) == []


@pytest.mark.slow
@pytest.mark.parametrize("symbolic", [False, True], ids=["static", "symbolic"])
@pytest.mark.parametrize("op", sorted(EVALUATORS))
def test_twenty_settings_of_each_opset(op: str, symbolic: bool) -> None:
    assert _drawn(op, 20, symbolic) == []
