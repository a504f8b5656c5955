"""A report as Markdown: its sentences and tables, for a merge request or a wiki; no plots."""

from __future__ import annotations

import re

from un_deploy.measure.report.page_elements import Cell, Contents, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$&])")
"""What Markdown, HTML in it, or GitHub's formulas would take for markup."""


def written(made: Contents) -> str:
    """The text, ended by a newline. Tables that a page keeps closed are left out."""
    parts = [f"# {_plain(made.headline.text)}"]
    parts += [f"> **Caution.** {_plain(text)}" for text in made.headline.warnings]
    parts += _list([_plain(text) for text in made.headline.more])
    parts += _list([f"{_plain(name)}: {_plain(text)}" for name, text in made.summary])
    for section in made.sections:
        if section.closed:
            continue
        parts.append(f"## {_plain(section.title)}")
        parts += [f"> **Caution.** {_plain(text)}" for text in section.warnings]
        parts += [_plain(text) for text in section.text]
        parts += _list([f"**{_plain(term)}.** {_plain(text)}" for term, text in section.terms])
        parts += [_table(table) for table in section.tables]
    return "\n\n".join(parts) + "\n"


def _list(lines: list[str]) -> list[str]:
    return ["\n".join(f"- {line}" for line in lines)] if lines else []


def _table(table: Table) -> str:
    """The caption, and the rows in pipes."""
    heads = " | ".join(_plain(text) for text, _ in table.headings)
    ruler = " | ".join("--:" if right else ":--" for _, right in table.headings)
    rows = (" | ".join(map(_cell, row)) for row in table.cells)
    lines = "\n".join(f"| {line} |" for line in (heads, ruler, *rows))
    return f"**{_plain(table.caption)}**\n\n{lines}"


def _cell(cell: Cell) -> str:
    return _plain(f"{cell.text} ({cell.small})" if cell.small else cell.text)


def _plain(text: str) -> str:
    """The text on one line, with nothing in it that is markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
