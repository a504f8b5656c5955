"""Does a fold under a quota of one CPU take at most 1.2 times one with one thread?

    python3 -m tests.images.quota IMAGE UN.onnx [ROUNDS]

A measurement, not a part of `make image-test`: it needs a quiet machine, and refuses a busy one.
The two are run in turn, in containers of their own; the ratio is that of their medians.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.images.engine import LOCKED, run, say

MOST = 1.2
BUSY = 1.0
"""Load average, over a minute, above which other work would be measured too."""

WAYS = {"quota": ("--cpus=1",), "thread": ("--env=OMP_NUM_THREADS=1",)}
FOLD = "TIMEFORMAT=%R; time un-deploy fold /work/un.onnx -o /tmp/folded.onnx > /tmp/said"


def seconds(image: str, folder: Path, way: str) -> float:
    """What a fold took, without the start of its container.

    Raises:
        SystemExit: the fold fails.
    """
    mounts = {folder: "/work:ro"}
    done = run(image, "bash", "-c", FOLD, mounts=mounts, options=WAYS[way], lock=LOCKED)
    if done.code:
        raise SystemExit(f"{done.out}{done.err}")
    return float(done.err.split()[-1])


def main(image: str, file: str, rounds: str = "5") -> int:
    """Print each time and the ratio; 1 where it is above 1.2, 2 on a busy machine."""
    if (load := os.getloadavg()[0]) > BUSY:
        print(f"the load is {load:.1f}, above {BUSY}: nothing is measured", file=sys.stderr)
        return 2
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    with TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        shutil.copy(file, folder / "un.onnx")
        for _ in range(int(rounds)):
            for way, found in took.items():
                found.append(seconds(image, folder, way))
                say(f"{' '.join(WAYS[way])}: {found[-1]:.1f} s")
    quota, thread = (median(found) for found in took.values())
    say(f"{quota:.1f} s under the quota, {thread:.1f} s with one thread: {quota / thread:.2f}")
    return int(quota > MOST * thread)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
