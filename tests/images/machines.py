"""Whether the locked packages are there for a machine that is not this one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.images.engine import ROOT
from tests.images.runners import TOOLS

#: The glibc of a wheel, at most that of Debian 12.
GLIBC = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 37)))
#: That of the bases: python:3.12-slim-bookworm, and NVIDIA's.
PYTHON = "3.12"
#: Source only, and plain Python: for another machine pip takes wheels alone.
SOURCE = "tensorrt-rtx-cu13=="


def check_arm64() -> list[str]:
    """What of docker/lock/ has no file for 64-bit Arm, by its hash, in the index's own words."""
    missing = []
    for lock in sorted((ROOT / "docker" / "lock").glob("*.txt")):
        said = _resolve(lock, "aarch64")
        print(f"          {'FAILED' if said else 'ok    '}  {lock.name} on arm64", flush=True)
        missing += [f"arm64: {lock.name}: {said}"] if said else []
    return missing


def _resolve(lock: Path, machine: str) -> str:
    """Empty where pip would install all of a lock file there; it downloads nothing."""
    entries = lock.read_text().replace("\\\n", " ").splitlines()
    with TemporaryDirectory() as made:
        wanted = Path(made, "wanted.txt")
        wanted.write_text("\n".join(line for line in entries if not line.startswith(SOURCE)))
        done = subprocess.run(
            [
                *(TOOLS / "bin/python", "-m", "pip", "install", "--quiet", "--dry-run"),
                *("--no-deps", "--require-hashes", "--only-binary=:all:", f"--target={made}"),
                *(f"--python-version={PYTHON}", *(f"--platform={one}_{machine}" for one in GLIBC)),
                *("--requirement", wanted),
            ],
            text=True,
            capture_output=True,
        )
    return done.stderr.strip()[-400:] if done.returncode else ""
