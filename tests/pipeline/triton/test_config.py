"""config.pbtxt beyond batches: strings, optional inputs, accelerators, and numbers too large."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from tests.support.graphs import build
from tests.support.plans import write_plan
from un_deploy.errors import InputError
from un_deploy.graph.model.model_file import save_model
from un_deploy.pipeline.triton.config import Serving, make_config
from un_deploy.pipeline.triton.repository import write_triton
from un_deploy.pipeline.triton.served_model import read_onnx
from un_deploy.pipeline.triton.served_plan import read_plan

pytest.importorskip("tritonclient", reason="needs un-deploy[triton]")

from tritonclient.grpc import model_config_pb2 as triton

LINEAR = ("float[batch,6] x => float[batch,4] y", "y = MatMul(x, w)")


def configured(model: ir.Model, folder: Path, **serving: Any) -> tuple[Any, tuple[str, ...]]:
    save_model(model, folder / "net.onnx")
    return make_config(read_onnx(folder / "net.onnx"), "net", Serving(**serving))


class TestStrings:
    SIGNATURE = "string[batch,1] s, float[batch,6] x => string[batch,1] t, float[batch,4] y"

    def test_they_are_tensors_like_others(self, tmp_path: Path) -> None:
        model = build(self.SIGNATURE, "t = Identity(s)  y = MatMul(x, w)", w=(6, 4))
        config, _ = configured(model, tmp_path, max_batch_size=8)
        assert (config.input[0].name, config.input[0].data_type) == ("s", triton.TYPE_STRING)
        assert (config.output[0].name, config.output[0].data_type) == ("t", triton.TYPE_STRING)
        assert list(config.input[0].dims) == [1]

    def test_a_warm_up_sends_empty_ones(self, tmp_path: Path) -> None:
        """Zeros are lengths of zero, as Triton sends strings."""
        model = build("string[2,3] s => string[2,3] t", "t = Identity(s)")
        config, _ = configured(model, tmp_path)
        (sample,) = config.model_warmup
        assert sample.inputs["s"].data_type == triton.TYPE_STRING
        assert sample.inputs["s"].zero_data and list(sample.inputs["s"].dims) == [2, 3]

    def test_into_numbers(self, tmp_path: Path) -> None:
        model = build("string[batch,2] s => float[batch,2] y", "y = Cast<to=1>(s)")
        config, _ = configured(model, tmp_path, max_batch_size=2)
        kinds = (config.input[0].data_type, config.output[0].data_type)
        assert kinds == (triton.TYPE_STRING, triton.TYPE_FP32)

    def test_a_plan_has_none(self, tmp_path: Path) -> None:
        strings = [{"name": "s", "dtype": "string", "shape": [1, 2], "format": "chw"}]
        plan = write_plan(tmp_path / "net.plan", inputs=strings, profiles=[])
        with pytest.raises(InputError, match=r"s of .* is string, .* tensorrt backend does not"):
            make_config(read_plan(plan), "net", Serving())


class TestOptionalInputs:
    """Those that have a default, where Triton makes no batches: its backend loads no others."""

    MODEL = (
        "float[batch,6] x, float[6] w, float b => float[batch,6] y",
        "m = Mul(x, w) y = Add(m, b)",
    )

    def model(self) -> ir.Model:
        return build(*self.MODEL, w=(6,), b=np.array(1, np.float32))

    def test_they_are_named(self, tmp_path: Path) -> None:
        onnxruntime = pytest.importorskip("onnxruntime")
        config, notes = configured(self.model(), tmp_path, max_batch_size=0, sizes={"batch": 2})
        assert [(one.name, one.optional, list(one.dims)) for one in config.input] == [
            ("x", False, [-1, 6]),
            ("w", True, [6]),
        ]
        session = onnxruntime.InferenceSession(
            tmp_path / "net.onnx", providers=["CPUExecutionProvider"]
        )
        replaced = {one.name: one.shape for one in session.get_overridable_initializers()}
        assert replaced == {"w": [6], "b": []}
        assert any(note.startswith("clients cannot send b, ") for note in notes)

    def test_a_warm_up_leaves_them_out(self, tmp_path: Path) -> None:
        config, _ = configured(self.model(), tmp_path, max_batch_size=0, sizes={"batch": 2})
        (sample,) = config.model_warmup
        assert list(sample.inputs) == ["x"]

    def test_batches_have_none(self, tmp_path: Path) -> None:
        config, notes = configured(self.model(), tmp_path, max_batch_size=8)
        assert [one.name for one in config.input] == ["x"]
        assert "clients cannot send w, which has its default: Triton has no optional" in notes[0]

    def test_before_version_4_of_onnx_every_weight_is_an_input(self, tmp_path: Path) -> None:
        model = build(*self.MODEL, opset=11, w=(6,), b=np.array(1, np.float32))
        model.ir_version = 3
        config, notes = configured(model, tmp_path, max_batch_size=0)
        assert [one.name for one in config.input] == ["x"]
        assert not any("clients cannot send" in note for note in notes)

    def test_the_report_says_so(self, tmp_path: Path) -> None:
        save_model(self.model(), tmp_path / "net.onnx")
        report = write_triton(
            tmp_path / "net.onnx", tmp_path / "served", serving=Serving(max_batch_size=0)
        )
        assert [(one.name, one.optional) for one in report.inputs] == [("x", False), ("w", True)]
        assert "  optional: true\n" in report.config


class TestAccelerator:
    @pytest.mark.parametrize(
        ("accelerator", "precision"), [("tensorrt", "FP32"), ("tensorrt:fp16", "FP16")]
    )
    @pytest.mark.parametrize("kind", ["auto", "gpu"])
    def test_tensorrt(self, accelerator: str, precision: str, kind: str, tmp_path: Path) -> None:
        serving = {"max_batch_size": 8, "accelerator": accelerator, "kind": kind}
        config, notes = configured(build(*LINEAR, w=(6, 4)), tmp_path, **serving)
        accelerators = config.optimization.execution_accelerators
        (found,) = accelerators.gpu_execution_accelerator
        assert found.name == "tensorrt" and dict(found.parameters) == {"precision_mode": precision}
        assert not accelerators.cpu_execution_accelerator
        assert any("builds its engines in the server" in note for note in notes)
        assert any("in fp16" in note for note in notes) == (precision == "FP16")

    def test_none_unless_asked_for(self, tmp_path: Path) -> None:
        config, _ = configured(build(*LINEAR, w=(6, 4)), tmp_path, max_batch_size=8)
        assert not config.HasField("optimization")

    def test_not_on_a_cpu(self, tmp_path: Path) -> None:
        model = build(*LINEAR, w=(6, 4))
        with pytest.raises(InputError, match="accelerator='tensorrt' runs on GPUs"):
            configured(model, tmp_path, max_batch_size=8, accelerator="tensorrt", kind="cpu")

    def test_not_for_a_plan(self, tmp_path: Path) -> None:
        plan = write_plan(tmp_path / "net.plan")
        with pytest.raises(InputError, match="accelerator is for ONNX files: a plan runs in"):
            make_config(read_plan(plan), "net", Serving(accelerator="tensorrt"))


class TestLargeNumbers:
    INT32, INT64, UINT64 = 2**31 - 1, 2**63 - 1, 2**64 - 1

    @pytest.mark.parametrize(
        ("serving", "option", "most"),
        [
            ({"max_batch_size": 2**31}, "max_batch_size is", INT32),
            ({"max_batch_size": 10**30}, "max_batch_size is", INT32),
            ({"preferred_batch_sizes": (4, 2**31)}, "preferred_batch_sizes is", INT32),
            ({"instances": 3_000_000_000}, "instances is", INT32),
            ({"max_queue_delay": 2**64}, "max_queue_delay is", UINT64),
            ({"sizes": {"seq": 2**63}}, "sizes seq is", INT64),
        ],
    )
    def test_beyond_their_type(
        self, serving: dict[str, Any], option: str, most: int, tmp_path: Path
    ) -> None:
        model = build("int64[batch,seq] x => float[batch,seq,4] y", "y = Gather(w, x)", w=(9, 4))
        with pytest.raises(InputError, match=rf"^{option} \d+, but Triton takes at most {most}$"):
            configured(model, tmp_path, **{"max_batch_size": 8, **serving})

    @pytest.mark.parametrize("size", [0, -1])
    def test_a_size_that_is_none(self, size: int, tmp_path: Path) -> None:
        model = build("int64[batch,seq] x => float[batch,seq,4] y", "y = Gather(w, x)", w=(9, 4))
        with pytest.raises(InputError, match=f"sizes seq is {size}, but Triton needs sizes >= 1"):
            configured(model, tmp_path, max_batch_size=8, sizes={"seq": size})

    def test_the_largest_are_written(self, tmp_path: Path) -> None:
        config, _ = configured(
            build(*LINEAR, w=(6, 4)),
            tmp_path,
            max_batch_size=self.INT32,
            preferred_batch_sizes=(self.INT32,),
            instances=self.INT32,
            max_queue_delay=self.UINT64,
        )
        assert (config.max_batch_size, config.instance_group[0].count) == (self.INT32,) * 2
        assert config.dynamic_batching.max_queue_delay_microseconds == self.UINT64

    def test_a_warm_up_that_no_machine_holds(self, tmp_path: Path) -> None:
        model = build("int64[batch,seq] x => float[batch,seq,4] y", "y = Gather(w, x)", w=(9, 4))
        with pytest.raises(
            InputError, match=re.escape(f"cannot hold x of 8x{2**62}: give smaller")
        ):
            configured(model, tmp_path, max_batch_size=8, sizes={"seq": 2**62})

    def test_a_version(self, tmp_path: Path) -> None:
        save_model(build(*LINEAR, w=(6, 4)), tmp_path / "net.onnx")
        with pytest.raises(InputError, match=r"^version is 9223372036854775808, but Triton"):
            write_triton(tmp_path / "net.onnx", tmp_path / "served", version=2**63)
