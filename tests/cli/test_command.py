"""The help of commands: options in groups, and an example that works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Run
from un_deploy.cli import COMMANDS, main
from un_deploy.cli.command import Command

GROUPED = ("export", "convert", "compare", "trtexec-compare", "build", "profile", "triton")


def command_named(name: str) -> Command:
    found = main.get_command(click.Context(main), name)
    assert isinstance(found, Command)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_is_in_the_help_and_is_right_usage(name: str, run: Run) -> None:
    command, told = command_named(name), run(name, "--help").stdout
    for line in command.example.splitlines():
        assert f"  {line}\n" in told
        program, of, *words = shlex.split(line)
        assert (program, of) == ("un-deploy", name)
        command.make_context(name, words)  # or it raises a click.UsageError


def test_the_first_help_has_an_example_too(run: Run) -> None:
    told = run("--help").stdout
    assert "\n  Example:\n    un-deploy export net.py:make --norm un" in told


@pytest.mark.parametrize("name", GROUPED)
def test_options_stand_in_groups(name: str, run: Run) -> None:
    command, told = command_named(name), run(name, "--help").stdout
    grouped = " ".join(command.groups.values()).split()
    have = {param.name for param in command.params if isinstance(param, click.Option)}
    rest = have - set(grouped)
    assert len(grouped) == len(set(grouped))
    assert rest <= {"as_json", "quiet", "verbose", "log_file", "which"}
    titles = re.findall(r"^(\S.*):$", told, re.MULTILINE)
    assert titles[: len(command.groups)] == [*command.groups]
    assert titles[len(command.groups)] == "Options"


def test_an_option_stands_below_its_title(run: Run) -> None:
    told = run("build", "--help").stdout
    titles = ("\nShapes:\n", "--minShapes", "\nThe builder:\n", "--memPoolSize", "\nOptions:\n")
    places = [told.index(one) for one in titles]
    assert places == sorted(places)


def test_completion_is_to_be_had(run: Run, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """As docs/command-line.md has it; click does it."""
    from click.testing import CliRunner

    def complete(words: str, number: int) -> list[str]:
        variables = {"COMP_WORDS": words, "COMP_CWORD": str(number)}
        asked = {"_UN_DEPLOY_COMPLETE": "bash_complete", **variables}
        result = CliRunner().invoke(main, [], prog_name="un-deploy", env=asked)
        return result.stdout.splitlines()

    assert "plain,compare" in complete("un-deploy com", 1)
    assert "plain,--require-folded" in complete("un-deploy fold --re", 2)
    assert "plain,fp16" in complete("un-deploy build --precision f", 3)
