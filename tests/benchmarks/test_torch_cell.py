"""Reloads share nothing, captures keep their weights, and a norm's other spellings are the norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.gpu import prepare as prepare_module
from benchmarks.gpu import torch_cell
from benchmarks.gpu.cells import ALL, Cell
from benchmarks.gpu.gates import calls
from benchmarks.gpu.prepare import as_addcmul, inputs_file, modules_file
from benchmarks.gpu.torch_cell import TorchCell

pytestmark = pytest.mark.torch

CELL = Cell("vit_micro", 3, "float32", "eager")
NORMS = 9  # of vit_micro


def loaded(folder: Path) -> TorchCell:
    with np.load(inputs_file(folder, "vit_micro")) as archive:
        return TorchCell(CELL, folder, "cpu", {name: rows[:3] for name, rows in archive.items()})


class Captured:
    """What CudaGraph is to a cell."""

    def __init__(self, call: Callable[..., Any], inputs: Sequence[Tensor]) -> None:
        self.replay = lambda: None
        self.pool_bytes = lambda: 1 << 21


@pytest.mark.parametrize("captured", [True, False])
def test_every_timer_has_weights_of_its_own(
    captured: bool, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, renewed, held = loaded(prepared), torch_cell._renewed, []
    monkeypatch.setattr(torch_cell, "CudaGraph", Captured)
    monkeypatch.setattr(torch_cell, "_renewed", lambda *given: held.append(renewed(*given)))
    monkeypatch.setattr(cell, "_captured", captured)
    timers = [cell.timer("ln") for _ in range(3)]
    assert all(timer(2) > 0 for timer in timers)
    places = [{buffer.data_ptr() for buffer in module.buffers()} for module in held]
    assert len(places) == 3 and len(set().union(*places)) == sum(map(len, places))


@pytest.mark.parametrize("captured", [True, False])
def test_what_a_gpu_tells_beside_times(
    captured: bool, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = loaded(prepared)
    assert cell.facts() == {"compiled_s": {}} and cell.kernels() == {}
    monkeypatch.setattr(torch_cell, "CudaGraph", Captured)
    monkeypatch.setattr(torch_cell, "peak_bytes", lambda run, device: run()[0].numel())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(cell, "_on_cuda", True)
    monkeypatch.setattr(cell, "_captured", captured)
    facts = cell.facts()
    assert facts["peak_bytes"] == dict.fromkeys(ALL, 3 * 10)
    assert facts.get("pool_bytes") == (dict.fromkeys(ALL, 1 << 21) if captured else None)
    assert captured or min(facts["queued_s"].values()) > 0


def test_renewing_keeps_values_layouts_and_what_is_shared() -> None:
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    graph = torch.fx.Graph()
    a, b, turned = map(graph.get_attr, ("a", "b", "turned"))
    both = graph.call_function(torch.add, (a, b))
    graph.output(graph.call_function(torch.matmul, (both, turned)))
    module = torch.fx.GraphModule({"a": weight, "b": weight, "turned": weight.t()}, graph)
    before = dict(module.named_buffers(remove_duplicate=False))
    torch_cell._renewed(module, "cpu")
    after = dict(module.named_buffers(remove_duplicate=False))
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor) and after[name].stride() == tensor.stride()
        assert after[name].data_ptr() != tensor.data_ptr()
    assert after["a"] is after["b"] and after["turned"].stride() == (1, 4)


def test_a_norm_in_other_spellings(prepared: Path) -> None:
    """Their answers are the gates' affair; here they are what they are called."""

    def counted(variant: str) -> Any:
        path = modules_file(prepared, CELL, variant)
        return calls(torch.load(path, weights_only=False)[3])

    ln, parts, un, fused = map(counted, ("ln", "ln_separate", "un", "un_addcmul"))
    assert ln["layer_norm"] == fused["addcmul"] == NORMS and parts["layer_norm"] == 0
    assert sum(parts.values()) == sum(ln.values()) + 8 * NORMS  # nine kernels in place of one
    assert sum(fused.values()) == sum(un.values()) - NORMS


class Affine(torch.nn.Module):
    """Scales and shifts that must stay: used twice, by a number, by a matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("vector", torch.arange(1.0, 5.0))
        self.register_buffer("matrix", torch.ones(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        shared = x * self.vector
        by_number = (x * 2.0) + self.vector
        by_matrix = (x * self.matrix) + self.vector
        return shared + self.vector + torch.relu(shared) + by_number + by_matrix


def test_other_scales_and_shifts_stay() -> None:
    assert as_addcmul(torch.fx.symbolic_trace(Affine()))[1] == 0


def test_another_norm_is_prepared_without_what_folds_of_it(tmp_path: Path) -> None:
    cells = (Cell("vit_micro", 1, "float32", "eager", ("ln", "derf", "none")),)
    kinds = [kind for _, kind, _ in prepare_module.exports(cells)]
    assert kinds == ["ln", "derf", "none"]
    told = prepare_module.prepare("vit_micro", "derf", cells, tmp_path)
    assert told["stayed"] == []
    (module,) = torch.load(
        prepare_module.modules_file(tmp_path, cells[0], "derf"), weights_only=False
    ).values()
    assert calls(module)["erf"] == 9
    assert prepare_module.reference_file(tmp_path, "vit_micro", "derf").is_file()
