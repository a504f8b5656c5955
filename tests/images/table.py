"""Sizes and times of the images: measured, and written as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.images import bases
from tests.images.engine import ROOT, run, sh

COMMITTED = ROOT / "benchmarks" / "results" / "images.json"
STARTS = 5
MB = 1e6

#: What the table says of an image, and in which unit.
ROWS = {
    "uncompressed_mb": "uncompressed, with its base, MB",
    "compressed_mb": "compressed, MB",
    "help_s": "`--help` inside, s",
    "help_with_container_start_s": "`--help` with the container's start, s",
}
ALL_ROWS = {
    "changed_line_s": "building after a changed line of source, s",
    "changed_line_mb": "new layers after it, MB",
    "image_test_s": "`make image-test`, s",
}


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
    return {
        "uncompressed_mb": size_mb(image),
        "compressed_mb": round(compressed / MB, 1),
        "help_s": round(facts["start_s"], 3),
        "help_with_container_start_s": round(statistics.median(taken), 3),
        "python": facts["python"],
    }


def size_mb(image: str) -> float:
    """Megabytes of an image with its base."""
    return round(int(sh("podman", "image", "inspect", "--format={{.Size}}", image)) / MB, 1)


def write(result: Path, images: dict[str, dict[str, Any]], base: str, took: dict[str, Any]) -> None:
    """The JSON file, and the table beside it; ``before`` is carried on from the committed file."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    told = {
        "environment": {
            "cpu": next(line.split(":")[1].strip() for line in cpus if "model name" in line),
            "cpus": os.cpu_count(),
            "load_average": round(os.getloadavg()[2], 1),
            "system": f"{platform.system()} {platform.machine()}",
            "podman": sh("podman", "--version").split()[-1],
            "buildah": sh("buildah", "--version").split()[2],
        },
        "base": {
            "what": f"Debian {bases.SUITE} minbase with python3 and pip (mmdebstrap)",
            "uncompressed_mb": size_mb(base),
        },
        "images": images,
        **took,
        "before": json.loads(COMMITTED.read_text())["before"],
    }
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(told, indent=2) + "\n")
    result.with_suffix(".md").write_text(table(told))


def table(told: dict[str, Any]) -> str:
    """The result as a table of Markdown, the earlier images beside today's."""
    before = told["before"]
    columns = [(f"{name}, before", found) for name, found in before["images"].items()]
    columns += list(told["images"].items())
    names = [name for name, _ in columns]
    lines = ["# The images' sizes and times", "", before["what"], ""]
    lines += [f"| | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for key, row in ROWS.items():
        lines.append(f"| {row} | {' | '.join(str(found[key]) for _, found in columns)} |")
    lines += ["", "| | before | now |", "|---|---:|---:|"]
    for key, row in ALL_ROWS.items():
        lines.append(f"| {row} | {before[key]} | {told[key]} |")
    where = told["environment"]
    machine = f"{where['cpu']}, {where['cpus']} CPUs with a load of {where['load_average']}"
    machine += f", buildah {where['buildah']}"
    lines += ["", f"On {machine}; the base ({told['base']['what']}) has "]
    lines[-1] += f"{told['base']['uncompressed_mb']} MB. Written by `make image-table`."
    return "\n".join(lines) + "\n"
