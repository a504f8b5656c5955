"""What the base install may load: a deployment container has no PyTorch and maybe no runtime."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HEAVY = ("torch", "onnxruntime", "onnxscript")


def loaded_by(statement: str) -> set[str]:
    """The top-level packages in a fresh interpreter after a statement."""
    script = f"{statement}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import un_deploy.graph.fold.fold, un_deploy.graph.strip.strip, tests.support.isomorphism",
        "from un_deploy import fold",
        "from un_deploy import verify",
        "import un_deploy.pipeline.fold_file, un_deploy.pipeline.inspect_file",
        "from un_deploy import build, compare, export, inspect, profile, report, save, strip",
    ],
)
def test_folding_and_verifying_load_neither_torch_nor_a_runtime(statement: str) -> None:
    loaded = loaded_by(statement)
    assert "onnx_ir" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("room", ["fold.fold", "strip.strip", "precision.convert"])
def test_the_rewriter_rests_on_no_evaluators_but_its_own(room: str) -> None:
    statement = f"import sys, un_deploy.graph.{room}\nassert 'onnx.reference' not in sys.modules"
    assert "onnx_ir" in loaded_by(statement)


def test_the_package_alone_loads_nothing() -> None:
    assert loaded_by("import un_deploy").isdisjoint(
        {*HEAVY, "numpy", "onnx", "onnx_ir", "click", "cattrs"}
    )


def test_an_error_loads_no_package() -> None:
    statement = "from un_deploy import InputError, ThresholdError, UnDeployError"
    assert loaded_by(statement).isdisjoint({*HEAVY, "numpy", "onnx", "onnx_ir", "click", "cattrs"})


def test_a_name_that_needs_torch_says_what_installs_it() -> None:
    statement = "\n".join((
        "import sys",
        "sys.modules['torch'] = None",
        "import un_deploy",
        "try: un_deploy.UnifiedNorm",
        "except un_deploy.MissingPackageError as error: assert 'un-deploy[torch]' in str(error)",
        "else: raise SystemExit(1)",
    ))  # fmt: skip
    assert "un_deploy" in loaded_by(statement)


def test_the_command_line_loads_a_command_only_when_it_is_named() -> None:
    statement = "from un_deploy.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    assert loaded_by(statement).isdisjoint({*HEAVY, "numpy", "onnx", "onnx_ir", "rich", "cattrs"})


def test_an_unknown_name_is_an_attribute_error() -> None:
    import un_deploy

    with pytest.raises(AttributeError, match="'un_deploy' has no attribute 'deploy'"):
        un_deploy.deploy  # noqa: B018


def test_no_room_imports_the_private_names_of_another() -> None:
    for path in (ROOT / "un_deploy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("un_deploy"):
                private = [name.name for name in node.names if re.match(r"_[a-z]", name.name)]
                assert not private, f"{path} imports {private} of {node.module}"
