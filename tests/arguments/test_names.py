"""Messages name an argument as their reader knows it: a parameter, or an option."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.graphs import NORM, build
from un_deploy import InputError, fold, save
from un_deploy.arguments.names import argument, as_options
from un_deploy.cli import main

PACKAGE = Path(__file__).parents[2] / "un_deploy"


@pytest.mark.parametrize(
    ("name", "value", "parameter", "option"),
    [
        ("keep_fp32", None, "keep_fp32", "--keep-fp32"),
        ("precision", "fp16", "precision='fp16'", "--precision fp16"),
        ("force", True, "force=True", "--force"),
        ("verify", False, "verify=False", "--no-verify"),
        ("dynamic", False, "dynamic=False", "--static"),
        ("dims", {"batch": 8}, "dims={'batch': 8}", "--dim batch=8"),
        ("checkpoints['ln']", None, "checkpoints['ln']", "--ln-checkpoint"),
        ("checkpoints['un']", None, "checkpoints['un']", "--checkpoint"),
        (
            "builder_optimization_level",
            5,
            "builder_optimization_level=5",
            "--builderOptimizationLevel=5",
        ),
        (
            "memory_pools",
            {"workspace": 9},
            "memory_pools={'workspace': 9}",
            "--memPoolSize=workspace:9",
        ),
    ],
)
def test_both_words(name: str, value: object, parameter: str, option: str) -> None:
    assert argument(name, value) == parameter
    with as_options():
        assert argument(name, value) == option
    assert argument(name, value) == parameter


def test_one_mistake_at_both_doors(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    model = build(
        "float[2,4] x => float[2,4] y", f"{NORM} y = MatMul(n, w)", a=(4,), b=(4,), w=(4, 4)
    )
    save(model, path)
    with pytest.raises(InputError, match=r"^keep 'head' names no norm of this graph"):
        fold(path, keep=["head"])
    done = CliRunner().invoke(main, ["fold", str(path), "--dry-run", "--keep", "head"])
    *_, last = done.stderr.splitlines()
    assert last.startswith("error: --keep 'head' names no norm of this graph")


OTHERS = {
    "graph/model/checks.py": "--upgrade",
    "engines/building/options.py": "--memPoolSize --computeCapability",
    "engines/plan/manifest.py": "--versionCompatible",
    "engines/profiles.py": "--shapes --minShapes --optShapes --maxShapes",
    "measure/report": "--engines --profile --batches",
    "measure/speed/conditions.py": "--lock-gpu-clocks",
    "pipeline/triton/config.py": "--stripWeights --versionCompatible --precision "
    "--backend-config --disable-auto-complete-config",
    "pipeline/triton/repository.py": "--versionCompatible --model-repository --backend-config "
    "--disable-auto-complete-config",
    "engines/building/config.py": "",
    "runtime/trtexec": "",
}
"""Where a text holds an option all the same: it is trtexec's or another program's, it parses one,
or it shows a whole command. Empty: a file that writes trtexec's command lines."""


@pytest.mark.parametrize("room", [p.name for p in PACKAGE.iterdir() if p.name != "cli"])
def test_no_text_below_the_command_line_spells_an_option(room: str) -> None:
    paths = [PACKAGE / room] if room.endswith(".py") else [*(PACKAGE / room).rglob("*.py")]
    for path in paths:
        name = str(path.relative_to(PACKAGE))
        allowed = next((may for where, may in OTHERS.items() if name.startswith(where)), None)
        if allowed == "" or name == "arguments/names.py":
            continue
        spelled = set(re.findall(r"(?<![\w-])--[a-z][\w-]+", _texts(path)))
        assert spelled <= set((allowed or "").split()), name


def _texts(path: Path) -> str:
    """All texts of a file but its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return " ".join(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    )
