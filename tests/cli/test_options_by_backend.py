"""Every option of every command against what it runs on: it acts, or it is refused by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.conftest import Run
from tests.cli.test_options_alike import SHOWN
from tests.runtime.tensorrt.test_plan_runtime import called, make  # noqa: F401
from tests.support.doubles import tensorrt_double
from tests.support.doubles.reference_runtime import ReferenceRuntime
from tests.support.option_table import A_PLAN, ACTS, ON, PAGE, cells, options_of, page
from tests.support.plans import write_plan
from un_deploy.engines.building import from_graph
from un_deploy.engines.building.builder import Built
from un_deploy.engines.building.config import configure
from un_deploy.engines.building.options import BuildOptions
from un_deploy.engines.flavor import Flavor
from un_deploy.engines.kernels.layer_info import parse_layer_info
from un_deploy.engines.plan.manifest import read_manifest
from un_deploy.runtime.backends import BACKENDS, runtime_of
from un_deploy.runtime.settings import RunSettings
from un_deploy.runtime.tensorrt.plan_runtime import PlanRuntime

pytest.importorskip("onnxruntime")

LN_UN = ("--unfolded", "model.onnx", "--ln", "model.onnx")

VALUES: dict[str, tuple[str, Any]] = {
    "threads": ("--threads 3", 3),
    "device": ("--device cuda:1", "cuda:1"),
    "precision": ("--precision bf16", "bf16"),
    "tf32": ("--no-tf32", False),
}
"""Of each setting the words on the command line, and what it is for a runtime."""


class Reached(Exception):  # noqa: N818
    """The command got as far as the runtime, with these settings."""

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings


@pytest.fixture
def reaching(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for a runtime ends there, so that no backend need be installed."""

    def reach(settings: RunSettings, *_: object) -> None:
        raise Reached(settings)

    for name in ("un_deploy.pipeline.compare.compare", "un_deploy.pipeline.profile"):
        module = import_module(name)
        for asked in ("runtime_of", "runtime_title"):
            if hasattr(module, asked):
                monkeypatch.setattr(module, asked, reach)


def came(run: Run, command: tuple[str, ...], backend: str, option: str) -> object:
    """The value that a runtime is asked for, or the beginning of the line that refuses it."""
    line = (*command, "--backend", backend, *VALUES[option][0].split())
    if option == "tf32" and "device" in BACKENDS[backend].takes:
        line += ("--device", "cuda")
    try:
        return refusal(run(*line)).partition(", ")[0]
    except Reached as reached:
        return getattr(reached.settings, option)


def right(backend: str, option: str) -> object:
    """What `came` has to give."""
    words, value = VALUES[option]
    takes = option in BACKENDS[backend].takes
    return value if takes else f"error: {backend} takes no {words.split()[0]}"


def of(*commands: str) -> pytest.MarkDecorator:
    """Every cell of the table of these commands."""
    found = [(command, *cell) for command in commands for cell in cells(command)]
    return pytest.mark.parametrize(("command", "option", "backend"), found)


@pytest.mark.parametrize("command", ON)
def test_every_option_is_in_the_table_or_is_shown_to_act(command: str) -> None:
    depending = {option.split()[0] for option in ACTS[command]}
    shown = {*SHOWN[command]}
    if command == "trtexec-compare":  # which has what compare has, if it is the very same
        ours, theirs = options_of(command), options_of("compare")
        shown |= {name for name in ours if ours[name] is theirs.get(name)} - depending
    assert not depending & shown
    assert depending | shown == {*options_of(command)}


@pytest.mark.parametrize("command", ON)
def test_every_option_acts_somewhere(command: str) -> None:
    assert all(ACTS[command].values())
    assert all(set(on) <= set(ON[command]) for on in ACTS[command].values())


@of("compare", "trtexec-compare")
def test_compare(run: Run, reaching: None, command: str, option: str, backend: str) -> None:
    line = (command, *LN_UN)
    if (name := option.removeprefix("--")) in VALUES:
        assert came(run, line, backend, name) == right(backend, name)
        return
    words, refused = {
        "--profile": ((), f"error: {backend} cannot tell the times of its layers (--profile)"),
        "--keep-logs": (("kept",), "error: --keep-logs: trtexec alone has logs"),
    }[option]
    line += ("--backend", backend, option, *words)
    if backend in ACTS[command][option]:
        with pytest.raises(Reached):
            run(*line)
    else:
        assert refused in refusal(run(*line))


@of("profile")
def test_profile(
    run: Run, request: pytest.FixtureRequest, command: str, option: str, backend: str
) -> None:
    if backend == A_PLAN:
        result = of_a_plan(run, request.getfixturevalue("make")(), option)
        if A_PLAN in ACTS[command][option]:
            assert result.exit_code == 0, result.stderr
            layers = parse_layer_info(Path("l.json").read_text()).layers
            assert [layer.name for layer in layers] == ["gemm_1", "fused", "fused"]
        else:
            assert option in refusal(result)
        return
    request.getfixturevalue("reaching")
    line = (command, "model.onnx")
    if option == "--backend":
        with pytest.raises(Reached) as reached:
            run(*line, option, backend)
        assert reached.value.settings.backend == backend
    elif option == "--exportLayerInfo":
        assert option in refusal(run(*line, "--backend", backend, option, "l.json"))
    else:
        name = option.removeprefix("--")
        assert came(run, line, backend, name) == right(backend, name)


def of_a_plan(run: Run, plan: Path, option: str) -> Result:
    """What profile says of it, on the double of TensorRT, with memory on the CPU."""
    words = {"--exportLayerInfo": "--exportLayerInfo l.json", "--backend": "--backend torch"}
    line = words.get(option) or VALUES[option.removeprefix("--")][0]
    with pytest.MonkeyPatch.context() as patch:
        module = import_module("un_deploy.pipeline.profile")
        patch.setattr(module, "PlanRuntime", lambda: PlanRuntime(device="cpu"))
        return run("profile", str(plan), *line.split(), "--dim", "n=2")


@pytest.mark.parametrize(
    "backend",
    [one.name for one in BACKENDS.values() if not one.builds_engines and not one.tells_layers],
)
def test_profile_refuses_what_tells_no_layers(
    run: Run, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module("un_deploy.pipeline.profile")
    monkeypatch.setattr(module, "runtime_of", lambda *_, **__: ReferenceRuntime())
    result = run("profile", "model.onnx", "--backend", backend)
    assert f"{backend} cannot tell the times" in refusal(result)


BUILT: dict[str, tuple[str, Callable[[tensorrt_double.IBuilderConfig], object]]] = {
    "--memPoolSize": ("workspace:1G", lambda _: called("set_memory_pool_limit")[0][1] == 1 << 30),
    "--builderOptimizationLevel": ("5", lambda config: config.builder_optimization_level == 5),
    "--timingCacheFile": ("cache", lambda _: called("create_timing_cache") == [(b"timings",)]),
    "--versionCompatible": ("", lambda _: ("VERSION_COMPATIBLE",) in called("set_flag")),
    "--hardwareCompatibilityLevel": (
        "ampere+",
        lambda config: config.hardware_compatibility_level.name == "AMPERE_PLUS",
    ),
    "--stripWeights": ("", lambda _: ("STRIP_PLAN",) in called("set_flag")),
    "--refit": ("", lambda _: ("REFIT",) in called("set_flag")),
    "--computeCapability": ("120", lambda _: False),
}
"""A word for each option of the builder, and what it does to a configuration of TensorRT's."""


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tensorrt_double.IBuilderConfig:
    """What a build in standard TensorRT is configured with; there it ends."""
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt_double)
    tensorrt_double.calls.clear()
    (folder / "cache").write_bytes(b"timings")
    made = tensorrt_double.IBuilderConfig()

    def build(model: object, *, options: BuildOptions, flavor: Flavor, **_: object) -> Built:
        configure(made, options, flavor)
        return Built(b"", (), {}, (), 0.0)

    monkeypatch.setattr(from_graph, "build_engine", build)
    return made


@of("build")
def test_build(
    run: Run, request: pytest.FixtureRequest, command: str, option: str, backend: str
) -> None:
    standard = backend == "tensorrt"
    if standard:
        config = request.getfixturevalue("configured")
    else:
        pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    word, effect = BUILT[option]
    line = (command, "model.onnx", "-o", "m.plan", "--shapes", "x:8x3x6", "--flavor", backend)
    result = run(*line, option, *filter(None, [word]))
    if backend not in ACTS[command][option]:
        assert option in refusal(result)
        assert not Path("m.plan").exists()
        return
    assert result.exit_code == 0, result.stderr
    options = read_manifest(Path("m.plan")).options
    assert [one.partition("=")[0] for one in options] == [option]
    if standard:
        assert effect(config)


def test_the_options_of_tensorrt_rtx_change_what_is_built(run: Run) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: the rtx extra")
    line = ("build", "model.onnx", "--flavor", "tensorrt-rtx", "--shapes", "x:8x3x6")
    result = run(*line, "-o", "none.plan", "--memPoolSize", "workspace:1B")
    assert "--memPoolSize" in refusal(result)
    for target in ("80", "120"):
        assert run(*line, "-o", f"{target}.plan", "--computeCapability", target).exit_code == 0
    assert Path("80.plan").read_bytes() != Path("120.plan").read_bytes()


SERVED = {
    "--accelerator": ("tensorrt", 'gpu_execution_accelerator {\n      name: "tensorrt"'),
    "--dim": ("batch=5", "dims: 5"),
    "--shapes": ("x:5x3x6", "dims: 5"),
    "--kind cpu": ("", "kind: KIND_CPU"),
}
"""A word for each, and what it writes into the configuration."""


@of("triton")
def test_triton(run: Run, folder: Path, command: str, option: str, backend: str) -> None:
    pytest.importorskip("tritonclient", reason="needs un-deploy[triton]")
    served = {"onnxruntime": "model.onnx", "tensorrt": "net.plan"}[backend]
    write_plan(folder / "net.plan")
    word, written = SERVED[option]
    size = ("--max-batch-size", "0") if backend == "onnxruntime" else ()
    words = (*option.split(), *filter(None, [word]))
    result = run(command, served, "--repository", "served", *size, *words, "--json")
    if backend in ACTS[command][option]:
        config = json.loads(result.stdout)["config"]
        assert written in config
    else:
        assert option in refusal(result)


def refusal(result: Result) -> str:
    """The line with which a command says why it does nothing; empty where it does not say one."""
    said = result.stderr
    is_refused = result.exit_code == 1 and said.startswith("error: ") and said.count("\n") == 1
    return said if is_refused else ""


@pytest.mark.parametrize("setting", VALUES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_backend_takes_makes_another_runtime(backend: str, setting: str) -> None:
    """Threads of torch are the process's: see tests/runtime/test_backends.py."""
    changed = runtime_of(RunSettings(backend, **{setting: VALUES[setting][1]}))
    acts = changed != runtime_of(RunSettings(backend))
    acts |= setting == "threads" and BACKENDS[backend].threads is not None
    assert acts == (setting in BACKENDS[backend].takes)


def test_every_setting_acts_somewhere() -> None:
    assert {name for one in BACKENDS.values() for name in one.takes} == {*VALUES}


def test_the_docs_have_the_table() -> None:
    """If not: python -m tests.support.option_table."""
    assert PAGE.read_text(encoding="utf-8") == page()
