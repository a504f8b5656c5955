"""How reports look in a terminal; piped, they are 80 columns wide and without colours."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table as RichTable
from rich.text import Text

from un_deploy.printed import Table, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from un_deploy.graph.fold.report import FoldReport
    from un_deploy.graph.strip.strip import StripReport
    from un_deploy.measure.equality.report import VerifyReport
    from un_deploy.pipeline.build import BuildReport
    from un_deploy.pipeline.profile import ProfileReport
    from un_deploy.printed import Cell, Part, Tone

GOOD, BAD, MUTED = "green", "bold red", "dim"

_STYLES: dict[Tone, str] = {"plain": "", "good": GOOD, "bad": BAD, "muted": MUTED}


def console() -> Console:
    """Standard output. Nothing is read as markup: names may hold brackets."""
    return Console(markup=False, highlight=False, emoji=False)


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Say on stderr what takes long, while it does, and only in a terminal.

    Gives a function that says what is done now instead.

    What the user's own Python prints meanwhile goes to stderr too, so that standard output holds
    the report alone.
    """
    err = Console(stderr=True, markup=False, highlight=False)
    with redirect_stdout(sys.stderr):
        if err.is_terminal:
            with err.status(Text(what)) as status:
                yield lambda text: status.update(Text(text))
        else:
            yield lambda text: None


@contextmanager
def steps(what: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for what comes in phases, in a terminal only.

    Gives a function that takes the phase, its steps that are done, and how many there are.
    """
    err = Console(stderr=True, markup=False, highlight=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        shown = bar.add_task(what, total=None)

        def tell(phase: str, done: int, total: int) -> None:
            bar.update(shown, description=f"{what}: {phase}", completed=done, total=total)

        yield tell


def line(text: str, style: str = "") -> None:
    """One paragraph, wrapped at words."""
    console().print(Text(text, style=style))


def table(columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """A table; long names are broken, not cut, and a column headed ">" is aligned right."""
    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False)
    for heading in columns:
        right = heading.startswith(">")
        shown.add_column(
            Text(heading.lstrip(">")), justify="right" if right else "left", overflow="fold"
        )
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    console().print(shown)


def told(parts: Iterable[Part]) -> None:
    """A report's paragraphs and tables."""
    for part in parts:
        if isinstance(part, Table):
            rows = [[_styled(cell) for cell in row] for row in part.rows]
            table(part.columns, rows)
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
