"""How reports look in a terminal; piped, they are 80 columns wide and without colours."""

from __future__ import annotations

from textwrap import TextWrapper
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from un_deploy.printed import Table, Typed, indented, words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from un_deploy.graph.fold.report import FoldReport
    from un_deploy.graph.strip.strip import StripReport
    from un_deploy.measure.equality.report import VerifyReport
    from un_deploy.pipeline.build import BuildReport
    from un_deploy.pipeline.profile import ProfileReport
    from un_deploy.printed import Cell, Part, Tone

GOOD, BAD, MUTED = "green", "bold red", "dim"

_STYLES: dict[Tone, str] = {"plain": "", "good": GOOD, "bad": BAD, "muted": MUTED}

_LEAST = 12
"""Columns that a name gets, where there is room for that."""


def console() -> Console:
    """Standard output. Nothing is read as markup: names may hold brackets."""
    return Console(markup=False, highlight=False, emoji=False)


def line(text: str, style: str = "") -> None:
    """One paragraph, wrapped at words, of which none is broken: paths can be copied."""
    terminal = console()
    if max(map(cell_len, text.split()), default=0) > terminal.width:
        wrapped = TextWrapper(
            terminal.width,
            replace_whitespace=False,
            break_long_words=False,
            break_on_hyphens=False,
        )
        terminal.print(Text(wrapped.fill(text), style=style), soft_wrap=True)
    else:
        terminal.print(Text(text, style=style))


class Names:
    """A cell whose words lose their middle where the column is narrower than they are.

    Those that would then look like another word of the column stay whole, on several lines.
    """

    def __init__(self, text: Text, column: Collection[str]) -> None:
        self.text, self.column = text, column

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        words = self.text.plain.split(" ")
        if max(map(cell_len, words)) <= options.max_width:
            yield self.text
        else:
            cut = " ".join(self._cut(word, options.max_width) for word in words)
            yield Text(cut, style=self.text.style, overflow="fold")

    def _cut(self, word: str, width: int) -> str:
        short = elided(word, width)
        alike = any(elided(other, width) == short for other in self.column if other != word)
        return word if alike else short

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        longest = max(map(cell_len, self.text.plain.split(" ")))
        return Measurement(min(longest, _LEAST), cell_len(self.text.plain))


def elided(name: str, width: int) -> str:
    """The name in this many columns; more of its beginning is kept, where blocks are numbered.

    >>> elided("encoder.layers.11.attention.norm", 24)
    'encoder.layers.1…on.norm'
    """
    if cell_len(name) <= width or width < 4:
        return name
    tail = (width - 1) // 3
    head, end = set_cell_size(name, width - 1 - tail), set_cell_size(name[::-1], tail)[::-1]
    return f"{head.rstrip()}…{end.lstrip()}"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str | Text]], *, whole: bool = False
) -> None:
    """A table as wide as the terminal at most: long names lose their middle.

    A column headed ">" is aligned right, and holds numbers, which stay whole. Where `whole`, names
    stay so too: headings take several lines, then columns in the middle go, which is said, and the
    last resort is a table wider than the terminal.
    """
    terminal, gone = console(), []
    width = terminal.width
    if whole and _width(columns, rows) > width:
        columns = [heading.replace(" ", "\n") for heading in columns]
    while whole and (width := _width(columns, rows)) > terminal.width and len(columns) > 2:
        gone.append(columns[-2].lstrip(">").replace("\n", " "))
        columns = [*columns[:-2], columns[-1]]
        rows = [[*row[:-2], row[-1]] for row in rows]
    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for heading in columns:
        right = heading.startswith(">")
        shown.add_column(
            Text(heading.lstrip(">")),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    texts = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    words = [
        {word for text in column for word in text.plain.split(" ")}
        for column in zip(*texts, strict=True)
    ]
    for row in texts:
        shown.add_row(
            *(
                text if heading.startswith(">") else Names(text, column)
                for heading, text, column in zip(columns, row, words, strict=True)
            )
        )
    if whole and width > terminal.width:
        terminal = Console(markup=False, highlight=False, emoji=False, width=width)
    terminal.print(shown)
    if gone:
        line(f"A wider terminal shows {' and '.join(reversed(gone))} too.", MUTED)


def _width(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> int:
    """Columns of a terminal that the table takes with nothing shortened."""
    cells = zip(columns, *rows, strict=True)
    texts = [[cell.plain if isinstance(cell, Text) else cell for cell in one] for one in cells]
    widest = (max(map(cell_len, [*one[0].lstrip(">").split("\n"), *one[1:]])) for one in texts)
    return sum(widest) + 3 * len(texts) - 1  # a space at both ends, three between columns


def told(parts: Iterable[Part]) -> None:
    """A report's paragraphs, tables and commands."""
    for part in parts:
        if isinstance(part, Typed):
            console().print(indented(part), soft_wrap=True)
        elif isinstance(part, Table):
            rows = [[_styled(cell) for cell in row] for row in part.rows]
            table(part.columns, rows, whole=part.whole)
        else:
            line(words(part).text, _STYLES[words(part).tone])


def _styled(cell: Cell) -> Text:
    shown = words(cell)
    return Text(shown.text, style=_STYLES[shown.tone])


def fold(report: FoldReport, modules: Mapping[str, str], *, planned: bool = False) -> None:
    """What folded (or would fold) where, what stays and why, and what it comes to."""
    told(report.told(modules, planned=planned))


def strip(report: StripReport) -> None:
    """What was taken out, and what was not."""
    told(report.told())


def verification(report: VerifyReport) -> None:
    """The report in sentences; the verdict comes last, coloured by what it says."""
    told(report.told())


def build(report: BuildReport) -> None:
    """What was built, and what its kernels are."""
    told(report.told())


def profile(report: ProfileReport, top: int | None) -> None:
    """The layers by their time, the slowest first."""
    told(report.told(top))
