"""examples/pipeline.sh inside an image, from ONNX files, and each of its gates seen to fail.

    python3 -m tests.images.walk IMAGE [UN.onnx LN.onnx]

Read-only root, a user whom the image does not know, no network, one CPU and 1 GB of memory. The
second form walks your own files once, without the gates, and says how long it took; SHAPES,
BATCHES, BUILDS and ROUNDS of the environment are the pipeline's.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.images.checks import INSIDE, Checks, networks
from tests.images.engine import LOCKED, ROOT, Done, run, say

LIMITS = ("--cpus=1", "--memory=1g")
FEW = {"BATCHES": "1", "BUILDS": "2", "ROUNDS": "4"}
MISSED = 3


def walk(image: str, folder: Path, out: str = "out", **variables: str) -> Done:
    """The pipeline on un.onnx and ln.onnx of a folder."""
    given = {"UN": "un.onnx", "LN": "ln.onnx", "SHAPES": "x:2x32x96", **variables}
    return run(
        *(image, "bash", "/pipeline/pipeline.sh", out),
        mounts={folder: "/work", ROOT / "examples": "/pipeline:ro", INSIDE: "/inside:ro"},
        options=[*LIMITS, *(f"--env={name}={value}" for name, value in given.items())],
        lock=LOCKED,
    )


def check_walk(checks: Checks) -> None:
    """To its last line, ungated; then every step fails, and nothing behind it runs."""
    with networks(checks.image) as folder:
        done = walk(checks.image, folder, **FEW)
        checks.ends("the pipeline runs under one CPU and 1 GB", done)
        last = folder / "out" / "repository" / "network" / "config.pbtxt"
        checks.that("to its last line", last.is_file(), done)
        if not last.is_file():
            return
        report = json.loads((folder / "out" / "compare.json").read_text())
        (folder / "better.json").write_text(json.dumps(_faster(report)))
        (folder / "text.onnx").write_text("no network")
        gates = {
            "fold": ({"UN": "text.onnx"}, 1, "is not an ONNX file"),
            "verify": ({"UN_DEPLOY": "/inside/swapping.sh"}, MISSED, "not equal"),
            "build": ({"SHAPES": "none:2x32x96"}, 1, "names none"),
            "the error limit": ({"MAX_ERROR": "1e-30"}, MISSED, "more than 1e-30"),
            # Not reached, or not judged on an unsteady machine.
            "the speed-up": ({"MIN_SPEEDUP": "100"}, MISSED, "UN folded"),
            "the older report": ({"BASELINE": "better.json"}, MISSED, "folded was"),
        }
        for index, (gate, (variables, code, says)) in enumerate(gates.items()):
            out = f"out{index}"
            done = walk(checks.image, folder, out, **FEW, **variables)
            checks.ends(f"the gate of {gate} fails", done, code=code, says=says)
            behind = (folder / out / "repository").exists()
            checks.that(f"and nothing behind {gate} runs", not behind)


def _faster(report: dict[str, object]) -> dict[str, object]:
    """The report of a run so fast that it lies beyond any interval, two builds' own included."""
    text = json.loads(json.dumps(report))
    for ratio in _ratios(text):
        for name in ("value", "low", "high"):
            if name in ratio:
                ratio[name] *= 1e9
    return text


def _ratios(value: object) -> list[dict[str, float]]:
    if isinstance(value, dict):
        own = [value] if {"low", "high"} <= value.keys() else []
        return own + [found for part in value.values() for found in _ratios(part)]
    if isinstance(value, list):
        return [found for part in value for found in _ratios(part)]
    return []


def main(image: str, *files: str) -> int:
    """Walk in an image that is there already."""
    if not files:
        checks = Checks(image)
        check_walk(checks)
        return int(bool(checks.failed))
    with TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o777)
        for source, name in zip(files, ("un.onnx", "ln.onnx"), strict=True):
            shutil.copy(source, folder / name)
        say("the pipeline begins")
        names = ("SHAPES", "BATCHES", "BUILDS", "ROUNDS")
        done = walk(image, folder, **{name: os.environ.get(name, "") for name in names})
        print(done.out, done.err, sep="\n")
        say(f"exit code {done.code}")
        return done.code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
