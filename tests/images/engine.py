"""Builds and runs images with buildah and podman: what `docker build` and `docker run` would do."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PREFIX = "localhost/un-deploy-test"

#: What a package index behind a proxy needs, mounted while the image is built, where it exists.
SECRETS = {"pip-conf": Path("/etc/pip.conf"), "ca": Path("/etc/ssl/certs/ca-certificates.crt")}

#: The user of the locked containers, whom no image knows.
ANY_USER = 12345

#: What this machine asks for: limits that a container may set although its host has lower ones.
#: podman runs health checks through systemd, which is not everywhere; they are run by hand.
HERE = ("--ulimit=nofile=1024:20000", "--ulimit=nproc=4096:4096", "--no-healthcheck")
#: As locked down as a container can be.
LOCKED = (
    f"--user={ANY_USER}:0",
    "--network=none",
    "--read-only",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    *HERE,
)
PODMAN = ("podman", "--runtime=runc")

_began = time.monotonic()


@dataclass(frozen=True)
class Done:
    """What a command in a container came to."""

    code: int
    out: str
    err: str


def say(what: str) -> None:
    """A line of progress, at once, with the seconds since the beginning."""
    print(f"[{time.monotonic() - _began:5.0f} s] {what}", flush=True)


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
        sh("podman", "rmi", "--force", *sorted(set(images)))


def build(
    tag: str,
    base: str,
    target: str = "default",
    *options: str,
    context: Path = ROOT,
) -> str:
    """Build a target from a source folder, on a base that is here already; the image's name."""
    image = f"{PREFIX}:{tag}"
    command = [
        # Without the format HEALTHCHECK is dropped.
        *("buildah", "bud", "--layers", "--format=docker", "--isolation=chroot", "--pull=never"),
        *(f"--secret=id={name},src={path}" for name, path in SECRETS.items() if path.is_file()),
        *(f"--build-arg=BASE_IMAGE={base}", f"--target={target}", *options),
        *(f"--file={context / 'docker' / 'Dockerfile'}", f"--tag={image}", str(context)),
    ]
    say(f"building {tag}")
    said = []
    with subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if " STEP " in line and any(verb in line for verb in (": RUN ", ": COPY --from")):
                say(" ".join(line.split())[:95])
    if process.returncode:
        raise SystemExit(f"{''.join(said[-60:])}exit code {process.returncode}: {tag}")
    return image


def layers(image: str) -> list[str]:
    """The digests of an image's layers, the base's first."""
    found: list[str] = json.loads(sh("podman", "image", "inspect", image))[0]["RootFS"]["Layers"]
    return found


def run(
    image: str,
    *command: str,
    entrypoint: str | None = None,
    mounts: Mapping[Path, str] | None = None,
    options: Sequence[str] = (),
    lock: Sequence[str] = LOCKED,
    stdin: str | None = None,
) -> Done:
    """Run a command in a fresh container.

    Args:
        image: its name.
        command: arguments for the entry point.
        entrypoint: instead of the image's own.
        mounts: host folders, and where they are in the container with their options.
        options: further ones of ``podman run``.
        lock: what the container is not given; without it what this machine asks for.
        stdin: what the command reads.
    """
    done = subprocess.run(
        [
            *(*PODMAN, "run", "--rm", *lock, *options, *([] if stdin is None else ["-i"])),
            *(f"--volume={path}:{place}" for path, place in (mounts or {}).items()),
            *([] if entrypoint is None else [f"--entrypoint={entrypoint}"]),
            *(image, *command),
        ],
        text=True,
        capture_output=True,
        input=stdin,
    )
    return Done(done.returncode, done.stdout, done.stderr)
