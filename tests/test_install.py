"""What is missing is had by pip, or, in an image, which has no pip, by another image."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from un_deploy.engines import flavor
from un_deploy.errors import InputError, MissingPackageError, needs
from un_deploy.install import IMAGE, how_to_install, how_to_install_package
from un_deploy.pipeline.doctor import examine
from un_deploy.runtime import backends
from un_deploy.runtime.onnxruntime.runtime import OnnxRuntime

PACKAGE = Path(__file__).parents[1] / "un_deploy"


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(IMAGE, raising=False)


def test_by_pip() -> None:
    assert how_to_install("cpu") == 'pip install "un-deploy[cpu]"'
    assert how_to_install("cpu", "torch") == 'pip install "un-deploy[cpu]" or "un-deploy[torch]"'
    assert how_to_install() == 'pip install "un-deploy"'
    assert how_to_install("gpu", instead_of="onnxruntime") == (
        'pip uninstall onnxruntime, then pip install "un-deploy[gpu]"'
    )
    assert how_to_install_package("pip install safetensors") == "pip install safetensors"


@pytest.mark.parametrize(
    ("image", "extra", "how"),
    [
        ("slim", "report", "use the image's target default, this is slim (docker/README.md)"),
        ("slim", "triton", "use the image's target default, this is slim (docker/README.md)"),
        (
            "default",
            "triton",
            "build this image with its build argument MORE=report,triton (docker/README.md)",
        ),
        (
            "slim",
            "cpu",
            "build this image with cpu in its build argument EXTRAS (docker/README.md)",
        ),
        (
            "default",
            "rtx",
            "build this image with rtx in its build argument EXTRAS (docker/README.md)",
        ),
        (
            "default",
            "tensorrt",
            "use the image of docker/Dockerfile, on NVIDIA's TensorRT container",
        ),
        (
            "default",
            "torch",
            'no image has it: run this outside, where pip install "un-deploy[torch]" works, as on '
            "the machine that trains",
        ),
        ("default", "", "build this image anew, it is damaged (docker/README.md)"),
    ],
)
def test_in_an_image(monkeypatch: pytest.MonkeyPatch, image: str, extra: str, how: str) -> None:
    monkeypatch.setenv(IMAGE, image)
    assert how_to_install(*filter(None, [extra])) == how


IN_IMAGE = {
    "a missing module": ("report", lambda: _missing("report")),
    "ONNX Runtime": ("cpu", lambda: OnnxRuntime().open(Path("absent.onnx"))),
    "a comparison without a runtime": ("cpu", lambda: backends.choose_backend("auto")),
    "an engine": ("rtx", lambda: flavor.choose_flavor("auto")),
}


@pytest.mark.parametrize("what", IN_IMAGE)
def test_messages_of_an_image(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    extra, act = IN_IMAGE[what]
    monkeypatch.setenv(IMAGE, "slim")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for module in (backends, flavor):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises((MissingPackageError, InputError)) as raised:
        act()
    assert how_to_install(extra) in str(raised.value)
    # Of what no image has, pip is named for the machine outside.
    assert not re.search(r"(?<!where )pip (un)?install", str(raised.value))


def _missing(extra: str) -> None:
    with needs(extra):
        import un_absent  # noqa: F401


def test_the_doctor_of_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(IMAGE, "slim")
    monkeypatch.setattr("un_deploy.pipeline.doctor.version_of", lambda _: None)
    install = {one.name: one.install for one in examine(load=False).extras}
    assert install["report"] == how_to_install("report")
    assert not install["cpu"].startswith("pip")


def test_no_other_place_advises_an_extra() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name != "install.py":
            assert not re.search(r"pip install .{0,3}un-deploy", path.read_text()), path
