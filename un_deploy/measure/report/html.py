"""Writes a report as one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from un_deploy.errors import needs
from un_deploy.measure.report.contents import contents
from un_deploy.measure.report.page_elements import Contents
from un_deploy.measure.speed.compare_report import CompareReport

if TYPE_CHECKING:
    from jinja2 import Environment


PLOTLY = "plotly-basic.min.js"
"""plotly's basic bundle as its makers publish it (npm: plotly.js-basic-dist-min), a third of the
whole: it draws scatter, bar and pie, of which the plots are made. Its licence lies beside it."""


def require_packages() -> None:
    """Say what is missing before the work that a page would be made of.

    Raises:
        MissingPackageError: plotly or Jinja2 is not installed.
    """
    with needs("report"):
        import jinja2  # noqa: F401
        import plotly  # noqa: F401


def page(report: CompareReport) -> str:
    """The page of one comparison; the same for the same report.

    Raises:
        MissingPackageError: plotly or Jinja2 is not installed.
    """
    return written(contents(report))


def written(made: Contents) -> str:
    """The page of anything that a report says.

    Names from graphs and files come from strangers. Jinja escapes all text, and the plots' data
    for the script elements they stand in; plot_style.label escapes what plotly would read as HTML;
    and a policy in the page lets the browser run the page's own two scripts, known by their hashes,
    and fetch nothing.

    Raises:
        MissingPackageError: Jinja2 is not installed.
    """
    require_packages()
    from markupsafe import Markup

    templates = _templates()
    scripts = [_source(templates, PLOTLY), _source(templates, "page.js")]
    return templates.get_template("page.html.jinja").render(
        made=made,
        style=Markup(_source(templates, "page.css")),
        scripts=[Markup(script) for script in scripts],
        allowed=" ".join(_hash(script) for script in scripts),
    )


def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("un_deploy.measure.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _source(templates: Environment, name: str) -> str:
    assert templates.loader is not None
    return templates.loader.get_source(templates, name)[0]


def _hash(script: str) -> str:
    """As a Content-Security-Policy names an inline script."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
