"""The local bases: what stands for the official slim Python image and NVIDIA's TensorRT container.

Both are Debian with a system Python and pip. The second has what NVIDIA's has that matters here:
the real TensorRT bindings in the *system* Python, over libraries of ten lines; a trtexec double in
/opt/tensorrt/bin; a constraint on pip through the environment, and an entry point of its own.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.images.engine import PREFIX, ROOT, sh

SUITE = "bookworm"
SYSTEM_PYTHON = "3.11"
SITE = f"usr/local/lib/python{SYSTEM_PYTHON}/dist-packages"
BINDINGS = "tensorrt_cu13_bindings"
MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
HERE = Path(__file__).parent / "base"
SUPPORT = Path(__file__).parents[1] / "support" / "doubles"
DOUBLE = ("trtexec_double.py", "trtexec_evaluating.py")

LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
MAJOR = 11


def slim() -> str:
    """As the official slim image: a Python with pip, without documentation and without bytecode."""
    with TemporaryDirectory() as made:
        root = Path(made, "root.tar")
        sh(
            *("mmdebstrap", "--quiet", "--variant=minbase"),
            *("--include=python3,ca-certificates,usr-is-merged", f"--hook-dir={MERGED_USR}"),
            *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "locale", "info")),
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            '--customize-hook=find "$1/usr" -name __pycache__ -exec rm -rf {} +',
            *(SUITE, root),
        )
        site = Path(made, "site")
        _unpack("pip", site)
        return _commit("base-slim", [(root, "/"), (site, f"/{SITE}")])


def tensorrt(base: str) -> str:
    """The slim base with what makes it look like NVIDIA's TensorRT container."""
    with TemporaryDirectory() as made:
        site, libraries = Path(made, "site"), Path(made, "lib")
        _unpack(BINDINGS, site)
        # NVIDIA's container has them as `tensorrt`; PyPI splits off the libraries and renames.
        (site / f"{BINDINGS.split('_')[0]}_bindings").rename(site / "tensorrt")
        info = next(site.glob("*.dist-info"))
        version = info.name.removesuffix(".dist-info").split("-")[1]
        shutil.rmtree(info)
        info = site / f"tensorrt-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: tensorrt\nVersion: {version}\n"
        )
        libraries.mkdir()
        for name in LIBRARIES:
            soname = f"lib{name}.so.{MAJOR}"
            sh(
                *("gcc", "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{soname}"),
                *("-o", libraries / soname, HERE / "stub.c"),
            )
        pins = Path(made, "constraint.txt")
        pins.write_text("numpy==1.26.4\n")
        return _commit(
            "base-tensorrt",
            [
                (site, f"/{SITE}"),
                (libraries, "/usr/lib/x86_64-linux-gnu"),
                (HERE / "trtexec", "/opt/tensorrt/bin/trtexec"),
                *((SUPPORT / name, f"/opt/tensorrt/double/{name}") for name in DOUBLE),
                (pins, "/etc/pip/constraint.txt"),
            ],
            base,
            "--env=PIP_CONSTRAINT=/etc/pip/constraint.txt",
            '--entrypoint=["/opt/nvidia/nvidia_entrypoint.sh"]',
        )


def _unpack(package: str, folder: Path) -> None:
    """A wheel's files, as its installation would lay them out."""
    with TemporaryDirectory() as made:
        sh(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", made),
            *("--only-binary=:all:", "--python-version", SYSTEM_PYTHON),
            *("--constraint", ROOT / "docker" / "constraints.txt", package),
        )
        with zipfile.ZipFile(next(Path(made).iterdir())) as wheel:
            wheel.extractall(folder)


def _commit(tag: str, parts: list[tuple[Path, str]], base: str = "scratch", *settings: str) -> str:
    """A new image: a base, files on it, settings of it."""
    image = f"{PREFIX}:{tag}"
    container = sh("buildah", "from", "--pull-never", base)
    for source, place in parts:
        sh("buildah", "add", "--quiet", container, source, place)
    if base != "scratch":  # unlike the slim image, NVIDIA's has a compiled Python
        library = f"/usr/lib/python{SYSTEM_PYTHON}"
        compile_all = ("python3", "-m", "compileall", "-q", library)
        sh("buildah", "run", "--isolation=chroot", container, "--", *compile_all)
    if settings:
        sh("buildah", "config", *settings, container)
    sh("buildah", "commit", "--quiet", "--format=docker", "--rm", container, image)
    return image
