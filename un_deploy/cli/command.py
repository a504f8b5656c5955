"""How the help of a command is laid out: options in groups, and an example."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from un_deploy.cli.foreign_flags import translated


def _choices_in_lines(name: str, width: int) -> str:
    """An option with its choices; what is wider than the help goes on in another line."""
    lines = [""]
    for part in re.split(r"(?<=[|\s])", name):
        if len(lines[-1]) + len(part) > width - 4 and lines[-1].strip():
            lines.append("    ")
        lines[-1] += part
    return "\n  ".join(line.rstrip() for line in lines)


class Command(click.Command):
    """A command with an example, whose options may be in groups.

    It also takes the flags of trtexec and Polygraphy: see `un_deploy.cli.foreign_flags`.
    """

    def __init__(
        self,
        *arguments: Any,
        example: str,
        groups: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """Lay out a command.

        Args:
            example: one or several command lines, a line each.
            groups: the names of options, by the title that stands above them in the help; what is
                in none comes last.
        """
        super().__init__(*arguments, **settings)
        self.example, self.groups = example, groups or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        return super().parse_args(ctx, translated(ctx.info_name or "", args, own))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        titles = {name: title for title, names in self.groups.items() for name in names.split()}
        rows: dict[str, list[tuple[str, str]]] = {title: [] for title in (*self.groups, "Options")}
        for param in self.get_params(ctx):
            if isinstance(param, click.Argument):  # the usage line and the text name it
                continue
            if (row := param.get_help_record(ctx)) is not None:
                name, text = row
                row = _choices_in_lines(name, formatter.width), text
                rows[titles.get(param.name or "", "Options")].append(row)
        for title, of_group in rows.items():
            with formatter.section(title):
                formatter.write_dl(of_group)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Example" if "\n" not in self.example else "Examples"):
            for line in self.example.splitlines():
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
