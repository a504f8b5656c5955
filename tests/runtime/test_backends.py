"""The table of backends: what each makes, what "auto" finds, and nobody keeps a second list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import build
from tests.test_imports import HEAVY, loaded_by
from un_deploy.errors import InputError, MissingPackageError
from un_deploy.pipeline.doctor import EXTRAS
from un_deploy.runtime import backends
from un_deploy.runtime.backends import (
    BACKENDS,
    choose_backend,
    require_layers,
    runtime_of,
    threads_of_process,
)
from un_deploy.runtime.check_settings import threads_in_effect
from un_deploy.runtime.layer_times import TellsLayers
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime
from un_deploy.runtime.protocol import DescribesItself, KeepsFiles, TakesPlans
from un_deploy.runtime.run_memory import TellsMemory
from un_deploy.runtime.settings import RunSettings, engine_precision
from un_deploy.runtime.tensorrt.engine_runtime import EngineRuntime, EngineSession
from un_deploy.runtime.torch_graph import TorchRuntime
from un_deploy.runtime.trtexec.runtime import TrtexecRuntime, TrtexecSession

ROOT = Path(__file__).parents[2]


def test_a_backend_makes_its_runtime_of_the_settings() -> None:
    settings = {name: RunSettings(name, threads=2, device="cuda:1") for name in BACKENDS}
    made = {name: runtime_of(settings[name]) for name in BACKENDS}
    assert all(one.name for one in made.values())
    assert (
        made.items()
        >= {
            "ort-cpu": OnnxRuntime(threads=2),
            "ort-cuda": OnnxRuntime(device="cuda"),
            "torch": TorchRuntime(device="cuda:1"),
            "torch-cuda-graph": TorchRuntime(device="cuda:1", mode="cuda-graph"),
            "torch-compile": TorchRuntime(device="cuda:1", mode="compile"),
            "trtexec": TrtexecRuntime(precision="fp32"),
            "tensorrt": EngineRuntime("tensorrt", "fp32"),
            "tensorrt-rtx": EngineRuntime("tensorrt-rtx", "fp32"),
        }.items()
    )


def test_fusions_are_those_of_onnx_runtime() -> None:
    assert runtime_of(RunSettings("ort-cpu"), "no-norm") == OnnxRuntime(fusions="no-norm")
    assert runtime_of(RunSettings("torch"), "no-norm") == TorchRuntime()


def test_engines_have_a_precision() -> None:
    assert runtime_of(RunSettings("trtexec", precision="bf16")) == TrtexecRuntime("bf16")
    assert runtime_of(RunSettings("tensorrt", precision=None)) == EngineRuntime("tensorrt", None)
    assert [engine_precision(asked) for asked in (None, "fp16")] == ["fp32", "fp16"]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="no backend 'trt'; there are ort-cpu, ort-cuda, torch"):
        runtime_of(RunSettings("trt"))


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
    message = (
        r'^a comparison needs a runtime: pip install "un-deploy\[cpu\]" or "un-deploy\[torch\]"$'
    )
    with pytest.raises(MissingPackageError, match=message):
        choose_backend("auto")


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_entry_says_what_its_runtime_and_sessions_can(backend: str) -> None:
    """Layers as the sessions say that can be had anywhere; of engines, whether they can at all."""
    entry, runtime = BACKENDS[backend], runtime_of(RunSettings(backend))
    assert bool(entry.takes_plans) == isinstance(runtime, TakesPlans)
    assert entry.builds_engines == isinstance(runtime, DescribesItself)
    assert entry.extra in {*EXTRAS, ""}
    assert choose_backend(entry.inner_tensors or backend) in BACKENDS
    if entry.builds_engines:
        session = {"trtexec": TrtexecSession}.get(backend, EngineSession)
        assert issubclass(session, TellsLayers) == entry.tells_layers
        assert issubclass(session, TellsMemory) == bool(entry.tells_memory)
        assert issubclass(session, KeepsFiles) == entry.keeps_logs
    else:
        try:
            session = runtime.load(build("float[2] x => float[2] y", "y = Tanh(x)"))
        except (InputError, MissingPackageError) as error:
            pytest.skip(f"it does not run here: {error}")
        assert isinstance(session, TellsMemory) == bool(entry.tells_memory)
        assert isinstance(session, KeepsFiles) == entry.keeps_logs
        assert isinstance(session, TellsLayers) or not entry.tells_layers
        if isinstance(session, TellsLayers):
            try:
                session.layer_times({"x": np.zeros(2, np.float32)}, 1, 0)
            except InputError:
                assert not entry.tells_layers
            else:
                assert entry.tells_layers
    if entry.tells_layers:
        require_layers(backend)
    else:
        with pytest.raises(InputError, match=f"{backend} cannot tell .*; ort-cpu, torch, trtexec"):
            require_layers(backend)


@pytest.mark.torch
def test_threads_of_a_process_are_as_before() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    with threads_of_process(RunSettings("torch-compile", threads=before + 1)):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    for untouched in (RunSettings("torch"), RunSettings("ort-cpu", threads=before + 1)):
        with threads_of_process(untouched):
            assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("backend", "asked", "device", "in_effect"),
    [
        ("ort-cpu", None, None, 3),
        ("ort-cpu", 2, None, 2),
        ("torch", None, "cpu", 3),
        ("torch", None, "cuda:0", None),
        ("ort-cuda", None, None, None),
    ],
)
def test_threads_that_the_environment_sets_are_told(
    backend: str,
    asked: int | None,
    device: str | None,
    in_effect: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_in_effect(backend, asked, device) == in_effect
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("un_deploy.cpus.cpu_quota", lambda root=None: None)
    assert threads_in_effect(backend, asked, device) == asked


def test_the_table_loads_nothing() -> None:
    loaded = loaded_by("from un_deploy.runtime.backends import BACKENDS\nassert BACKENDS")
    assert loaded.isdisjoint({*HEAVY, "numpy", "onnx", "onnx_ir", "tensorrt", "tensorrt_rtx"})


def test_the_docs_have_the_table() -> None:
    text = (ROOT / "docs" / "how-we-compare.md").read_text(encoding="utf-8")
    for one in BACKENDS.values():
        extra = f"`un-deploy[{one.extra}]`" if one.extra else "NVIDIA"
        layers = "yes" if one.tells_layers else "no"
        assert f"| {one.name} | {one.help} | {extra} | {layers} |" in text
        assert f"| {one.name} | {one.tells_memory} |" in text
        assert f"| {one.name} | {' | '.join(vars(one.timed).values())} |" in text


class TestNobodyKeepsASecondList:
    """What depends on the backend stands in its entry, and sessions are told by what they can."""

    HOMES = {  # noqa: RUF012
        node.name: path.parent
        for path in (ROOT / "un_deploy" / "runtime").glob("*/*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Session", "Runtime"))
    }

    @classmethod
    def second_lists(cls, source: str, folder: Path) -> Iterator[str]:
        """Tests of a backend's name, or of another folder's classes."""
        foreign = {name for name, home in cls.HOMES.items() if home != folder}
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Compare):
                about = ast.unparse(node.left)
                others = {getattr(value, "value", None) for value in node.comparators}
                if about.endswith("backend") and others & {*BACKENDS}:
                    yield ast.unparse(node)
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called.endswith("backend.startswith"):
                yield ast.unparse(node)
            if called == "isinstance" and foreign & {*ast.unparse(node.args[1]).split(" | ")}:
                yield ast.unparse(node)

    def test_in_the_package(self) -> None:
        assert {"OnnxSession", "TorchSession", "PlanSession", "TrtexecSession"} <= {*self.HOMES}
        found = {
            path.relative_to(ROOT).as_posix(): said
            for path in (ROOT / "un_deploy").rglob("*.py")
            if (said := [*self.second_lists(path.read_text(encoding="utf-8"), path.parent)])
        }
        assert found == {}

    @pytest.mark.parametrize(
        "source",
        [
            'job.backend.startswith("ort")',
            'if backend == "trtexec": pass',
            "isinstance(session, TorchSession)",
            "isinstance(session, TrtexecSession | EngineSession)",
        ],
    )
    def test_one_would_be_found(self, source: str) -> None:
        assert len([*self.second_lists(source, ROOT / "un_deploy" / "measure")]) == 1
