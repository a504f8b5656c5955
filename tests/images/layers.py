"""What a change makes anew of an image, and whether two builds give equal layers.

    python3 -m tests.images.layers

The second is `make image-reproducible`: two builds without a cache, one after the other.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.images import bases
from tests.images.checks import Checks
from tests.images.engine import PREFIX, ROOT, build, layers, say, sh

LIMIT_MB = 10.0
MB = 1e6
#: The time of every file and of the image itself.
STAMP = "--timestamp=1577836800"


def check_layers(checks: Checks, base: str) -> dict[str, float]:
    """A changed source line makes small layers anew, a new revision none.

    Returns:
        ``changed_line_mb`` and ``changed_line_s``: what the changed line cost.
    """
    with TemporaryDirectory() as made:
        context = Path(made)
        copy_sources(context)
        with (context / "un_deploy" / "version.py").open("a") as file:
            file.write("# a changed line\n")
        begin = time.monotonic()
        changed = build("changed", base, context=context)
        took = time.monotonic() - begin
    label = "--label=org.opencontainers.image.revision=another"
    relabelled = build("relabelled", base, "default", label)
    before = layers(checks.image)
    new = [one for one in layers(changed) if one not in before]
    size = sum(sizes(changed)[-len(new) :]) / MB if new else 0.0
    checks.that("a changed line is in the image", bool(new))
    checks.that(f"it makes at most {LIMIT_MB:.0f} MB anew", size <= LIMIT_MB, f"{size} MB, {new}")
    checks.that("a new revision makes no layer", layers(relabelled) == before, layers(relabelled))
    told = json.loads(sh("podman", "image", "inspect", relabelled))[0]["Labels"]
    stated = told["org.opencontainers.image.revision"]
    checks.that("but the label", stated == "another", stated)
    sh("podman", "rmi", "--force", changed, relabelled)
    return {"changed_line_mb": round(size, 1), "changed_line_s": round(took, 1)}


def sizes(image: str) -> list[int]:
    """Bytes of each layer, uncompressed, the base's first."""
    entries: list[dict[str, Any]] = json.loads(sh("podman", "history", "--format=json", image))
    return [entry["size"] for entry in reversed(entries) if entry["size"]]


def copy_sources(folder: Path) -> None:
    """The files of a build, which .dockerignore lets through, with their times."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    read = {line[1:].split("/")[0] for line in lines if line.startswith("!")}
    for name in (*sorted(read), ".dockerignore"):
        source, place = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, place)


def main() -> int:
    """Build twice from copies of the sources that differ in their times, and compare."""
    base = bases.slim()
    built = []
    for tag in ("first", "second"):
        with TemporaryDirectory() as made:
            copy_sources(Path(made))
            for path in Path(made).rglob("*"):
                path.touch()
            options = ("--no-cache", STAMP)
            built.append(build(tag, base, "default", *options, context=Path(made)))
    one, two = map(layers, built)
    for index, (first, second) in enumerate(zip(one, two, strict=True)):
        say(f"layer {index}: {'equal' if first == second else 'DIFFERENT'}  {first}")
    sh("podman", "rmi", "--force", *(f"{PREFIX}:{tag}" for tag in ("first", "second")))
    return int(one != two)


if __name__ == "__main__":
    sys.exit(main())
