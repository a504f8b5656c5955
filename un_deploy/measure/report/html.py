"""Writes the report of a comparison as one HTML file that needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from un_deploy.errors import needs
from un_deploy.measure.report import (
    accuracy,
    batch_sizes,
    engines,
    kernels,
    layer_times,
    memory,
    ratios,
    summary,
    times,
)
from un_deploy.measure.report.page_elements import Absent, Section
from un_deploy.measure.speed.compare_report import CompareReport

if TYPE_CHECKING:
    from jinja2 import Environment


def require_packages() -> None:
    """Say what is missing before the work that a page would be made of.

    Raises:
        MissingPackageError: plotly or Jinja2 is not installed.
    """
    with needs("report"):
        import jinja2  # noqa: F401
        import plotly  # noqa: F401


def page(report: CompareReport) -> str:
    """The page of a comparison; the same for the same report and the same plotly.

    Raises:
        MissingPackageError: plotly or Jinja2 is not installed.
    """
    require_packages()
    made: list[Section | Absent] = [
        ratios.section(report),
        times.section(report),
        batch_sizes.section(report),
        accuracy.section(report),
        memory.section(report),
        *layer_times.sections(report),
        engines.section(report),
        kernels.section(report),
    ]
    absent = [one for one in made if isinstance(one, Absent)]
    closing = (
        summary.missing(report, absent),
        summary.types(report),
        summary.warned(report),
        summary.notes(report),
        summary.environment(report),
        summary.reading(report),
    )
    return render(
        "LN, UN and no norm compared",
        "a comparison of LN, UN unfolded, UN folded and no norm",
        summary.headline(report),
        summary.summary(report),
        [one for one in (*made, *closing) if isinstance(one, Section)],
        version=report.environment.get("un-deploy"),
    )


def render(
    title: str,
    what: str,
    headline: summary.Headline,
    facts: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    *,
    version: str | None,
) -> str:
    """A page that needs no other file.

    Names from graphs and files come from strangers. Jinja escapes all text, and the plots' data
    for the script elements they stand in; plot_style.label escapes what plotly would read as HTML;
    and a policy in the page lets the browser run the page's own two scripts, known by their
    hashes, and fetch nothing.

    Args:
        title: of the browser's window, in front of the headline.
        what: the page is, above the headline.
        headline: the answer.
        facts: a name and a value each, below it.
        sections: in their order.
        version: of un-deploy, that made what is shown.

    Raises:
        MissingPackageError: plotly or Jinja2 is not installed.
    """
    require_packages()
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    templates = _templates()
    scripts = [get_plotlyjs(), _source(templates, "page.js")]
    return templates.get_template("page.html.jinja").render(
        title=title,
        what=what,
        headline=headline,
        summary=facts,
        version=version,
        sections=sections,
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
