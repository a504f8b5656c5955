"""The layers of the variants of a comparison: real runs, and their order by a double."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.graphs import build
from tests.support.reports import timed
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import save_model
from un_deploy.measure.speed.layers import profile_variants as module
from un_deploy.measure.speed.layers.profile_variants import RUNS, WARM_UP, profile_variants
from un_deploy.measure.speed.variant import Kind, Variant
from un_deploy.runtime.layer_times import TimedLayer
from un_deploy.runtime.settings import RunSettings

KINDS: dict[Kind, str] = {"ln": "ln", "unfolded": "un", "folded": "folded", "none": "none"}
MS: dict[str, float] = {"ln": 3, "ln, fast": 2, "unfolded": 4, "folded": 1.5, "none": 1}


@pytest.fixture
def variants(tmp_path: Path) -> list[Variant]:
    pytest.importorskip("torch")
    from models.vit import vit_micro
    from tests.support.networks.exports import exported

    made = []
    for kind, form in KINDS.items():
        path = tmp_path / f"{kind}.onnx"
        save_model(exported(vit_micro, form, dynamic=False), path)
        made.append(Variant(kind, str(path), "a test", False, 1))
    made.insert(1, Variant("ln", made[0].model, "a test", False, 1, "fast", "no-skip-norm"))
    return made


@pytest.fixture
def small(tmp_path: Path) -> list[Variant]:
    """For sessions that compute nothing."""
    path = tmp_path / "small.onnx"
    save_model(build("float[2] x => float[2] y", "y = Tanh(x)"), path)
    ln = Variant("ln", str(path), "a test", False, 1)
    kinds: tuple[Kind, ...] = ("unfolded", "folded", "none")
    return [ln, replace(ln, form="fast"), *(replace(ln, kind=kind) for kind in kinds)]


@pytest.fixture
def feeds() -> dict[str, np.ndarray]:
    from models.vit import vit_micro

    return {name: array.numpy() for name, array in vit_micro().example_inputs(2).items()}


def times(variants: list[Variant]) -> list[Any]:
    """What a comparison said of them; the folded one's second entry was the fastest of all."""
    found = [
        replace(timed(v.kind, np.full((1, 2), 1e-3 * MS[v.name])), form=v.form) for v in variants
    ]
    return [*found, timed("folded", np.full((1, 2), 1e-6), control=True)]


@pytest.mark.torch
@pytest.mark.parametrize("backend", ["ort-cpu", "torch"])
def test_layers_of_a_network(
    variants: list[Variant], feeds: dict[str, np.ndarray], backend: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if backend == "ort-cpu":
        pytest.importorskip("onnxruntime")
    monkeypatch.setattr(module, "RUNS", 3)
    found = profile_variants(variants, times(variants), feeds, RunSettings(backend, threads=1))
    assert [(one.kind, one.form, one.run_s) for one in found] == [
        ("ln", "fast", 2e-3),
        ("unfolded", "", 4e-3),
        ("folded", "", 1.5e-3),
        ("none", "", 1e-3),
    ]
    ln, unfolded, folded, none = found
    assert {one.runs for one in found} == {6}
    assert ln.groups_s["normalization"] > 0 < unfolded.groups_s["normalization"]
    assert folded.groups_s["normalization"] == none.groups_s["normalization"] == 0
    assert [layer.what for layer in folded.layers] == [layer.what for layer in none.layers]
    for one in found:
        assert one.unassigned == ()
        assert all(one.groups_s[group] > 0 for group in ("products", "attention", "activation"))
    norms = [layer for layer in ln.layers if layer.group == "normalization"]
    assert all("LayerNormalization" in layer.operators for layer in norms)


class Double:
    """Layers of a session, told once for each call."""

    def __init__(self, name: str, asked: list[Any], names: list[str]) -> None:
        self._name, self._asked, self._names = name, asked, names

    def layer_times(self, feeds: Any, runs: int, warm_up: int) -> tuple[TimedLayer, ...]:
        self._asked.append((self._name, runs, warm_up))
        call = len(self._asked)
        return tuple(TimedLayer(n, "Gemm", (), (float(call),) * runs) for n in self._names[:call])


def doubled(
    monkeypatch: pytest.MonkeyPatch, small: list[Variant], session: type, names: list[str]
) -> list[Any]:
    asked: list[Any] = []
    made = iter(small)

    def load(path: Any, settings: Any, fusions: Any) -> Any:
        return session(next(made).name, asked, names)

    monkeypatch.setattr(module, "load_file", load)
    return asked


def test_there_and_back_so_that_drift_favours_nobody(
    monkeypatch: pytest.MonkeyPatch, small: list[Variant]
) -> None:
    fastest = [variant for variant in small if variant.name != "ln"]
    asked = doubled(monkeypatch, fastest, Double, ["a"])
    found = profile_variants(small, times(small), {}, RunSettings("ort-cpu"))
    there = ["ln, fast", "unfolded", "folded", "none"]
    assert asked == [(name, RUNS, WARM_UP) for name in (*there, *reversed(there))]
    # The n-th call tells n seconds: 1 and 8, 2 and 7, 3 and 6, 4 and 5.
    assert [one.layers[0].median_s for one in found] == [4.5] * 4


def test_other_layers_the_second_time_are_refused(
    monkeypatch: pytest.MonkeyPatch, small: list[Variant]
) -> None:
    doubled(monkeypatch, small[2:3], Double, ["a", "b"])
    with pytest.raises(InputError, match="other layers when it is profiled a second time"):
        profile_variants(small[2:3], times(small)[2:3], {}, RunSettings("ort-cpu"))


def test_a_session_that_tells_no_layers_is_refused(
    monkeypatch: pytest.MonkeyPatch, small: list[Variant]
) -> None:
    doubled(monkeypatch, small[2:3], lambda *given: object(), [])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="ort-cuda cannot tell the times of its layers"):
        profile_variants(small[2:3], times(small)[2:3], {}, RunSettings("ort-cuda"))


@pytest.mark.torch
def test_threads_of_torch_are_as_before(
    monkeypatch: pytest.MonkeyPatch, small: list[Variant]
) -> None:
    import torch

    before, seen = torch.get_num_threads(), []

    class Seeing(Double):
        def layer_times(self, *given: Any, **named: Any) -> tuple[TimedLayer, ...]:
            seen.append(torch.get_num_threads())
            return super().layer_times(*given, **named)

    doubled(monkeypatch, small[2:3], Seeing, ["a"])
    profile_variants(small[2:3], times(small)[2:3], {}, RunSettings("torch", threads=before + 1))
    assert seen == [before + 1] * 2
    assert torch.get_num_threads() == before
