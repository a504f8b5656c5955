"""What the package says of itself, and README away from the repository.

That the sdist and the wheel can be installed is `make package-test`.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from packaging.version import Version

from un_deploy import __version__
from un_deploy.pipeline.doctor import examine

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """hatch_build.py, without hatchling, which only a build has."""
    interface = SimpleNamespace(MetadataHookInterface=object)
    monkeypatch.setitem(sys.modules, "hatchling.metadata.plugin.interface", interface)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_link_into_the_repository_becomes_its_path(hook: ModuleType) -> None:
    given = "# A\n\n[a](https://a.org), [the doc](docs/a.md#x) and [code](un_deploy/)."
    assert hook.outside(given) == (
        "# A\n\nThe paths below are of files in the source archive.\n\n"
        "[a](https://a.org), the doc (docs/a.md) and code (un_deploy/)."
    )


def test_no_link_of_the_page_leads_into_the_repository(hook: ModuleType) -> None:
    before = re.findall(r"\]\(((?!https?:|#)[^)#]+)[^)]*\)", README)
    page = hook.outside(README)
    assert len(before) > 15
    assert all(f"({path})" in page for path in before)
    assert re.findall(r"\]\((?!https?:)", page) == []
    described = hook.Readme.__new__(hook.Readme)
    described.root, metadata = str(ROOT), {}
    described.update(metadata)
    assert metadata["readme"] == {"content-type": "text/markdown", "text": page}


def test_the_classifiers_name_linux_and_the_pythons_that_are_tried() -> None:
    from tests.packages.__main__ import DECLARED

    assert re.findall(r'"Operating System :: (.+)"', PYPROJECT) == ["POSIX :: Linux"]
    named = re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', PYPROJECT)
    minors = list(map(int, named))
    assert minors == list(DECLARED)
    assert f'requires-python = ">=3.{minors[0]}"' in PYPROJECT


def test_the_doctor_says_that_other_systems_are_none_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = "un-deploy is for Linux alone: on Darwin nothing of it is tested"
    assert told not in examine(load=False, gpu=False).notes
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    assert told in examine(load=False, gpu=False).notes


def test_the_changelog_is_by_version_the_newest_first() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    form = r"(\d+\.\d+\.\d+), (?:not yet released|\d{4}-\d\d-\d\d)"
    found = [re.fullmatch(form, heading) for heading in headings]
    versions = [one[1] for one in found if one is not None]
    assert len(versions) == len(headings) >= 1
    assert versions == sorted(set(versions), key=Version, reverse=True)
    assert versions[0] == __version__


def test_security_names_every_kind_of_input() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \|", text.split("## What is executed")[1], flags=re.MULTILINE)
    said = " ".join(rows)
    for kind in ("model spec", "loader.py", ".pt", ".safetensors", "ONNX", ".npz", "plan", "JSON"):
        assert kind in said, kind
