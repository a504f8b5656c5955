"""A block of a diffusion transformer, as both exporters write it: no norm is left."""

from __future__ import annotations

import io

import onnx
import onnx_ir as ir
import pytest

from un_deploy.graph.fold.fold import fold_graph
from un_deploy.graph.proof.prove import prove

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


class _Norm(torch.nn.Module):
    """Unified Normalization at inference, as un_deploy.nn exports it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.rand(channels) + 0.5)
        self.shift = torch.nn.Parameter(torch.randn(channels))

    def forward(self, x):  # type: ignore[no-untyped-def]
        return x * self.scale + self.shift


class _Block(torch.nn.Module):
    """Six parts of one linear layer of the condition: shift, scale and gate, twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = torch.nn.ModuleList([_Norm(channels) for _ in range(2)])
        self.modulate = torch.nn.Linear(channels, 6 * channels)
        self.mix, self.feed, self.back = (torch.nn.Linear(channels, channels) for _ in range(3))

    def forward(self, x, c):  # type: ignore[no-untyped-def]
        made = self.modulate(torch.nn.functional.silu(c)).chunk(6, dim=1)
        t, s, g, t2, s2, g2 = (part.unsqueeze(1) for part in made)
        x = x + g * self.mix(self.norms[0](x) * (1 + s) + t)
        inner = torch.nn.functional.gelu(self.feed(self.norms[1](x) * (1 + s2) + t2))
        return x + g2 * self.back(inner)


@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "torchscript"])
def test_both_norms_are_gone_for_nothing(dynamo: bool, dynamic: bool) -> None:
    torch.manual_seed(0)
    given = (torch.randn(2, 5, 8), torch.randn(2, 8))
    block = _Block(8).eval()
    if dynamo:
        batch = torch.export.Dim("batch")
        shapes = {"x": {0: batch}, "c": {0: batch}} if dynamic else None
        program = torch.onnx.export(block, given, dynamo=True, dynamic_shapes=shapes, verbose=False)
        model = ir.from_proto(program.model_proto)
    else:
        file = io.BytesIO()
        axes = {"x": {0: "batch"}, "c": {0: "batch"}} if dynamic else None
        torch.onnx.export(
            block, given, file, dynamo=False, input_names=["x", "c"], dynamic_axes=axes
        )
        model = ir.from_proto(onnx.load_from_string(file.getvalue()))
    folded = fold_graph(model.clone())
    assert len(folded.report.folded) == 2 and not folded.report.stayed
    assert folded.report.gained_biases == ()
    assert folded.report.operators_before - folded.report.operators_after >= 4
    assert prove(model, folded).passed
