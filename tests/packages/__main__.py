"""Makes the sdist and the wheel, checks them, and installs the wheel on two Pythons.

    python -m tests.packages

Both stay in build/package/dist. The wheel is made from the sdist, so that it holds what a build
from there needs. It is installed, without torch, in an empty environment of the lowest and of the
highest Python that this machine has and the package declares.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "package"
DIST = PLACE / "dist"
DECLARED = range(10, 14)
"""Minor versions of Python 3 in pyproject.toml's classifiers."""

IN_WHEEL = {
    "un_deploy/py.typed",
    "un_deploy/measure/report/page/page.html.jinja",
    "un_deploy/models/checkpoints/vit_micro_un_seed0.pt",
    "un_deploy/models/data/fashion_mnist_test_1000.npz",
}
IN_SDIST = {
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "LICENSE",
    "pyproject.toml",
    "hatch_build.py",
}

PINNED = ("-c", str(ROOT / "constraints.txt"))


def main() -> None:
    """All of it, in an empty folder; what waits for the index waits side by side."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    tools = environment(Path(sys.executable), "tools")
    install(tools, *PINNED, "hatchling")
    sh(tools, "-m", "hatchling", "build", "-t", "sdist", "-d", str(DIST), cwd=ROOT)
    (sdist,) = DIST.glob("*.tar.gz")
    check_sdist(sdist)
    shutil.unpack_archive(sdist, PLACE / "source")
    (source,) = (PLACE / "source").iterdir()
    sh(tools, "-m", "hatchling", "build", "-t", "wheel", "-d", str(DIST), cwd=source)
    (wheel,) = DIST.glob("*.whl")
    check_wheel(wheel)
    pythons = dict(interpreters())
    print(f"Pythons here: {', '.join(f'3.{minor}' for minor in sorted(pythons))}", flush=True)
    with ThreadPoolExecutor() as pool:
        tasks = [pool.submit(check_upload, tools, sdist, wheel)]
        for minor in {min(pythons), max(pythons)}:
            tasks.append(pool.submit(check_installed, pythons[minor], minor, wheel))
        for task in tasks:
            task.result()


def check_upload(tools: Path, sdist: Path, wheel: Path) -> None:
    """What an index would say to them."""
    install(tools, *PINNED, "twine")
    sh(tools, "-m", "twine", "--no-color", "check", "--strict", str(sdist), str(wheel))


def check_installed(interpreter: Path, minor: int, wheel: Path) -> None:
    """The wheel alone in an empty environment."""
    python = environment(interpreter, f"python3.{minor}")
    install(python, str(wheel))
    folder = PLACE / f"work3.{minor}"
    folder.mkdir()
    script = shutil.copy(Path(__file__).with_name("inside.py"), folder)
    sh(python, "-I", str(script), cwd=folder)
    print(f"Python 3.{minor}: installed, folds, proves", flush=True)


def interpreters() -> Iterator[tuple[int, Path]]:
    """Minor version and path of what is on PATH, or of pyenv, and runs."""
    homes = sorted(Path.home().glob(".pyenv/versions/*/bin"))
    for minor in DECLARED:
        found = (shutil.which(f"python3.{minor}", path=str(home)) for home in homes)
        for path in (shutil.which(f"python3.{minor}"), *found):
            if path and runs(path, minor):
                yield minor, Path(path)
                break


def runs(path: str, minor: int) -> bool:
    """A shim of pyenv is there whether or not its Python is."""
    asked = "import ssl, sys, venv; print(sys.version_info[1])"
    done = subprocess.run([path, "-c", asked], capture_output=True, text=True)
    return done.stdout.strip() == str(minor)


def environment(python: Path, name: str) -> Path:
    """Its Python, with the pip that came with it: an older one knows no newer Python."""
    sh(python, "-m", "venv", str(PLACE / name))
    return PLACE / name / "bin" / "python"


def install(python: Path, *what: str) -> None:
    """Into an environment."""
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check")
    sh(python, *pip, "install", "--no-compile", *what)


def check_sdist(sdist: Path) -> None:
    """What is in it, and what is not."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= IN_SDIST, IN_SDIST - names
    first = {name.partition("/")[0] for name in names}
    assert not first & {"build", "data", "out", "demo-out", ".venv", ".ci", "oom"}, first


def check_wheel(wheel: Path) -> None:
    """What is in it, and that its page has no link that leads nowhere."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        page = archive.read(metadata).decode()
    assert names >= IN_WHEEL, IN_WHEEL - names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"un_deploy"}
    assert "Classifier: Operating System :: POSIX :: Linux" in page
    assert not re.search(r"\]\((?!https?:)", page)


def sh(python: Path, *arguments: str, cwd: Path | None = None) -> None:
    """Run it; what it says is shown."""
    subprocess.run([str(python), *arguments], cwd=cwd, check=True)


if __name__ == "__main__":
    main()
