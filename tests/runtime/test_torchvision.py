"""Why torchvision does not load, which `doctor` and the specs of timm models say."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from un_deploy.runtime.torchvision import why_not


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A torchvision of a few lines, beside a torch for the CPU."""
    versions = {"torchvision": "0.28.0", "torch": "2.13.0+cpu"}
    monkeypatch.setattr(metadata, "version", versions.__getitem__)
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "torchvision.py"
    sys.modules.pop("torchvision", None)


def test_one_that_loads(installed: Path) -> None:
    installed.write_text("")
    assert why_not() == ""


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "raise RuntimeError('operator torchvision::nms does not exist')",
            "RuntimeError: operator torchvision::nms does not exist",
        ),
        ("import ctypes; ctypes.CDLL('libc10_cuda_of_no_build.so')", "OSError: libc10_cuda_of"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_one_of_another_build(installed: Path, code: str, said: str) -> None:
    installed.write_text(code)
    told = f"torchvision 0.28.0 does not load beside torch 2.13.0+cpu: {said}"
    assert why_not().startswith(told)
    assert "install the one that was built for this torch" in why_not()


def test_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert why_not() == ""
