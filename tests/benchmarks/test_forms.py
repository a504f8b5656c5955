"""Other spellings of a norm compute what the norm computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from benchmarks.gpu.forms import as_addcmul, separate_layer_norm
from benchmarks.gpu.gates import calls
from benchmarks.gpu.prepare import prepared_file

pytestmark = pytest.mark.torch

NORMS = 9  # of vit_micro


def module(folder: Path, variant: str) -> torch.fx.GraphModule:
    path = prepared_file(folder, "vit_micro", variant, "float32", True)
    return torch.load(path, weights_only=False)[3]


def close(a: torch.fx.GraphModule, b: torch.fx.GraphModule) -> bool:
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    ours, theirs = a(x)[0], b(x)[0]
    # 9 norms in a row, each with a handful of roundings of values of the outputs' size.
    limit = 100 * torch.finfo(torch.float32).eps * theirs.abs().max()
    return bool((ours - theirs).abs().max() <= limit)


def test_layer_norm_in_nine_kernels(prepared: Path) -> None:
    ln = module(prepared, "ln")
    parts, replaced = separate_layer_norm(ln)
    assert replaced == NORMS == calls(ln)["layer_norm"]
    assert calls(parts)["layer_norm"] == 0
    assert sum(calls(parts).values()) == sum(calls(ln).values()) + 8 * NORMS
    assert close(parts, ln)
    assert calls(ln)["layer_norm"] == NORMS  # it is not changed itself


def test_un_as_one_addcmul(prepared: Path) -> None:
    un = module(prepared, "un")
    fused, replaced = as_addcmul(un)
    assert replaced == NORMS == calls(fused)["addcmul"]
    assert sum(calls(fused).values()) == sum(calls(un).values()) - NORMS
    assert close(fused, un)


def test_nothing_is_found_where_there_is_no_norm(prepared: Path) -> None:
    none = module(prepared, "none")
    assert separate_layer_norm(none)[1] == as_addcmul(none)[1] == 0


class Affine(torch.nn.Module):
    """Scales and shifts that must stay: used twice, by a number, by a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("vector", torch.arange(1.0, 5.0))
        self.register_buffer("matrix", torch.ones(3, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shared = x * self.vector
        by_number = (x * 2.0) + self.vector
        by_matrix = (x * self.matrix) + self.vector
        return shared + self.vector + F.relu(shared) + by_number + by_matrix


def test_other_scales_and_shifts_stay() -> None:
    assert as_addcmul(torch.fx.symbolic_trace(Affine()))[1] == 0
