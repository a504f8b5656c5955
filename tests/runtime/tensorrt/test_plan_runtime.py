"""Plans as a runtime: on a recording double of TensorRT, and real ones where there is no GPU."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.doubles import tensorrt_double as double
from tests.support.graphs import build as graph
from un_deploy.engines.log import logger
from un_deploy.engines.plan.manifest import (
    Manifest,
    PlanTensor,
    manifest_path,
    read_manifest,
    sha256,
)
from un_deploy.engines.profiles import Range
from un_deploy.errors import InputError
from un_deploy.pipeline.build import build
from un_deploy.runtime.how_it_ran import HowItRan
from un_deploy.runtime.layer_times import TellsLayers
from un_deploy.runtime.run_memory import TellsMemory
from un_deploy.runtime.tensorrt.plan_runtime import PlanRuntime

pytestmark = pytest.mark.torch
pytest.importorskip("torch", reason="needs the torch extra")

ON_CPU = PlanRuntime(device="cpu")
LAYERS = [
    {"Name": "gemm_1", "LayerType": "gemm", "Metadata": "[ONNX Layer: MatMul_0]"},
    {"Name": "fused", "LayerType": "kgen", "Metadata": "[ONNX Layer: Add_1]\x1f[ONNX Layer: Relu]"},
    {"Name": "fused", "LayerType": "kgen", "Metadata": "[ONNX Layer: Add_2]"},
]
SMALL = {"x": [[1, 4], [2, 4], [3, 4]]}
LARGE = {"x": [[4, 4], [8, 4], [16, 4]]}


def spec(**changed: Any) -> dict[str, Any]:
    """An engine that takes x, (1 to 3, 4) or (4 to 16, 4), and gives y = 2 x."""
    return {
        "inputs": {"x": {"dtype": "FLOAT", "shape": [-1, 4]}},
        "outputs": {"y": {"dtype": "FLOAT", "shape": [-1, 4], "of": "x"}},
        "profiles": [SMALL, LARGE],
        "layers": LAYERS,
        "times": [0.5, 0.25, 0.125],
        **changed,
    }


Make = Callable[..., Path]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Make]:
    """``make(**changes)`` writes a plan of the double, which stands in for TensorRT meanwhile."""
    monkeypatch.setitem(sys.modules, "tensorrt", double)
    logger.cache_clear()
    double.calls.clear()

    def made(*, version: str = double.__version__, options: tuple[str, ...] = (), **changed: Any):
        path = tmp_path / "net.plan"
        path.write_bytes(double.plan(version, **spec(**changed)))
        manifest = Manifest(
            sha256=sha256(path.read_bytes()),
            bytes=path.stat().st_size,
            flavor="tensorrt",
            tensorrt=version,
            precision=None,
            inputs=(PlanTensor("x", "float", ("n", 4)),),
            outputs=(PlanTensor("y", "float", ("n", 4)),),
            profiles=(),
            options=options,
            compute_capabilities=(),
            memory={},
            source="net.onnx",
            source_sha256="",
            un_deploy="0",
        )
        manifest_path(path).write_text(manifest.to_json())
        return path

    yield made
    logger.cache_clear()


def called(name: str) -> list[tuple[Any, ...]]:
    return [arguments for title, arguments in double.calls if title == name]


def x(rows: int) -> dict[str, np.ndarray]:
    return {"x": np.arange(4 * rows, dtype=np.float32).reshape(rows, 4)}


def test_its_session_tells_layers(make: Make) -> None:
    session = ON_CPU.load_plan(make())
    assert isinstance(session, TellsLayers)
    assert [str(spec) for spec in session.inputs] == ["x: float32 (n, 4)"]


def test_what_tensorrt_warns_of_while_it_loads_a_plan_is_told(make: Make) -> None:
    warned = ["Using an engine plan file across\n different models of devices is not", "Lazy"]
    session = ON_CPU.load_plan(make(loading_warns_of=[*warned, "Lazy"]))
    assert session.how_it_ran().warnings == (
        "Using an engine plan file across different models of devices is not",
        "Lazy",
    )
    assert ON_CPU.load_plan(make()).how_it_ran() == HowItRan()


def test_running_writes_and_reads_the_buffers(make: Make) -> None:
    session = ON_CPU.load_plan(make())
    for rows in (2, 3):
        np.testing.assert_array_equal(session.run(x(rows))["y"], 2 * x(rows)["x"])
    assert called("set_input_shape") == [("x", (2, 4)), ("x", (3, 4))]
    assert len(called("create_execution_context")) == 1


def test_the_profile_is_the_first_that_holds_the_shapes(make: Make) -> None:
    session = ON_CPU.load_plan(make())
    for rows in (2, 5, 16, 3):
        np.testing.assert_array_equal(session.run(x(rows))["y"], 2 * x(rows)["x"])
    chosen = [index for index, _ in called("set_optimization_profile_async")]
    assert chosen == [1, 0]  # only where it changes
    assert session.activation_bytes(x(2)) == 1000
    assert session.activation_bytes(x(5)) == 2000
    assert isinstance(session, TellsMemory)
    assert session.run_memory(x(5)).bytes == 2000


def test_a_static_engine_needs_no_profile(make: Make) -> None:
    static = {"x": {"dtype": "FLOAT", "shape": [2, 4]}}
    session = ON_CPU.load_plan(make(inputs=static, profiles=[]))
    np.testing.assert_array_equal(session.run(x(2))["y"], 2 * x(2)["x"])


def test_a_size_written_as_minus_one_is_open(make: Make) -> None:
    path = make()
    manifest = replace(read_manifest(path), inputs=(PlanTensor("x", "float", (-1, 4)),))
    manifest_path(path).write_text(manifest.to_json())
    session = ON_CPU.load_plan(path)
    np.testing.assert_array_equal(session.run(x(3))["y"], 2 * x(3)["x"])


def test_half_precision_inputs_and_outputs(make: Make) -> None:
    path = make(
        inputs={"x": {"dtype": "HALF", "shape": [-1, 4]}},
        outputs={"y": {"dtype": "HALF", "shape": [-1, 4], "of": "x"}},
    )
    manifest = replace(read_manifest(path), inputs=(PlanTensor("x", "float16", ("n", 4)),))
    manifest_path(path).write_text(manifest.to_json())
    values = x(2)["x"].astype(np.float16)
    found = ON_CPU.load_plan(path).run({"x": values})["y"]
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, 2 * values)


def test_a_timer_runs_as_often_as_it_is_told(make: Make) -> None:
    session = ON_CPU.load_plan(make())
    timer = session.timer(x(2))
    session.run(x(5))  # takes the other profile
    double.calls.clear()
    assert timer(7) > 0
    assert len(called("execute_async_v3")) == 7
    assert called("set_input_shape") == [("x", (2, 4))]  # once, before the clock starts


def test_times_of_layers_with_their_onnx_nodes(make: Make) -> None:
    session = ON_CPU.load_plan(make())
    layers = session.layer_times(x(2), runs=3, warm_up=2)
    assert [(layer.name, layer.kind, layer.onnx_nodes) for layer in layers] == [
        ("gemm_1", "gemm", ("MatMul_0",)),
        ("fused", "kgen", ("Add_1", "Relu")),
        ("fused", "kgen", ("Add_2",)),
    ]
    assert [layer.seconds for layer in layers] == [(5e-4,) * 3, (2.5e-4,) * 3, (1.25e-4,) * 3]
    assert len(called("execute_async_v3")) == 5
    told = json.loads(session.layer_information(x(2)))
    assert [layer["Name"] for layer in told["Layers"]] == ["gemm_1", "fused", "fused"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"error": "no driver"}, r"TensorRT 10.16.1.11 cannot load .*net.plan: no driver$"),
        ({"no_context": "out of memory"}, r"cannot prepare .*net.plan: out of memory$"),
        (
            {"inputs": {"x": {"dtype": "FLOAT", "shape": [-1, 4], "format": "HWC8"}}},
            r"net.plan: x has the layout HWC8, and only plans with chw",
        ),
        (
            {"outputs": {"y": {"dtype": "FP8", "shape": [-1, 4], "of": "x"}}},
            r"net.plan: y is of type FP8, not supported here",
        ),
        ({"version": "10.15.1.29"}, r"built with TensorRT 10.15.1.29, and 10.16.1.11 is installed"),
        (
            {"version": "10.17.0.0", "options": ("--versionCompatible",)},
            r"built with TensorRT 10.17.0.0, and 10.16.1.11 is installed",
        ),
    ],
)
def test_what_does_not_load(make: Make, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ON_CPU.load_plan(make(**changed))


def test_another_version_is_refused_before_the_library_sees_the_plan(make: Make) -> None:
    with pytest.raises(InputError, match="is installed: build it again"):
        ON_CPU.load_plan(make(version="10.15.1.29"))
    assert called("deserialize_cuda_engine") == []


def test_an_older_plan_that_was_built_to_be_portable_loads(make: Make) -> None:
    path = make(version="10.15.1.29", options=("--versionCompatible",))
    np.testing.assert_array_equal(ON_CPU.load_plan(path).run(x(2))["y"], 2 * x(2)["x"])


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "net.plan cannot be run: input x is missing"),
        ({**x(2), "z": np.zeros(1)}, "net.plan cannot be run: it has no input z; it has x"),
        ({"x": np.zeros((2, 4))}, r"input x: float32 \(n, 4\) got float64 \(2, 4\)"),
        ({"x": np.zeros((2, 5), np.float32)}, r"input x: float32 \(n, 4\) got float32 \(2, 5\)"),
        (x(17), r"net.plan takes input x from 1x4 to 3x4 or 4x4 to 16x4, and got 17x4: build it"),
    ],
)
def test_what_does_not_run(make: Make, feeds: dict[str, np.ndarray], message: str) -> None:
    session = ON_CPU.load_plan(make())
    for run in (session.run, session.timer, session.layer_information):
        with pytest.raises(InputError, match=message):
            run(feeds)
    assert called("execute_async_v3") == []


def test_an_inner_tensor_cannot_be_fetched(make: Make) -> None:
    with pytest.raises(InputError, match="gives y, not h: build it with outputs='h'"):
        ON_CPU.load_plan(make()).run(x(2), fetch=["h"])


def test_an_output_whose_size_depends_on_values(make: Make) -> None:
    path = make(outputs={"y": {"dtype": "FLOAT", "shape": [-1], "of": "nothing"}})
    with pytest.raises(InputError, match="the size of output y depends on values"):
        ON_CPU.load_plan(path).run(x(2))


def test_a_run_that_fails_says_why(make: Make) -> None:
    session = ON_CPU.load_plan(make(fails="illegal memory access"))
    with pytest.raises(InputError, match=r"cannot run with .*net.plan: illegal memory access"):
        session.run(x(2))


def test_without_a_gpu_in_torch(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match=r"runs on an NVIDIA GPU, and this torch sees none"):
        PlanRuntime().load_plan(make())
    with pytest.raises(InputError, match="a CUDA graph needs a CUDA device, not cpu"):
        PlanRuntime(device="cpu", mode="cuda-graph").load_plan(make())


# Real plans of TensorRT-RTX, which are built without a GPU and cannot be run without one.


@pytest.fixture
def real(tmp_path: Path) -> Path:
    model = graph("float[n,64] x => float[n,64] y", "h = MatMul(x, w)  y = Relu(h)", w=(64, 64))
    profile = {"x": Range((1, 64), (4, 64), (8, 64))}
    build(model, tmp_path / "real.plan", flavor="tensorrt-rtx", profiles=[profile])
    return tmp_path / "real.plan"


def rewritten(plan: Path, data: bytes, **changed: Any) -> None:
    """Other bytes, and a manifest that knows them."""
    plan.write_bytes(data)
    manifest = replace(read_manifest(plan), sha256=sha256(data), bytes=len(data), **changed)
    manifest_path(plan).write_text(manifest.to_json())


def without_gpu() -> bool:
    import torch

    return not torch.cuda.is_available()


@pytest.mark.skipif(not without_gpu(), reason="here is a GPU")
def test_a_real_plan_without_a_driver_is_one_line_of_the_library(real: Path) -> None:
    with pytest.raises(InputError) as caught:
        PlanRuntime().load_plan(real)
    message = str(caught.value)
    assert message.startswith("TensorRT-RTX ")
    assert "real.plan: " in message
    assert "CUDA driver version is insufficient" in message
    assert "\n" not in message


def test_a_truncated_plan(real: Path) -> None:
    real.write_bytes(real.read_bytes()[:-100])
    with pytest.raises(InputError, match="it was cut off or changed"):
        PlanRuntime().load_plan(real)


def test_a_plan_of_another_build_than_its_manifest(real: Path) -> None:
    changed = bytearray(real.read_bytes())
    changed[-1] ^= 1
    real.write_bytes(changed)
    with pytest.raises(InputError, match="SHA-256 differs"):
        PlanRuntime().load_plan(real)


def test_a_plan_of_another_version(real: Path) -> None:
    data = bytearray(real.read_bytes())
    data[24:28] = bytes((1, 3, 0, 7))
    rewritten(real, bytes(data), tensorrt="1.3.0.7")
    with pytest.raises(
        InputError, match=r"built with TensorRT-RTX 1\.3\.0\.7, and .* is installed"
    ):
        PlanRuntime().load_plan(real)


def test_a_plan_whose_header_is_of_another_flavour(real: Path) -> None:
    rewritten(real, b"ftrt" + real.read_bytes()[4:])
    with pytest.raises(InputError, match=r"is of tensorrt .*, .*real.plan.json says tensorrt-rtx"):
        PlanRuntime().load_plan(real)


def test_a_session_without_torch_names_the_extra(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    from un_deploy.errors import MissingPackageError

    with pytest.raises(MissingPackageError, match=r'pip install "un-deploy\[torch\]"'):
        ON_CPU.load_plan(make())
