"""mypy over our sources, against the stubs of one version of TensorRT."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.tensorrt_api.stubs import Stubs

ROOMS = ("un_deploy/engines", "un_deploy/runtime/tensorrt")
"""The folders that use TensorRT, with the folders in them."""

GUARD = re.compile(r'\bhasattr\([\w.]+, "(\w+)"\)')
"""What asks whether a version has a name."""

_ROOT = Path(__file__).parents[3]
_CONFIG = """[mypy]
python_version = 3.10
follow_imports = silent
ignore_missing_imports = true

# Seconds of work, and nothing of TensorRT in it.
[mypy-torch.*]
follow_imports = skip

# Of what is wrong in the stubs themselves, only what we use matters.
[mypy-tensorrt_bindings.*,tensorrt_rtx_bindings.*]
ignore_errors = true
"""


def sources() -> dict[str, str]:
    """The text of every file of the rooms that is not about onnx-graphsurgeon, by its path."""
    files = [path for room in ROOMS for path in sorted((_ROOT / room).rglob("*.py"))]
    texts = {str(path.relative_to(_ROOT)): path.read_text() for path in files}
    return {path: text for path, text in texts.items() if "onnx_graphsurgeon" not in text}


def errors(stubs: Stubs, work: Path, more: Mapping[str, str]) -> Mapping[str, list[str]]:
    """Check the sources as they would run with this version.

    Args:
        stubs: of the version.
        work: an empty folder; one beside it is mypy's cache, for all versions.
        more: further texts by the name of a module, each a changed copy of one of the files.

    Returns:
        what is wrong, by the path of a file or the name of a module; of what is right, nothing.
    """
    options = ["--cache-dir", str(work.with_name("mypy_cache")), "--config-file", str(work / "ini")]
    (work / "ini").write_text(_CONFIG)
    files = list(sources())
    for number, (path, text) in enumerate(sources().items()):
        shadow = work / str(number)
        shadow.write_text(_resolved(text, stubs))
        options += ["--shadow-file", path, str(shadow)]
    for name, text in more.items():
        module = work / f"{name}.py"
        module.write_text(_resolved(text, stubs))
        files.append(str(module))
    command = [sys.executable, "-m", "mypy", *options, *files]
    env = {**os.environ, "MYPYPATH": str(stubs.folder)}
    done = subprocess.run(command, env=env, cwd=_ROOT, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, list[str]] = {}
    for path, message in re.findall(r"(?m)^(.+?):\d+: error: (.+)$", done.stdout):
        found.setdefault(path if path in sources() else Path(path).stem, []).append(message)
    assert found.keys() <= {*sources(), *more}
    return found


def _resolved(text: str, stubs: Stubs) -> str:
    """A source as mypy can follow it: TensorRT is imported, and what ``hasattr`` asks is answered.

    A name that stands nowhere in a version is not there; one that does is taken to be where it is
    asked for, and where it is not, mypy finds the use that is behind the guard.
    """
    text = re.sub(r"\btrt = library\(.*\)", "import tensorrt as trt", text)
    text = text.replace("  # type: ignore[name-defined]", "")  # of a base class, now known
    return GUARD.sub(lambda asked: str(asked[1] in stubs.names), text)
