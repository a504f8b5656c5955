"""The names that users give runtimes, and what "auto" finds."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.graphs import build
from un_deploy.errors import InputError, MissingPackageError
from un_deploy.runtime import backends
from un_deploy.runtime.backends import (
    BACKENDS,
    ENGINES,
    LAYER_BY_LAYER,
    Backend,
    choose_backend,
    require_layers,
    runtime_of,
)
from un_deploy.runtime.layer_times import TellsLayers
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime, EngineSession
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.trtexec.runtime import TrtexecRuntime, TrtexecSession


def test_every_backend_has_its_runtime() -> None:
    assert {name: runtime_of(name, threads=2, device="cuda:1") for name in BACKENDS} == {
        "ort-cpu": OnnxRuntime(threads=2),
        "ort-cuda": OnnxRuntime(device="cuda"),
        "torch": TorchRuntime(device="cuda:1"),
        "torch-cuda-graph": TorchRuntime(device="cuda:1", mode="cuda-graph"),
        "torch-compile": TorchRuntime(device="cuda:1", mode="compile"),
        "trtexec": TrtexecRuntime(precision="fp32"),
        "tensorrt": EngineRuntime("tensorrt", "fp32"),
        "tensorrt-rtx": EngineRuntime("tensorrt-rtx", "fp32"),
    }


def test_fusions_are_those_of_onnx_runtime() -> None:
    assert runtime_of("ort-cpu", fusions="no-norm") == OnnxRuntime(fusions="no-norm")
    assert runtime_of("torch", fusions="no-norm") == TorchRuntime()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="no backend 'trt'; there are ort-cpu, ort-cuda, torch"):
        runtime_of("trt")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("there", "found"), [({"onnxruntime", "torch"}, "ort-cpu"), ({"torch"}, "torch")]
)
def test_auto_takes_what_is_installed(
    monkeypatch: pytest.MonkeyPatch, there: set[str], found: str
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: name if name in there else None)
    assert choose_backend("auto") == found
    assert choose_backend("torch-compile") == "torch-compile"


def test_auto_without_a_runtime_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r'pip install "un-deploy\[cpu\]"'):
        choose_backend("auto")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_is_refused_before_use_where_its_session_would_refuse(backend: Backend) -> None:
    """As the sessions say that can be had anywhere; of engines, whether they have the method."""
    tells = backend in LAYER_BY_LAYER
    if backend in ENGINES:
        sessions = {"trtexec": TrtexecSession}.get(backend, EngineSession)
        assert tells == hasattr(sessions, "layer_times")
    elif backend in ("ort-cpu", "torch", "torch-compile"):
        pytest.importorskip("torch" if backend.startswith("torch") else "onnxruntime")
        model = build("float[2] x => float[2] y", "y = Tanh(x)")
        session = runtime_of(backend).load(model)
        assert isinstance(session, TellsLayers)
        try:
            session.layer_times({"x": np.zeros(2, np.float32)}, 1, 0)
        except InputError:
            assert not tells
        else:
            assert tells
    if tells:
        require_layers(backend)
    else:
        with pytest.raises(InputError, match=f"{backend} cannot tell .*; ort-cpu, torch, trtexec"):
            require_layers(backend)
