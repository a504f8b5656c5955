"""The flags of trtexec and Polygraphy as a table in docs/command-line.md.

    python -m tests.support.flag_table

writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.entries import table, written_into
from un_deploy.cli.foreign_flags import REFUSED, TRANSLATED
from un_deploy.files import atomic_write_text

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"
BEGIN, END = "<!-- written by tests.support.flag_table -->", "<!-- end -->"


def markdown() -> str:
    """Both tables: what is taken, a row for each meaning, and what is refused."""
    taken: dict[tuple[str, str], list[str]] = {}
    for command, flags in TRANSLATED.items():
        for flag, words in flags.items():
            ours = words.format("VALUE", shapes="SHAPES")
            taken.setdefault((flag, ours), []).append(command)
    refused: dict[tuple[str, str], list[str]] = {}
    for command, flags in REFUSED.items():
        for cure in dict.fromkeys(flags.values()):
            alike = ", ".join(f"`{flag}`" for flag, of in flags.items() if of == cure)
            refused.setdefault((alike, cure), []).append(command)
    rows = [(f"`{flag}`", f"`{ours}`", ", ".join(of)) for (flag, ours), of in taken.items()]
    cures = [(flags, ", ".join(of), cure) for (flags, cure), of in refused.items()]
    return "\n".join(
        [
            *table(["flag", "means", "in"], rows),
            "",
            "Polygraphy's `x:[8,3,224,224]` is read as `x:8x3x224x224`. These are refused:",
            "",
            *table(["flags", "in", "instead"], cures),
        ]
    )


def page() -> str:
    """The page with the tables in it."""
    return written_into(PAGE, BEGIN, END, markdown())


if __name__ == "__main__":
    atomic_write_text(PAGE, page(), force=True)
