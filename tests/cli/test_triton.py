"""un-deploy triton, as it is used."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.graphs import build
from tests.support.plans import write_plan
from un_deploy.graph.model.model_file import save_model

ARGUMENTS = ("triton", "model.onnx", "--repository", "served")


def test_without_tritonclient(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient", None)
    monkeypatch.delitem(sys.modules, "tritonclient.grpc", raising=False)
    monkeypatch.delitem(sys.modules, "tritonclient.grpc.model_config_pb2", raising=False)
    result = run(*ARGUMENTS, "--max-batch-size", "4")
    assert result.exit_code == 1
    assert result.stderr.endswith('not installed: pip install "un-deploy[triton]"\n')
    assert not Path("served").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ("--version", "0"),
        ("--instances", "0"),
        ("--max-batch-size", "-1"),
        ("--kind", "tpu"),
        ("--dim", "batch"),
        ("--preferred-batch-size", "0"),
        ("--accelerator", "openvino"),
    ],
)
def test_wrong_usage(wrong: tuple[str, str], run: Run) -> None:
    result = run(*ARGUMENTS, *wrong)
    assert result.exit_code == 2 and wrong[0] in result.stderr


class TestWithTritonclient:
    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("tritonclient", reason="needs un-deploy[triton]")

    def test_an_onnx_file(self, run: Run) -> None:
        result = run(*ARGUMENTS, "--max-batch-size", "4")
        assert result.exit_code == 0 and result.stderr == ""
        assert "input x    TYPE_FP32   -1, 3, 6" in result.stdout
        assert "Runs in Triton's onnxruntime backend; max_batch_size 4." in result.stdout
        assert "Wrote served/model/config.pbtxt\nWrote served/model/1/model.onnx\n" in result.stdout

    def test_the_next_step_is_said_last(self, run: Run, folder: Path) -> None:
        result = run(*ARGUMENTS, "--max-batch-size", "4")
        assert result.stdout.splitlines()[-3:] == [
            "To serve it, and to ask whether it is ready:",
            f"    tritonserver --model-repository={folder}/served",  # a line, however long
            "    curl -sf localhost:8000/v2/models/model/ready && echo ready",
        ]

    def test_every_option_arrives(self, run: Run) -> None:
        result = run(
            *ARGUMENTS,
            *("--name", "net", "--version", "3", "--max-batch-size", "0", "--kind", "cpu"),
            *("--instances", "2", "--dim", "batch=5", "--json"),
        )
        data = json.loads(result.stdout)
        assert (data["folder"], data["model_version"], data["version"]) == ("served/net", 3, 1)
        assert data["files"] == ["config.pbtxt", "3/model.onnx"]
        config = data["config"]
        assert "count: 2\n  kind: KIND_CPU" in config and "dims: 5" in config
        assert config == Path("served/net/config.pbtxt").read_text()
        again = run(
            *ARGUMENTS,
            *("--name", "net", "--max-batch-size", "8", "--preferred-batch-size", "2"),
            *("--preferred-batch-size", "4", "--max-queue-delay", "100", "--no-warm-up"),
            *("--force", "--json"),
        )
        config = json.loads(again.stdout)["config"]
        assert "preferred_batch_size: 2\n  preferred_batch_size: 4\n" in config
        assert "max_queue_delay_microseconds: 100" in config and "model_warmup" not in config
        off = run(*ARGUMENTS, "--max-batch-size", "8", "--no-dynamic-batching", "--json")
        assert "dynamic_batching" not in json.loads(off.stdout)["config"]

    def test_an_accelerator_arrives(self, run: Run) -> None:
        result = run(*ARGUMENTS, "--max-batch-size", "8", "--accelerator", "tensorrt:fp16")
        assert result.exit_code == 0 and "TensorRT chooses what it computes in fp16" in " ".join(
            result.stdout.split()
        )
        config = Path("served/model/config.pbtxt").read_text()
        assert 'name: "tensorrt"' in config and 'value: "FP16"' in config

    def test_an_optional_input_is_named(self, run: Run, folder: Path) -> None:
        body = ("float[2,6] x, float[6] w => float[2,6] y", "y = Mul(x, w)")
        save_model(build(*body, w=(6,)), folder / "optional.onnx")
        result = run("triton", "optional.onnx", "--repository", "served")
        assert "input w (optional) TYPE_FP32 6" in " ".join(result.stdout.split())

    @pytest.mark.parametrize(
        "large",
        [
            ("--max-batch-size", "3000000000"),
            ("--instances", "3000000000"),
            ("--preferred-batch-size", "3000000000"),
            ("--max-queue-delay", "99999999999999999999"),
            ("--version", "99999999999999999999"),
        ],
    )
    def test_a_number_beyond_its_type_is_one_line(self, large: tuple[str, str], run: Run) -> None:
        result = run(*ARGUMENTS, "--max-batch-size", "8", *large)
        assert result.exit_code == 1 and result.stderr.count("\n") == 1
        assert result.stderr.startswith(f"error: {large[0]} is {large[1]}, but Triton takes at")
        assert not Path("served").exists()

    def test_a_plan(self, run: Run, folder: Path) -> None:
        write_plan(folder / "net.plan")
        result = run("triton", "net.plan", "--repository", "served")
        assert result.exit_code == 0
        words = " ".join(result.stdout.split())
        assert "tensorrt backend; max_batch_size 8" in words
        assert "Note: the plan loads in a Triton whose TensorRT is 10.16.1.11" in words

    def test_an_rtx_plan(self, run: Run, folder: Path) -> None:
        write_plan(folder / "net.plan", magic=b"vtrt", flavor="tensorrt-rtx")
        result = run("triton", "net.plan", "--repository", "served")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: net.plan is a plan of tensorrt-rtx: ")
        assert result.stderr.count("\n") == 1

    def test_an_existing_model(self, run: Run) -> None:
        assert run(*ARGUMENTS, "--max-batch-size", "4").exit_code == 0
        result = run(*ARGUMENTS, "--max-batch-size", "4")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: served/model exists already")
        assert run(*ARGUMENTS, "--max-batch-size", "4", "--force").exit_code == 0
