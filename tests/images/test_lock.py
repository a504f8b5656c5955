"""docker/lock/: the constraints' versions, each file by its hash, and nothing missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "docker" / "lock"
EXTRAS = ("cpu", "gpu", "rtx", "report", "triton")
NAMES = ("core", *EXTRAS, "tools")


def locked(name: str) -> dict[str, tuple[str, int]]:
    """The version of each package of a file, and how many hashes it has."""
    entries = (LOCK / f"{name}.txt").read_text().replace("\\\n", " ").splitlines()
    found = {}
    for entry in entries:
        package, version = entry.split()[0].split("==")
        found[canonicalize_name(package)] = version, len(re.findall("--hash=sha256:", entry))
    return found


def constrained() -> dict[str, str]:
    files = (ROOT / "constraints.txt", ROOT / "docker" / "constraints.txt")
    lines = [line for file in files for line in file.read_text().splitlines() if "==" in line]
    pairs = (line.split("==") for line in lines)
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_has_the_constraints_versions_and_hashes(name: str) -> None:
    entries, versions = locked(name), constrained()
    assert entries
    assert {package: version for package, (version, _) in entries.items()} == {
        package: versions[package] for package in entries
    }
    assert all(hashes for _, hashes in entries.values())


@pytest.mark.parametrize("extra", ("", *EXTRAS))
def test_all_that_an_extra_asks_for_is_in_its_lock(extra: str) -> None:
    there = locked("core") | (locked(extra) if extra else {})
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["optional-dependencies"][extra] if extra else project["dependencies"]
    assert asked
    names = {canonicalize_name(Requirement(text).name) for text in asked}
    assert names <= there.keys()


def test_there_is_a_lock_for_each_and_no_other() -> None:
    assert sorted(path.stem for path in LOCK.glob("*.txt")) == sorted(NAMES)
