"""Installs the bindings of several versions of TensorRT over libraries that do nothing.

    python -m tests.support.tensorrt_api.install build/tensorrt-api

Needs the package index and gcc. `tensorrt_bindings` imports `tensorrt_libs`, which opens three
libraries before the bindings ask for them by name. Here the bindings are the real ones, and the
libraries hold only the functions that they are linked against, which all return nothing: so
everything imports, and nothing can be made, as on a machine without a driver.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BINDINGS = {
    "10.0.1": "tensorrt_cu12_bindings",
    "10.16.1.11": "tensorrt_cu13_bindings",
    "11.4.0.106": "tensorrt_cu13_bindings",
}
"""The package by version: the first of TensorRT 10, the last of it, and the newest."""

LIBRARIES = {
    "nvinfer": (
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "getBuilderPluginRegistry",
        "getPluginRegistry",
    ),
    "nvinfer_plugin": ("initLibNvInferPlugins",),
    "nvonnxparser": (
        "createNvOnnxParser_INTERNAL",
        "createNvOnnxParserRefitter_INTERNAL",
        "getNvOnnxParserVersion",
    ),
}
"""The functions that the bindings are linked against, by the library they are expected in."""

_OPENER = """import ctypes
from pathlib import Path

for library in sorted(Path(__file__).parent.glob("lib*.so.*")):
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
"""


def install(version: str, root: Path) -> Path:
    """The folder from which this version's ``tensorrt_bindings`` are imported; made once.

    Raises:
        subprocess.CalledProcessError: pip or gcc failed; they have said why.
    """
    folder = root / version
    libs = folder / "tensorrt_libs"
    if (libs / "__init__.py").exists():
        return folder
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    only = ("--no-deps", "--only-binary", ":all:", "--upgrade", "--target", str(folder))
    subprocess.run([*pip, *only, f"{BINDINGS[version]}=={version}"], check=True)
    libs.mkdir(exist_ok=True)
    for name, functions in LIBRARIES.items():
        file = f"lib{name}.so.{version.partition('.')[0]}"
        source = "".join(f"void *{function}(void) {{ return 0; }}\n" for function in functions)
        gcc = ("gcc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{file}", "-o")
        subprocess.run([*gcc, str(libs / file)], input=source, text=True, check=True)
    (libs / "__init__.py").write_text(_OPENER)
    return folder


if __name__ == "__main__":
    for wanted in BINDINGS:
        print(install(wanted, Path(sys.argv[1])))
