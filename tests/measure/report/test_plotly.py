"""The page's own copy of plotly, its size, and what a browser may run of it."""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

import pytest

from tests.support.page import Page
from tests.support.reports import full_report, report
from un_deploy.errors import MissingPackageError
from un_deploy.measure.report import html
from un_deploy.measure.report.html import page, require_packages

pytest.importorskip("plotly")
pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def source() -> str:
    return page(full_report())


@pytest.fixture(scope="module")
def shown(source: str) -> Page:
    return Page(source)


def test_the_page_is_below_2_mb_whatever_was_sampled(source: str) -> None:
    assert len(source.encode()) < 1.5e6
    assert len(page(report(builds=5, rounds=200)).encode()) < 2e6  # all of 5,000 are drawn
    assert len(page(report(builds=5, rounds=400)).encode()) < 2e6


def test_plotly_is_the_published_bundle_of_a_known_version(source: str) -> None:
    lines = source[source.index("/**\n* plotly.js") :].splitlines()[1:5]
    assert lines[0] == "* plotly.js (basic - minified) v4.1.1"
    assert lines[3] == "* Licensed under the MIT license"
    folder = Path(html.__file__).parent / "page"
    bundle = hashlib.sha256((folder / html.PLOTLY).read_bytes()).hexdigest()
    assert bundle == "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
    assert (folder / "plotly-LICENSE").read_text().startswith("MIT License")


def test_plotly_draws_what_the_python_package_describes() -> None:
    """Figures are made by plotly's Python package, whose major version is the script's."""
    from plotly.offline import get_plotlyjs_version

    drawn = {
        trace["type"] for plot in Page(page(full_report())).plots.values() for trace in plot["data"]
    }
    assert drawn == {"scatter", "bar"}  # which the basic bundle has
    assert get_plotlyjs_version().split(".")[0] == "4"


def test_the_browser_is_told_to_run_these_two_scripts_and_fetch_nothing(shown: Page) -> None:
    (policy,) = [m["content"] for m in shown.all("meta") if m.get("http-equiv")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data: blob:"
    run = [s for s, a in zip(shown.scripts, shown.all("script"), strict=True) if "type" not in a]
    assert len(run) == 2 and "plotly.js" in run[0][:200]
    hashes = [hashlib.sha256(script.encode()).digest() for script in run]
    expected = " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in hashes)
    assert rules["script-src"] == expected
    for tag, attributes in shown.elements:
        assert "src" not in attributes, tag
        assert attributes.get("href", "#").startswith("#"), tag


@pytest.mark.parametrize("package", ["plotly", "jinja2"])
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=rf"{package}.*un-deploy\[report\]"):
        require_packages()
