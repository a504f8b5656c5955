"""Shapes and layouts on what PyTorch's two exporters write for a norm like the released one."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import sympy
from onnx.reference import ReferenceEvaluator
from onnx_ir.passes.common import RemoveUnusedNodesPass

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from models.recipes import Recipe  # noqa: E402
from tests.support.networks.cases import with_micros  # noqa: E402
from tests.support.networks.exports import EXPORTS, EXPORTS_OF, exported  # noqa: E402
from tests.support.released_norm import ReleasedStyleNorm  # noqa: E402
from un_deploy.graph.analysis.dims import symbol  # noqa: E402
from un_deploy.graph.analysis.shapes import Shapes  # noqa: E402
from un_deploy.graph.fold.cancel_layouts import cancel_layouts  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter  # noqa: E402

pytestmark = pytest.mark.torch

OPSET = {True: 18, False: 17}
"""By dynamo: the oldest that the one honours, the TorchScript exporter's usual one."""


class Rows(nn.Module):
    """Linear layers with a norm on inputs of rank 2, (tokens, channels)."""

    dynamic_axes: ClassVar[dict[str, dict[int, str]]] = {"x": {0: "tokens"}}
    output_names: ClassVar[tuple[str, ...]] = ("y",)

    def __init__(self, norm_layer: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 6), norm_layer(6), nn.Linear(6, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)

    def example_inputs(self, batch: int = 2) -> dict[str, torch.Tensor]:
        return {"x": torch.randn(batch, 8, generator=torch.Generator().manual_seed(0))}


def _export(model: nn.Module, path: Path, *, dynamo: bool, dynamic: bool) -> onnx.ModelProto:
    model.eval()
    examples = model.example_inputs(2)
    axes = {}
    if dynamic:
        axes = {"dynamic_shapes" if dynamo else "dynamic_axes": model.dynamic_axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(examples.values()),
            path,
            dynamo=dynamo,
            opset_version=OPSET[dynamo],
            input_names=list(examples),
            output_names=list(model.output_names),
            **axes,
        )
    return onnx.load(path)


def _take_out_norms(model: ir.Model, shapes: Shapes) -> list[ir.Value]:
    """Bypass every Div, Mul and Add with (1, C, 1, 1) constants; returns where they were."""
    seeds = []
    for node in model.graph:
        if node.op_type not in ("Div", "Mul", "Add"):
            continue
        for data, constant in (node.inputs, node.inputs[::-1]):
            inner = shapes.of(data) or ()
            per_channel = len(inner) == 4 and shapes.of(constant) == (1, inner[1], 1, 1)
            if per_channel and (inner[0], inner[2]) != (1, 1) and inner[3] == 1:
                node.outputs[0].replace_all_uses_with(data)
                if data not in seeds:
                    seeds.append(data)
    RemoveUnusedNodesPass()(model)
    return seeds


def _assert_true(shapes: Shapes, proto: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> None:
    """Every shape is known and, with these inputs, the one that a run gives."""
    values = ReferenceEvaluator(proto).run(None, feeds, intermediate=True)
    model = ir.from_proto(proto)
    sizes = {
        symbol(dim.value): size
        for value in model.graph.inputs
        for dim, size in zip(value.shape, feeds[value.name].shape, strict=True)
        if isinstance(dim, ir.SymbolicDim)
    }
    for node in model.graph:
        for value in node.outputs:
            shape = shapes.of(value)
            assert shape is not None, value.name
            got = tuple(d.subs(sizes) if isinstance(d, sympy.Expr) else d for d in shape)
            assert got == np.shape(values[value.name]), value.name


def _rows(dynamo: bool, dynamic: bool, folder: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    normed, bare = Rows(ReleasedStyleNorm), Rows(lambda _: nn.Identity())
    bare.load_state_dict(normed.state_dict(), strict=False)
    given = {"dynamo": dynamo, "dynamic": dynamic}
    return (
        _export(normed, folder / "normed.onnx", **given),
        _export(bare, folder / "bare.onnx", **given),
    )


@pytest.mark.parametrize(
    ("recipe", "exporter", "dynamic"),
    [*((None, *export) for export in EXPORTS), *with_micros(*EXPORTS_OF["released"])],
    ids=str,
)
def test_without_its_arithmetic_the_norm_leaves_nothing(
    recipe: Recipe | None, exporter: Exporter, dynamic: bool, tmp_path: Path
) -> None:
    if recipe is None:
        network, norms = Rows(ReleasedStyleNorm), 1
        proto, expected = _rows(exporter == "dynamo", dynamic, tmp_path)
    else:
        network, norms = recipe.factory(), recipe.norms
        proto, expected = (
            ir.to_proto(exported(recipe.factory, norm, dynamic, exporter))
            for norm in ("released", "none")
        )

    model = ir.from_proto(proto)
    shapes = Shapes(model)
    assert shapes.contradictions == {}
    for batch in (2, 3) if dynamic else (2,):
        feeds = {name: x.numpy() for name, x in network.example_inputs(batch).items()}
        _assert_true(shapes, proto, feeds)

    cancelled = cancel_layouts(model, shapes, _take_out_norms(model, shapes))

    assert len(cancelled) == norms
    stripped = ir.to_proto(model)
    onnx.checker.check_model(stripped, full_check=True)
    assert Counter(node.op_type for node in stripped.graph.node) == Counter(
        node.op_type for node in expected.graph.node
    )
    assert [value.name for value in stripped.graph.output] == list(network.output_names)
    for got, want in zip(
        ReferenceEvaluator(stripped).run(None, feeds),
        ReferenceEvaluator(expected).run(None, feeds),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)
