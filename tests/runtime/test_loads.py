"""Loading runtimes: a crash, a hang or a failure of one is a line, and the others load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from un_deploy.runtime import loads
from un_deploy.runtime.loads import Load, driver_crash, load_each

TORCH = """
__version__ = "2.11.0"
class version: cuda = "13.0"
def zeros(count, device):
    assert (count, device) == (1, "cuda")
    {}
"""
TENSORRT = """
__version__ = "10.16.1"
class Logger: pass
def Builder(logger):
    import sys
    {}
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes modules of these names the only runtimes, which run this Python when loaded."""

    def installed(**texts: str) -> None:
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(loads, "find_spec", lambda name: name in texts or None)
        monkeypatch.setattr(loads, "version_of", lambda name: None)

    return installed


def test_what_is_here_loads() -> None:
    pytest.importorskip("onnxruntime")
    from importlib import metadata

    found = {one.name: one for one in load_each(cuda=False)}
    assert "libcuda" not in found
    version = metadata.version("onnxruntime")
    assert found["onnxruntime"] == Load("onnxruntime", version, "")


def test_a_crash_is_a_line(install) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    install(torch=TORCH.format(crash), tensorrt="__version__ = '11.4'", onnxruntime=crash)
    assert load_each(cuda=False) == (
        Load("onnxruntime", "", "crashes with SIGSEGV"),
        Load("torch", "2.11.0", ""),
        Load("tensorrt", "11.4", ""),
    )


def test_a_crash_once_it_reaches_the_gpu(install) -> None:
    install(torch=TORCH.format("import os; os.abort()"))
    assert load_each(cuda=True)[1:] == (Load("torch", "2.11.0", "crashes with SIGABRT"),)
    assert load_each(cuda=False) == (Load("torch", "2.11.0", ""),)


def test_a_failure_is_told_in_its_own_words(install) -> None:
    said = "The NVIDIA driver on your system is too old (found version 11040)."
    logged = "[TRT] [E] createInferBuilder: CUDA initialization failure with error: 35"
    install(
        torch=TORCH.format(f"raise RuntimeError({said!r} + chr(10) + 'Please update')"),
        tensorrt=TENSORRT.format(f"print({logged!r}, file=sys.stderr); raise TypeError('nullptr')"),
    )
    _, torch, tensorrt = load_each(cuda=True)
    assert torch == Load("torch", "2.11.0", f"RuntimeError: {said}")
    assert tensorrt == Load("tensorrt", "10.16.1", f"{logged}: TypeError: nullptr")


def test_a_missing_library_of_its_own(install) -> None:
    said = "libcudart.so.13: cannot open shared object file"
    install(tensorrt_rtx=f"raise ImportError({said!r})", torch=f"raise OSError({said!r})")
    torch, rtx = load_each(cuda=False)
    assert torch == Load("torch", "", f"OSError: {said}")
    assert rtx == Load("tensorrt_rtx", "", f"TensorRT-RTX does not load: {said}")


def test_a_hang_ends(install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "WITHIN_S", 0.5)
    install(torch="import time; time.sleep(600)")
    assert load_each(cuda=False) == (Load("torch", "", "does not load within 0.5 s"),)


def test_silence_and_a_wrong_exit(install) -> None:
    install(torch="import os; os._exit(7)")
    assert load_each(cuda=False) == (Load("torch", "", "ends with exit code 7"),)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Builds a stand-in of a library of the driver, which children load in its place."""
    compiler = which("cc") or which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")

    def built(name: str, code: str) -> None:
        (tmp_path / "library.c").write_text(code)
        command = [compiler, "-w", "-shared", "-fPIC", "library.c", "-o", name]
        subprocess.run(command, check=True, cwd=tmp_path)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))

    return built


def test_the_driver_is_tried_where_a_gpu_is_to_be_reached(install, library) -> None:
    """Error 803, as of a driver that does not fit."""
    library(
        "libcuda.so.1",
        "int cuInit(unsigned flags) { return 803; }\n"
        "int cuDriverGetVersion(int *version) { *version = 12040; return 0; }\n"
        "int cuGetErrorString(int code, const char **text) {\n"
        '    *text = code == 803 ? "unsupported display driver / cuda driver combination" : "no";\n'
        "    return 0;\n}\n",
    )
    install()
    assert load_each(cuda=True) == (
        Load("libcuda", "12.4", "unsupported display driver / cuda driver combination (803)"),
    )


def test_a_driver_that_crashes_when_it_is_asked(library) -> None:
    library("libnvidia-ml.so.1", "int nvmlInitWithFlags(int flags) { return *(volatile int *)0; }")
    assert driver_crash() == "libnvidia-ml crashes with SIGSEGV"


@pytest.mark.parametrize("code", ["int nvmlInitWithFlags(int flags) { return 18; }", ""])
def test_a_driver_that_answers_with_an_error_does_not_crash(code: str, library) -> None:
    library("libnvidia-ml.so.1", code)
    assert driver_crash() == ""


def test_the_working_directory_is_no_place_for_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise SystemExit('mine')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", ".")])
    pytest.importorskip("onnxruntime")
    assert load_each(cuda=False)[0].problem == ""


BASE = ("numpy", "onnx", "onnx-ir", "sympy", "mpmath", "nvidia-ml-py")


def test_packages_load() -> None:
    found = {one.name: one for one in load_each(cuda=False, packages=BASE)}
    assert found["packages"] == Load("packages", "", "")


@pytest.mark.parametrize("package", ["numpy", "onnx", "sympy"])
@pytest.mark.parametrize("first_file", [None, ""])
def test_an_emptied_package(
    package: str, first_file: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is there, and Python imports it without a word."""
    (tmp_path / package).mkdir()
    if first_file is not None:
        (tmp_path / package / "__init__.py").write_text(first_file)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    else:  # a folder without that file comes after all others
        lacks = [place for place in sys.path if not Path(place, package).is_dir()]
        monkeypatch.setattr(sys, "path", [str(tmp_path), *lacks])
    monkeypatch.setattr(loads, "find_spec", lambda name: None)
    monkeypatch.setattr(loads, "version_of", lambda name: None)
    (found,) = load_each(cuda=False, packages=(package,))
    assert found == Load("packages", "", f"{package} is empty")


@pytest.mark.parametrize("name", ["onnxruntime", "tensorrt_rtx"])
def test_an_emptied_runtime(
    name: str, install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(**{name: ""})
    (found,) = load_each(cuda=False)
    assert found.problem.startswith("AttributeError: module")


def test_a_runtime_of_which_only_the_metadata_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "find_spec", lambda name: None)
    monkeypatch.setattr(loads, "version_of", lambda name: "1" if name == "onnxruntime" else None)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if "site-packages" not in one])
    assert [one.name for one in load_each(cuda=False)] == ["onnxruntime"]


def test_what_tensorrt_rtx_builds_for(install) -> None:
    members = "{'NONE': 0, 'CURRENT': 1, 'SM80': 80, 'SM120': 120}"
    capability = f"class ComputeCapability: __members__ = {members}"
    install(
        tensorrt_rtx=f"{capability}\n{TENSORRT.format('pass')}", tensorrt=TENSORRT.format("pass")
    )
    told = {one.name: one.builds_for for one in load_each(cuda=False)}
    assert told == {"tensorrt": (), "tensorrt_rtx": ("80", "120")}
