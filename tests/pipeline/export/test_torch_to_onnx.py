"""Export by both exporters: names, dimensions, opset, bytes and refusals."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import onnx_ir
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from un_deploy.errors import InputError  # noqa: E402
from un_deploy.pipeline.export.torch_to_onnx import Exporter, to_onnx  # noqa: E402

pytestmark = pytest.mark.torch
BOTH = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])


class Scores(nn.Module):
    """Two inputs given in the other order than forward's, two outputs, two dynamic dimensions."""

    dynamic_axes: ClassVar = {
        "x": {0: "batch", 1: "sequence"},
        "mask": {0: "batch", 1: "sequence"},
    }
    output_names: ClassVar = ("scores", "pooled")

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.linear(x) * mask[..., None]
        return scores, scores.mean(1)

    def example_inputs(self, batch: int = 2) -> dict[str, Tensor]:
        return {"mask": torch.ones(batch, 3), "x": torch.ones(batch, 3, 4)}


class Plain(nn.Module):
    """Says nothing about itself."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def signature(model: onnx_ir.Model) -> list[str]:
    return [f"{v.name} {v.shape}" for v in (*model.graph.inputs, *model.graph.outputs)]


X = torch.arange(24.0).reshape(2, 3, 4)


@BOTH
def test_names_and_dimensions_are_kept(exporter: Exporter) -> None:
    module = Scores()
    model = to_onnx(module, module.example_inputs(), exporter=exporter)
    assert signature(model) == [
        "x [batch,sequence,4]",
        "mask [batch,sequence]",
        "scores [batch,sequence,4]",
        "pooled [batch,4]",
    ]
    assert model.opset_imports[""] == 20


class Head(nn.Module):
    """Patches, a class token, a linear layer on that token: the end of a ViT."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.linear = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
        return self.linear(x[:, 0])


@BOTH
def test_output_keeps_a_dimension_that_the_tracer_loses(exporter: Exporter) -> None:
    model = to_onnx(Head(), {"x": X}, exporter=exporter)
    assert signature(model) == ["x [batch,3,4]", "output [batch,5]"]


@BOTH
def test_static_and_own_names(exporter: Exporter) -> None:
    model = to_onnx(
        Plain(torch.relu), {"x": X}, dynamic_axes={}, output_names=["y"], exporter=exporter
    )
    assert signature(model) == ["x [2,3,4]", "y [2,3,4]"]


@BOTH
def test_without_declarations_axis_0_is_the_batch(exporter: Exporter) -> None:
    model = to_onnx(Plain(lambda x: {"a": x + 1, "b": [x * 2]}), {"x": X}, exporter=exporter)
    assert signature(model) == ["x [batch,3,4]", "a [batch,3,4]", "b_0 [batch,3,4]"]


@BOTH
def test_same_module_same_bytes_and_no_path_of_this_machine(exporter: Exporter) -> None:
    module = Scores()
    first, second = (
        onnx_ir.to_proto(
            to_onnx(module, module.example_inputs(), exporter=exporter)
        ).SerializeToString()
        for _ in range(2)
    )
    assert first == second
    assert str(Path(__file__).parent).encode() not in first
    assert str(Path(torch.__file__).parent).encode() not in first


@BOTH
def test_every_part_of_the_module_keeps_its_mode(exporter: Exporter) -> None:
    module = Plain(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)))
    module.function[0].eval()
    model = to_onnx(module, {"x": X}, exporter=exporter)
    assert [part.training for part in module.modules()] == [True, True, False, True]
    assert "Dropout" not in {node.op_type for node in model.graph}


@pytest.mark.parametrize(
    ("exporter", "opset", "possible"),
    [
        ("dynamo", 13, "17 to 24"),
        ("dynamo", 25, "17 to 24"),
        ("torchscript", 8, "9 to 20"),
        ("torchscript", 21, "9 to 20"),
    ],
)
def test_opset_that_is_not_to_be_had(exporter: Exporter, opset: int, possible: str) -> None:
    message = f"the {exporter} exporter has the opsets {possible}, not {opset}"
    with pytest.raises(InputError, match=message):
        to_onnx(Plain(torch.relu), {"x": X}, opset=opset, exporter=exporter)


@pytest.mark.parametrize(
    ("exporter", "opset"), [("dynamo", 17), ("dynamo", 24), ("torchscript", 13)]
)
def test_opset_asked_for_is_the_opset_got(exporter: Exporter, opset: int) -> None:
    model = to_onnx(Plain(torch.relu), {"x": X}, opset=opset, exporter=exporter)
    assert model.opset_imports[""] == opset


def test_opset_that_an_operator_lacks() -> None:
    attention = Plain(lambda x: nn.functional.scaled_dot_product_attention(x, x, x))
    with pytest.raises(InputError, match=r"^the torchscript exporter cannot export Plain.*13"):
        to_onnx(attention, {"x": X}, opset=13, exporter="torchscript")


def test_opset_that_dynamo_silently_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    export = torch.onnx.export
    monkeypatch.setattr(
        "torch.onnx.export", lambda *args, **kwargs: export(*args, **kwargs | {"opset_version": 18})
    )
    with pytest.raises(InputError, match="cannot write this network with opset 20, only with 18"):
        to_onnx(Plain(torch.relu), {"x": X})


@pytest.mark.parametrize(
    ("exporter", "function", "cause"),
    [
        ("dynamo", lambda x: x if x.sum() > 0 else -x, "Could not guard on data-dependent"),
        ("dynamo", torch.linalg.svdvals, "No ONNX function found"),
        ("torchscript", torch.linalg.svdvals, "aten::linalg_svd"),
        ("dynamo", lambda x: x.reshape(2, 12), r"inferred a static shape of 2 for .*'x'"),
    ],
)
def test_exporter_that_fails_says_why_in_one_line(
    exporter: Exporter, function: Any, cause: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=cause) as caught:
        to_onnx(Plain(function), {"x": X}, exporter=exporter)
    assert str(caught.value).startswith(f"the {exporter} exporter cannot export Plain: ")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_exporters_are_silent(tmp_path: Path) -> None:
    script = tmp_path / "export.py"  # a process of its own: some of the noise comes only once
    script.write_text(
        "import torch\n"
        "from un_deploy.pipeline.export.torch_to_onnx import to_onnx\n"
        "for exporter in ('dynamo', 'torchscript'):\n"
        "    to_onnx(torch.nn.Linear(4, 4), {'input': torch.ones(2, 4)}, exporter=exporter)\n"
        "print('done')\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "default", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (run.stdout, run.stderr) == ("done\n", "")


class Unused(nn.Module):
    def __init__(self, used: str) -> None:
        super().__init__()
        self.used = used

    def forward(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        return 2 * {"x": x, "y": y, "z": z}[self.used]


@BOTH
@pytest.mark.parametrize("used", ["x", "y", "z"])
def test_unused_inputs_stay_and_are_warned_of(exporter: Exporter, used: str) -> None:
    with pytest.warns(UserWarning, match="forward does not use the input") as warned:
        model = to_onnx(Unused(used), {"x": X, "y": X, "z": X}, exporter=exporter)
    assert signature(model) == [*(f"{name} [batch,3,4]" for name in "xyz"), "output [batch,3,4]"]
    assert [value.name for value in model.graph.inputs if value.uses()] == [used]
    assert [str(one.message)[-1] for one in warned] == [name for name in "xyz" if name != used]


def test_dimensions_that_the_network_ties_together() -> None:
    class Sum(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x + y

    axes = {"x": {0: "n"}, "y": {0: "m"}}
    with pytest.raises(InputError, match=r"^input y: the dynamic dimension m .* came out as n"):
        to_onnx(Sum(), {"x": X, "y": X}, dynamic_axes=axes)


def test_value_frozen_by_the_tracer_is_warned_of() -> None:
    with pytest.warns(torch.jit.TracerWarning, match="Python boolean"):
        to_onnx(Plain(lambda x: x if x.sum() > 0 else -x), {"x": X}, exporter="torchscript")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": X}, "Scores.forward(x, mask) needs the input 'mask'"),
        ({"x": X, "y": X}, "Scores.forward(x, mask) takes no input 'y'"),
        (
            {"x": X, "mask": torch.ones(3, 3)},
            "input mask has batch 3, another input has 2",
        ),
        (
            {"x": X[:1], "mask": torch.ones(1, 3)},
            "input x has batch 1; a dynamic dimension needs at least 2; dynamic=False exports it",
        ),
        (
            {"x": X[:, :, :3], "mask": torch.ones(2, 3)},
            "Scores fails on the inputs x (2, 3, 3), mask (2, 3): RuntimeError",
        ),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, Tensor], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        to_onnx(Scores(), inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dynamic_axes": {"y": {0: "batch"}}}, "dynamic axes of 'y', but the inputs are x"),
        ({"dynamic_axes": {"x": {3: "batch"}}}, "input x of shape (2, 3, 4) has no axis 3"),
        ({"output_names": ["a", "b"]}, "Plain has 1 outputs, but 2 output names: a, b"),
    ],
)
def test_declarations_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        to_onnx(Plain(torch.relu), {"x": X}, **options)


def test_output_that_is_no_tensor() -> None:
    with pytest.raises(InputError, match="forward returns a str as output_1; only tensors"):
        to_onnx(Plain(lambda x: (x, "done")), {"x": X})
