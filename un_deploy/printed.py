"""Reports as a person reads them: one content, as text, in a notebook, and in the terminal.

A report says what it has to say in paragraphs, tables and commands (`Printed.told`); here they
become text and HTML, in `un_deploy.cli.show` the lines of a terminal with its width and colours.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Tone = Literal["plain", "good", "bad", "muted"]


@dataclass(frozen=True)
class Words:
    """A paragraph, or what stands in a cell, and what it means for the reader."""

    text: str
    tone: Tone = "plain"


Cell = str | Words


@dataclass(frozen=True)
class Table:
    """Cells by rows. A column whose heading begins with ">" is aligned right.

    Where `whole`, the first column holds names to be copied: they are never shortened nor broken.
    In a narrow terminal the columns between the first and the last go instead, from the right.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    whole: bool = False


@dataclass(frozen=True)
class Typed:
    """What the reader types in a shell: a line of its own, whole however narrow the terminal is."""

    text: str


Part = Cell | Table | Typed


class Printed:
    """Gives a report its text (`str`, `print`) and its HTML, which notebooks show."""

    def told(self) -> Iterable[Part]:
        """The report's paragraphs, tables and commands, in order."""
        raise NotImplementedError

    def __str__(self) -> str:
        return "\n".join(map(_as_text, self.told()))

    def _repr_html_(self) -> str:
        return "\n".join(map(_as_html, self.told()))


def first_few(names: Iterable[str], most: int = 3) -> str:
    """Names in a sentence, each once: the first, and how many more there are."""
    given = list(dict.fromkeys(names))
    shown, rest = given[:most], len(given) - most
    return f"{', '.join(shown)} and {rest} more" if rest > 0 else ", ".join(shown)


def counted(kinds: Iterable[str]) -> str:
    """How many of each kind there are, the most frequent first, such as "2 RMSNorms"."""
    told = [f"{n} {kind}{'s' if n > 1 else ''}" for kind, n in Counter(kinds).most_common()]
    return listed(told)


def listed(names: Sequence[str]) -> str:
    """All of them in a sentence: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def number_of(number: int, noun: str, several: str = "") -> str:
    """How many of something: "1 norm", "2 norms", "3 batches"."""
    return f"{number} {noun}" if number == 1 else f"{number} {several or noun + 's'}"


def words(cell: Cell) -> Words:
    """A cell with its tone."""
    return cell if isinstance(cell, Words) else Words(cell)


def indented(typed: Typed) -> str:
    """As it stands among paragraphs."""
    return f"    {typed.text}"


def _as_text(part: Part) -> str:
    if isinstance(part, Typed):
        return indented(part)
    if not isinstance(part, Table):
        return words(part).text
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for heading in part.columns:
        justify: Literal["right", "left"] = "right" if heading.startswith(">") else "left"
        shown.add_column(Text(heading.lstrip(">")), justify=justify)
    for row in part.rows:
        shown.add_row(*(Text(words(cell).text) for cell in row))
    written = io.StringIO()
    Console(file=written, width=10_000, color_system=None).print(shown)  # names stay whole
    lines = (line.rstrip() for line in written.getvalue().splitlines())
    return "\n".join(filter(None, lines))


def _as_html(part: Part) -> str:
    if isinstance(part, Typed):
        return f"<pre>{escape(part.text)}</pre>"
    if not isinstance(part, Table):
        return f"<p>{_cell(part)}</p>"
    head = "".join(f"<th>{escape(heading.lstrip('>'))}</th>" for heading in part.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in part.rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(cell: Cell) -> str:
    """Its text, escaped: names may hold anything."""
    shown = words(cell)
    text = escape(shown.text)
    return f"<b>{text}</b>" if shown.tone == "bad" else text
