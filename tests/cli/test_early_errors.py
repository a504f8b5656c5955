"""What needs no torch is said before torch is imported, nor anything else that takes its time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import un_deploy

CASES = {
    "a checkpoint": (
        "export net.py:net -o o.onnx --checkpoint no.pt",
        "no.pt does not exist: check the name (--checkpoint)",
    ),
    "a model's file": ("export no.py:net -o o.onnx", "no.py does not exist"),
    "inputs": (
        "export net.py:net -o o.onnx --inputs no.npz",
        "no.npz does not exist: check the name (--inputs)",
    ),
    "a loader's file": (
        "compare net.py:net --inputs no.py:load",
        "no.py does not exist: check the name (--inputs)",
    ),
    "no --force": ("export net.py:net -o there.onnx", "there.onnx exists already"),
    "a file compared": (
        "compare --ln no.onnx --unfolded there.onnx",
        "no.onnx does not exist: check the name (--ln)",
    ),
    "a checkpoint compared": (
        "compare net.py:net --ln-checkpoint no.pt",
        "check the name (--ln-checkpoint)",
    ),
    "sizes beside inputs": (
        "compare net.py:net --inputs there.npz --dim batch=8",
        "--dim is of random inputs, and --inputs gives some with sizes of their own, the batch "
        "too: leave --dim out, or give inputs of that size",
    ),
    "a sweep beside inputs": (
        "compare net.py:net --inputs there.npz --batches 1,8 --shapes x:8x3",
        "--shapes and --batches are of random inputs",
    ),
    "a size twice": (
        "compare net.py:net --dim batch=8 --batches 2,8",
        "the size of batch is given twice",
    ),
    "a gate on what is not compared": (
        "compare net.py:net --norms un,none --min-speedup 1.1",
        "no LN is compared: give --norms ln,un, or leave it out",
    ),
    "what stays, and no fold": (
        "compare net.py:net --norms ln,none --keep Mul_0",
        "--keep is of a fold, and no graph of UN unfolded is there",
    ),
    "a checkpoint of what is left out": (
        "compare net.py:net --norms un --ln-checkpoint there.npz",
        "--ln-checkpoint is of a network that --norms un leaves out",
    ),
    "a report": ("compare --ln there.onnx -o there.onnx.json", "there.onnx.json exists already"),
    "logs": ("compare --ln there.onnx --keep-logs folder", "folder exists already"),
    "a conversion": (
        "convert net.py:net --checkpoint no.pt --data l.py:d -o o.pt",
        "check the name (--checkpoint)",
    ),
    "a demo": ("demo --out folder", "folder exists already: choose another folder"),
    "a served model": ("triton there.onnx --repository . --name folder", "folder exists already"),
    "a fold": ("fold no.onnx -o o.onnx", "no.onnx does not exist"),
    "a plan that is not there": ("profile no.plan", "no.plan does not exist: build it with"),
    "a plan": ("build there.onnx -o there.onnx.json", "there.onnx.json exists already"),
    "a page": ("report no.json -o page.html", "no.json does not exist"),
}
"""A command line in a folder with net.py, there.onnx, there.onnx.json, there.npz and folder/; and
what it says."""

ALL = """
import json, sys
from click.testing import CliRunner
from un_deploy.cli import main

told = {}
for name, line in json.loads(sys.argv[1]).items():
    result = CliRunner().invoke(main, line.split())
    large = [one for one in ("torch", "onnx", "sympy", "onnxruntime") if one in sys.modules]
    told[name] = result.exit_code, result.stderr, large
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """All of them in one process, since this one has imported torch before."""
    folder = tmp_path_factory.mktemp("early")
    for name in ("net.py", "there.onnx", "there.onnx.json", "there.npz"):
        (folder / name).touch()
    (folder / "folder").mkdir()
    lines = json.dumps({name: line for name, (line, _) in CASES.items()})
    done = subprocess.run(
        [sys.executable, "-c", ALL, lines],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(un_deploy.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, tuple[int, str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CASES)
def test_it_is_said_before_anything_large_is_imported(
    name: str, told: dict[str, tuple[int, str, list[str]]]
) -> None:
    code, stderr, large = told[name]
    assert code == 1
    assert stderr.startswith("error: ") and CASES[name][1] in stderr
    assert large == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("net.py", "is no model and no folder of one"),
        (".", "holds no config.json"),
        (". --opset 12", "has the opsets 17 to 24, not 12"),
        (". --opset 8 --exporter torchscript", "has the opsets 9 to 20, not 8"),
        (". --no-fold --fold-norm-affine --keep n", "--keep and --fold-norm-affine are of a fold"),
    ],
)
def test_what_would_be_no_network(
    line: str, said: str, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without torch it would be that which is missing."""
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run("export", *line.split(), "-o", "o.onnx")
    assert result.exit_code == 1 and said in result.stderr


def test_convert_takes_no_onnx_file(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is said, too, where torch is missing."""
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("ln.pt", "data.npz"):
        Path(name).touch()
    result = run("convert", "n.onnx", "--checkpoint", "ln.pt", "--data", "data.npz", "-o", "o.pt")
    assert result.exit_code == 1
    assert "n.onnx is an ONNX file, and this takes a PyTorch model" in result.stderr
