"""Prints, as JSON, what an image looks like from inside. Runs in it, in its own Python."""

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time
from importlib import import_module, metadata
from pathlib import Path

HOME = Path("/opt/un-deploy")
LIBRARY = Path(sysconfig.get_path("purelib"))
STDLIB = Path(sysconfig.get_path("stdlib"))
MODULES = ("un_deploy", "onnxruntime", "tensorrt", "tensorrt_rtx", "torch")
INSTALLERS = ("pip", "setuptools", "wheel", "ensurepip", "pkg_resources")
RESIDUES = (
    *("/etc/pip.conf", "/run/secrets", "/root/.cache", "/tmp/slim.sh"),
    *("/src", "/sbom", "/more", "/package", "/large", "/opt/tools"),
)
UNCHECKED_HASH = 0b01
STARTS = 15


def place_of(module: str) -> str | None:
    """Where a module comes from once imported; None where it is not there."""
    if importlib.util.find_spec(module) is None:
        return None
    return import_module(module).__file__


def uncompiled(folder: Path, *, unchecked: bool) -> list[str]:
    """Python files without the bytecode that this Python takes."""
    found = []
    for source in folder.rglob("*.py"):
        compiled = Path(importlib.util.cache_from_source(str(source)))
        head = compiled.read_bytes()[:16] if compiled.is_file() else b""
        right = head[:4] == importlib.util.MAGIC_NUMBER
        if unchecked:
            right = right and int.from_bytes(head[4:8], "little") == UNCHECKED_HASH
        else:
            right = right and int.from_bytes(head[8:12], "little") == int(source.stat().st_mtime)
        if not right:
            found.append(str(source))
    return found


def start_s() -> float:
    """Seconds of `un-deploy --help`, the median of fresh processes."""
    taken = []
    for _ in range(STARTS):
        begin = time.perf_counter()
        subprocess.run(["un-deploy", "--help"], stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


def normal(name: str) -> str:
    """A name as PyPI compares it."""
    return name.lower().replace("_", "-").replace(".", "-")


def versions(path: list[str]) -> dict[str, str]:
    """Names and versions of the distributions there."""
    return {
        normal(found.metadata["Name"]): found.version for found in metadata.distributions(path=path)
    }


def system_packages() -> dict[str, str]:
    """Names and versions of what dpkg has installed."""
    form = "--showformat=${Package} ${Version} ${db:Status-Status}\n"
    told = subprocess.run(
        ["dpkg-query", "--show", form], check=True, capture_output=True, text=True
    )
    lines = map(str.split, told.stdout.splitlines())
    return {name: version for name, version, status in lines if status == "installed"}


def listed(kind: str) -> dict[str, str]:
    """Names and versions in the SBOM whose package URL is of a kind."""
    return {
        part["name"]: part["version"]
        for part in sbom["components"]
        if part.get("purl", "").startswith(f"pkg:{kind}/")
    }


sbom = json.loads((HOME / "sbom.cdx.json").read_text())
documents = [
    str(path)
    for place in ("/usr/share/doc", "/usr/share/man", "/usr/local/share/man", f"{HOME}/share")
    for path in Path(place).rglob("*")
    if path.is_file() and path.name != "copyright"
]
facts = {
    "user": [os.getuid(), os.getgid()],
    "python": sys.version.split()[0],
    "distributions": versions([str(LIBRARY)]),
    "modules": {module: place_of(module) for module in MODULES},
    "prefix": str(HOME),
    "library": str(LIBRARY),
    "packages": sorted(path.name for path in LIBRARY.iterdir() if path.is_dir()),
    "onnxruntime_files": [path.name for path in (LIBRARY / "onnxruntime" / "capi").iterdir()],
    "trtexec": shutil.which("trtexec"),
    "installers": [
        str(path)
        for place in (HOME / "lib", Path("/usr/lib"), Path("/usr/local/lib"))
        for name in INSTALLERS
        for path in place.glob(f"python3*/**/{name}/__init__.py")
    ],
    "residues": [path for path in RESIDUES if os.path.lexists(path)],
    "documents": documents,
    "uncompiled": uncompiled(HOME, unchecked=True),
    "uncompiled_stdlib": uncompiled(STDLIB, unchecked=False),
    "sbom": {
        "format": sbom["bomFormat"],
        "pypi": {normal(name): version for name, version in listed("pypi").items()},
        "deb": listed("deb"),
    },
    "system_packages": system_packages(),
    "start_s": start_s(),
}
print(json.dumps(facts))
