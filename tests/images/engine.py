"""Builds and runs images with buildah and podman: what `docker build` and `docker run` would do."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PREFIX = "localhost/un-deploy-test"

#: What a package index behind a proxy needs, mounted while the image is built, where it exists.
SECRETS = {"pip-conf": Path("/etc/pip.conf"), "ca": Path("/etc/ssl/certs/ca-certificates.crt")}

#: As locked down as a container can be. The user is none that the image knows.
LOCKED = (
    "--user=12345:0",
    "--network=none",
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    # Limits that a container may set although its host has lower ones.
    "--ulimit=nofile=1024:20000",
    "--ulimit=nproc=4096:4096",
    # podman runs health checks through systemd, which is not everywhere; they are run by hand.
    "--no-healthcheck",
)
PODMAN = ("podman", "--runtime=runc")


@dataclass(frozen=True)
class Done:
    """What a command in a container came to."""

    code: int
    out: str
    err: str


def sh(*command: str | Path) -> str:
    """Run a program that must succeed; its standard output."""
    done = subprocess.run([*map(str, command)], text=True, capture_output=True)
    if done.returncode:
        shown = " ".join(map(str, command))
        raise SystemExit(f"{done.stdout}{done.stderr}exit code {done.returncode}: {shown}")
    return done.stdout.strip()


def forget() -> None:
    """Remove the images of an earlier run, which would stay nameless when their names go."""
    images = sh("podman", "images", "--quiet", f"--filter=reference={PREFIX}").split()
    if images:
        sh("podman", "rmi", "--force", *images)


def build(dockerfile: str, tag: str, base: str, arguments: Mapping[str, str] | None = None) -> str:
    """The image's name, built from the project's root on a base that is here already."""
    image = f"{PREFIX}:{tag}"
    given = {"BASE_IMAGE": base, **(arguments or {})}
    sh(
        # Without the format HEALTHCHECK is dropped.
        *("buildah", "bud", "--quiet", "--format=docker", "--isolation=chroot", "--pull=never"),
        *(f"--secret=id={name},src={path}" for name, path in SECRETS.items() if path.is_file()),
        *(f"--build-arg={name}={value}" for name, value in given.items()),
        *(f"--file={ROOT / 'docker' / dockerfile}", f"--tag={image}", ROOT),
    )
    return image


def run(
    image: str,
    *command: str,
    entrypoint: str | None = None,
    mounts: Mapping[Path, str] | None = None,
    options: Sequence[str] = (),
) -> Done:
    """Run a command in a fresh, locked container.

    Args:
        image: its name.
        command: arguments for the entry point.
        entrypoint: instead of the image's own.
        mounts: host folders, and where they are in the container with their options.
        options: further ones of ``podman run``.
    """
    done = subprocess.run(
        [
            *(*PODMAN, "run", "--rm", *LOCKED, *options),
            *(f"--volume={path}:{place}" for path, place in (mounts or {}).items()),
            *([] if entrypoint is None else [f"--entrypoint={entrypoint}"]),
            *(image, *command),
        ],
        text=True,
        capture_output=True,
    )
    return Done(done.returncode, done.stdout, done.stderr)
