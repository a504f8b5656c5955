"""CONTRIBUTING.md maps every room, and its how-tos can be followed to the letter."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAP = PAGE.split("## The map")[1].split("## Glossary")[0]
MAPPED = [
    name.rstrip("/") for name in re.findall(r"^\| (?:\*\*)?`([^`]+)`", MAP, flags=re.MULTILINE)
]
PATH = r"`((?:un_deploy|tests)/[a-z_/]+\.py)`"


def test_every_room_is_in_the_map() -> None:
    package = ROOT / "un_deploy"
    rooms = {file.parent for file in package.rglob("*.py")} - {package}
    assert {str(room.relative_to(package)) for room in rooms} <= {
        name.removeprefix("un_deploy/") for name in MAPPED
    }


@pytest.mark.parametrize("name", MAPPED)
def test_what_is_in_the_map_is_there(name: str) -> None:
    assert (ROOT / name).exists() or (ROOT / "un_deploy" / name).exists()


ROWS = re.findall(r"^\| (?:\*\*)?`(.*?)/`(?:\*\*)? \| (.*) \|$", MAP, flags=re.MULTILINE)


@pytest.mark.parametrize(("room", "text"), ROWS, ids=[room for room, _ in ROWS])
def test_the_files_that_the_map_names_are_there(room: str, text: str) -> None:
    folder = next(path for path in (ROOT / "un_deploy" / room, ROOT / room) if path.is_dir())
    for name in re.findall(r"`([a-z_0-9]+)`", text):
        assert (folder / f"{name}.py").exists(), name


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "docs/decisions.md", "docs/how-folding-works.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(((?!https?:)[^)]+)\)", text)
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def anchors(text: str) -> set[str]:
    """Those that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def files_of(how_to: str) -> dict[str, str]:
    """The files that a how-to shows, by the name that stands last before each."""
    parts = re.split(r"   ```python\n(.*?)   ```\n", how_to, flags=re.DOTALL)
    named = [re.findall(PATH, text) for text in parts[::2]]
    code = [re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in parts[1::2]]
    files = {}
    for paths, block in zip(named, code, strict=False):
        new = [path for path in paths if not (ROOT / path).exists()]
        assert new, f"{paths} are in the project already: let the how-to show another example"
        files[new[-1]] = block
    return files


ENTRIES = (
    ("un_deploy/cli/__init__.py", "COMMANDS = {", '    "operators": "operators",'),
    ("un_deploy/nn/unified_norm.py", '    "official": OfficialRule,', '    "plain": PlainRule,'),
    (
        "un_deploy/nn/unified_norm.py",
        "from un_deploy.nn.paper import PaperRule",
        "from un_deploy.nn.plain import PlainRule",
    ),
)
"""What the how-tos say in words: file, a line of it, and the line to add behind that."""


@pytest.mark.torch
def test_the_how_tos_work(tmp_path: Path) -> None:
    """In a copy of the project, with the files that they show, the tests that they show pass."""
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
    for name in ("un_deploy", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shown: dict[str, str] = {}
    for how_to in re.split(r"\n## \d\. ", PAGE)[1:]:
        shown |= files_of(how_to)
    for path, text in shown.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    for path, line, added in ENTRIES:
        text = (tmp_path / path).read_text(encoding="utf-8")
        assert text.count(f"{line}\n") == 1
        (tmp_path / path).write_text(
            text.replace(f"{line}\n", f"{line}\n{added}\n"), encoding="utf-8"
        )

    tests = [path for path in shown if path.startswith("tests/")]
    assert (len(tests), len(shown)) == (3, 8)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout
