"""Builds in real TensorRT-RTX: what is told of an engine, and what is said when there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from models.bert import bert_micro
from tests.support.graphs import build as graph
from tests.support.networks.exports import exported
from un_deploy.engines.building import builder as module
from un_deploy.engines.building.builder import Built, build_engine
from un_deploy.engines.profiles import Range
from un_deploy.errors import InputError


def test_what_an_engine_tells(built: Callable[..., Built]) -> None:
    engine = built()
    assert engine.memory["weights"] >= 4 * (64 * 64 + 64 * 32)  # both float32 matrices
    assert engine.memory["activation"] > 0
    assert [t.dims for t in engine.kernels[-1].outputs] == [(8, 32)]
    nodes = {node for kernel in engine.kernels for node in kernel.onnx_nodes}
    assert {"MatMul_0", "MatMul_3"} <= nodes


def test_an_engine_of_which_nothing_is_told_is_built_and_says_so(
    linear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No message, and no GPU to load the engine on."""
    real = module.engine_kernels
    monkeypatch.setattr(module, "engine_kernels", lambda said, *a, **given: real("", *a, **given))
    engine = build_engine(linear, origin="linear.onnx", flavor="tensorrt-rtx")
    if not engine.kernels:  # with a GPU of the right kind they come from the inspector
        assert engine.warnings[-1].startswith("the engine's kernels are not known: TensorRT-RTX ")


def test_progress_is_told_to_the_end(linear: Path) -> None:
    told: list[tuple[str, int, int]] = []
    build_engine(
        linear, origin="x", flavor="tensorrt-rtx", progress=lambda *step: told.append(step)
    )
    steps = {phase: done for phase, done, _ in told}
    assert steps["Building engine"] > 0
    assert all(0 <= done <= total for _, done, total in told)


def test_interrupting_ends_the_build(linear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that builds is told to stop, and is waited for."""
    seen: list[threading.Event] = []
    monitor = module.monitor

    def watched(flavor, progress, cancelled):
        seen.append(cancelled)
        return monitor(flavor, progress, cancelled)

    monkeypatch.setattr(module, "monitor", watched)
    monkeypatch.setattr(module.Future, "result", _interrupted)
    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        build_engine(linear, origin="x", flavor="tensorrt-rtx")
    [cancelled] = seen
    assert cancelled.is_set()
    assert threading.active_count() == threads


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_operators_that_are_not_there_are_named(tmp_path: Path) -> None:
    model = graph("float[2,3,3] x => float[2] y", "y = Det(x)")
    ir.save(model, tmp_path / "det.onnx")
    reason = r"TensorRT-RTX [\d.]+ cannot take det.onnx: Det 'Det_0': it has no such operator"
    with pytest.raises(InputError, match=reason):
        build_engine(tmp_path / "det.onnx", origin="det.onnx", flavor="tensorrt-rtx")


def test_a_profile_that_the_library_refuses(tmp_path: Path) -> None:
    model = graph("float[batch,4] x => float[batch,2] y", "y = MatMul(x, w)", w=(4, 2))
    ir.save(model, tmp_path / "m.onnx")
    falling = {"x": Range((4, 4), (2, 4), (8, 4))}
    with pytest.raises(InputError, match="refuses profile 0"):
        build_engine(
            tmp_path / "m.onnx", origin="m.onnx", flavor="tensorrt-rtx", profiles=[falling]
        )


def test_a_build_after_a_failed_one_gives_the_same_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the throw-away build behind a failure it does not: see `_settle`."""
    path = tmp_path / "m.onnx"
    ir.save(exported(bert_micro, "none", dynamic=False), path)

    def plan_after_a_failure() -> bytes:
        with pytest.raises(InputError, match="FP32 GEMM is not supported"):
            _built(path, "75")
        return _built(path, "80").plan

    before = _built(path, "80").plan
    assert plan_after_a_failure() == before
    monkeypatch.setattr(module, "_settle", lambda *_: None)
    assert plan_after_a_failure() != before
    assert _built(path, "80").plan == before


def _built(path: Path, capability: str) -> Built:
    from un_deploy.engines.building.options import BuildOptions

    options = BuildOptions(compute_capabilities=(capability,))
    return build_engine(path, origin="m.onnx", flavor="tensorrt-rtx", options=options)


def test_a_weight_of_the_plan_is_the_weight_of_the_graph(tmp_path: Path) -> None:
    plans = []
    for factor in (1, 2):
        weight = np.full((4, 2), factor, dtype=np.float32)
        model = graph("float[3,4] x => float[3,2] y", "y = MatMul(x, w)", w=weight)
        ir.save(model, tmp_path / "m.onnx")
        plans.append(build_engine(tmp_path / "m.onnx", origin="m", flavor="tensorrt-rtx").plan)
    assert plans[0] != plans[1]
