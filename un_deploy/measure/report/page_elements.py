"""The elements of a report: the answer, and sections of sentences, plots and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from un_deploy.measure import wording


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        tone: "good", "bad", "strong", "muted" or "": how it looks. The text alone says all.
        small: a second line, smaller.
        code: whether it is a name out of a graph or a file, which may be broken anywhere.
    """

    text: str
    tone: str = ""
    small: str = ""
    code: bool = False


def size_cell(count: int | None, unknown: str) -> Cell:
    """A number of bytes in a fitting unit, with the exact number below."""
    if count is None:
        return Cell(unknown, "muted")
    told = wording.size(count).replace(" ", "\N{NO-BREAK SPACE}")
    return Cell(told, small=f"{count:,} B")


@dataclass(frozen=True)
class Table:
    """A table that scrolls within its own box where the page is narrow.

    Attributes:
        columns: headings; ">" before one aligns the column right.
        rows: of the cells; the first of each is the row's heading.
        marks: "good", "bad", "muted" or "" for each row; empty: none is marked.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    marks: tuple[str, ...] = ()

    @property
    def cells(self) -> list[list[Cell]]:
        """All rows, text as cells."""
        return [[c if isinstance(c, Cell) else Cell(c) for c in row] for row in self.rows]

    @property
    def headings(self) -> list[tuple[str, bool]]:
        """The text of each heading, and whether its column is aligned right."""
        return [(text.removeprefix(">"), text.startswith(">")) for text in self.columns]


@dataclass(frozen=True)
class Plot:
    """A figure that page.js draws.

    Attributes:
        name: of its element; the same in every report.
        says: what one sees, in words, for whoever does not.
        caption: how to read it.
        height: CSS pixels; the width is the page's.
        figure: plotly's "data" and "layout".
        legend: the name, colour and symbol of each series that has no label in the figure.
    """

    name: str
    says: str
    caption: str
    height: int
    figure: Mapping[str, Any]
    legend: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading.

    Attributes:
        name: of its element.
        text: paragraphs before the plots.
        terms: a word each, and what it means.
        plots, tables: in this order.
        warnings: sentences that must not be overlooked, before all else.
        closed: what to click to see the tables, where they are long; "" shows them.
    """

    name: str
    title: str
    text: tuple[str, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    closed: str = ""


@dataclass(frozen=True)
class Absent:
    """A section that there is no data for, and why."""

    title: str
    reason: str


@dataclass(frozen=True)
class Headline:
    """The answer.

    Attributes:
        text: who is faster and by how much, or that nobody can say.
        tone: "good" where UN folded is faster, "bad" where it is slower, else "muted".
        more: what else to know at once.
        warnings: why the figures may not be trusted.
    """

    text: str
    tone: str
    more: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """All that a report says, whatever it is written as.

    Attributes:
        title: what was done, in a few words, for the browser's window.
        about: what kind of report it is, in a line.
        summary: what was measured, in a few words each.
        version: of un-deploy, which measured; None where it is not known.
    """

    title: str
    about: str
    headline: Headline
    summary: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    version: str | None
