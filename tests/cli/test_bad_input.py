"""Bad input: one line that names the culprit and the cure, exit code 1, and nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import pytest

from tests.cli.conftest import Run

EXPORT = ("export", "net.py:net", "-o", "out.onnx")
FOLD = ("fold", "bad.onnx", "-o", "out.onnx")
NET = """
import torch
from torch import nn
from un_deploy.nn import UnifiedNorm

class Net(nn.Sequential):
    def forward(self, x): return super().forward(x)
    def example_inputs(self): return {"x": torch.ones(2, 4)}

def net(norm_layer=nn.LayerNorm): return Net(norm_layer(4), nn.Linear(4, 4))
def broken():
    module = net()
    module[1].weight.data[0, 0] = float("nan")
    return module
"""


def truncated() -> None:
    Path("bad.onnx").write_bytes(Path("model.onnx").read_bytes()[:-40])


def text() -> None:
    Path("bad.onnx").write_text("<!DOCTYPE html>\n<html>404</html>\n")


def missing_external_data() -> None:
    onnx.save(
        onnx.load("model.onnx"),
        "bad.onnx",
        save_as_external_data=True,
        location="bad.bin",
        size_threshold=0,
    )
    Path("bad.bin").unlink()


def nan_weight() -> None:
    model = onnx.load("model.onnx")
    (weight,) = (w for w in model.graph.initializer if w.name == "w")
    array = onnx.numpy_helper.to_array(weight).copy()
    array[0, 0] = np.nan
    weight.CopyFrom(onnx.numpy_helper.from_array(array, "w"))
    onnx.save(model, "bad.onnx")


def old_opset() -> None:
    model = onnx.load("model.onnx")
    model.opset_import[0].version = 6
    onnx.save(model, "bad.onnx")


def wrong_inputs() -> None:
    Path("bad.onnx").write_bytes(Path("model.onnx").read_bytes())
    np.savez("data.npz", z=np.zeros(3))


def nothing() -> None:
    """The culprit is what is not there."""


@pytest.mark.parametrize(
    ("prepare", "arguments", "culprit", "cure"),
    [
        (nothing, FOLD, "bad.onnx does not exist", "check the name"),
        (
            truncated,
            FOLD,
            "bad.onnx is not an ONNX file, or was cut off",
            "export or copy it again",
        ),
        (text, FOLD, "bad.onnx is not an ONNX file, or was cut off", "export or copy it again"),
        (missing_external_data, FOLD, "bad.bin for 'a', which is not at", "put it there"),
        (nan_weight, FOLD, "the weight 'w' has 1 NaN of 24 entries", "take another checkpoint"),
        (old_opset, FOLD, "bad.onnx uses opset 6, older than 7", "export it again"),
        (wrong_inputs, (*FOLD, "--inputs", "data.npz"), "no input 'z'", "it takes x: float32"),
        (
            wrong_inputs,
            (*FOLD, "--inputs", "none.npz"),
            "none.npz does not exist",
            "check the name (--inputs)",
        ),
        (
            nothing,
            ("verify", "model.onnx", "bad.onnx"),
            "bad.onnx does not exist",
            "check the name",
        ),
        (nothing, ("inspect", "bad.onnx"), "bad.onnx does not exist", "check the name"),
        (nothing, ("strip", *FOLD[1:]), "bad.onnx does not exist", "check the name"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_of_a_file(
    prepare: Callable[[], None],
    arguments: tuple[str, ...],
    culprit: str,
    cure: str,
    folder: Path,
    run: Run,
) -> None:
    prepare()
    expect_refusal(folder, run, arguments, culprit, cure)


@pytest.mark.parametrize(
    ("target", "culprit", "cure"),
    [
        ("model.onnx", "model.onnx exists already", "--force"),
        ("absent/out.onnx", "the directory absent does not exist", "create it"),
        ("model.onnx/out.onnx", "the directory model.onnx does not exist", "create it"),
        (".", "is a directory", "name a file"),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [("fold", "absent.onnx"), ("strip", "absent.onnx"), ("export", "absent.py:net")],
    ids=lambda arguments: arguments[0],
)
def test_target_is_looked_at_first(
    arguments: tuple[str, ...], target: str, culprit: str, cure: str, folder: Path, run: Run
) -> None:
    expect_refusal(folder, run, (*arguments, "-o", target), culprit, cure)


def wrong_checkpoint() -> None:
    torch = pytest.importorskip("torch")
    torch.save({"conv.weight": torch.ones(3)}, "weights.pt")


def layer_norm_checkpoint() -> None:
    torch = pytest.importorskip("torch")
    names = {"0.weight": (4,), "0.bias": (4,), "1.weight": (4, 4), "1.bias": (4,)}
    torch.save({name: torch.ones(shape) for name, shape in names.items()}, "weights.pt")


UN = (*EXPORT, "--norm", "un")
LOAD = ("--checkpoint", "weights.pt")


@pytest.mark.torch
@pytest.mark.parametrize(
    ("prepare", "arguments", "culprit", "cure"),
    [
        (
            nothing,
            ("export", "absent.py:net", *EXPORT[2:]),
            "absent.py does not exist",
            "check the name",
        ),
        (nothing, ("export", "net.py:absent", *EXPORT[2:]), "no object named 'absent'", "it has"),
        (
            nothing,
            ("export", "net.py", *EXPORT[2:]),
            "'net.py' is no model",
            "give FILE.py:factory",
        ),
        (nothing, UN, "the statistics of 1 norm (0) were never updated", "--untrained"),
        (
            layer_norm_checkpoint,
            (*UN, *LOAD),
            "LayerNorm model's checkpoint",
            "convert the trained network (un-deploy convert), train it with Unified Normalization, "
            "or pass --untrained if only speed is of interest",
        ),
        (wrong_checkpoint, (*EXPORT, *LOAD), "weights.pt does not fit the model", "0.weight"),
        (nothing, (*EXPORT, *LOAD), "weights.pt does not exist", "check the name (--checkpoint)"),
        (nothing, (*EXPORT, "--opset", "12"), "not 12", "has the opsets 17 to 24"),
        (
            nothing,
            ("export", "net.py:broken", *EXPORT[2:]),
            "has 1 NaN of 16",
            "another checkpoint",
        ),
    ],
)
def test_of_a_network(
    prepare: Callable[[], None],
    arguments: tuple[str, ...],
    culprit: str,
    cure: str,
    folder: Path,
    run: Run,
) -> None:
    pytest.importorskip("torch")
    Path("net.py").write_text(NET)
    prepare()
    expect_refusal(folder, run, arguments, culprit, cure)


def expect_refusal(
    folder: Path, run: Run, arguments: tuple[str, ...], culprit: str, cure: str
) -> None:
    before = contents(folder)
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert culprit in line and cure in line
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}
