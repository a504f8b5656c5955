"""Flags of trtexec and Polygraphy: every row of the tables, taken or refused by name."""

from __future__ import annotations

from typing import Any

import click
import pytest

from tests.cli.conftest import Run
from tests.support.flag_table import PAGE, page
from un_deploy.cli import main
from un_deploy.cli.foreign_flags import REFUSED, TRANSLATED, translated

WORDS = {
    "build": {"MODEL.onnx": "m.onnx", "-o": "m.plan"},
    "profile": {"MODEL": "m.onnx"},
    "compare": {"--ln": "m.onnx"},
    "trtexec-compare": {"--ln": "m.onnx"},
    "triton": {"MODEL": "m.onnx", "--repository": "models"},
}
"""What each command must have."""

VALUES = {
    "--onnx": "other.onnx",
    "--loadEngine": "other.plan",
    "--saveEngine": "other.plan",
    "--workspace": "1024",
    "--pool-limit": "workspace:1G",
    "--iterations": "7",
    "--maxBatch": "8",
    "--data-loader-script": "loader.py",
    "--trt-outputs": "h",
    "--load-timing-cache": "cache",
    "--save-timing-cache": "cache",
}
"""Of each flag that takes one, but for shapes."""

SAID = {
    "--workspace": ("mem_pool_size", "workspace:1024"),
    "--iterations": ("runs", 7),
    "--maxBatch": ("max_batch_size", 8),
    "--fp16": ("precision", "fp16"),
    "--bf16": ("precision", "bf16"),
    "--trt": ("backend", "tensorrt"),
    "--onnxrt": ("backend", "ort-cpu"),
    "--data-loader-script": ("inputs", "loader.py:load_data"),
    "--input-shapes": ("shapes", ("x:1x3x224x224",)),
    "--trt-min-shapes": ("min_shapes", ("x:1x3x224x224",)),
    "--trt-opt-shapes": ("opt_shapes", ("x:1x3x224x224",)),
    "--trt-max-shapes": ("max_shapes", ("x:1x3x224x224",)),
    "--trt-outputs": ("mark_output", ("h",)),
    "--strip-plan": ("strip_weights", True),
    "--refittable": ("refit", True),
}
"""What some are for the command: the name of our option, and its value."""


@pytest.mark.parametrize("command", TRANSLATED)
def test_what_is_taken(command: str) -> None:
    for flag, becomes in TRANSLATED[command].items():
        value = "x:[1,3,224,224]" if "{shapes}" in becomes else VALUES.get(flag, "")
        assert bool(value) == ("{" in becomes), flag
        for words in ([f"{flag}={value}"], [flag, value]) if value else ([flag],):
            params = parsed(command, becomes, words)
            if flag in SAID:
                name, wanted = SAID[flag]
                assert params[name] == wanted, flag
            else:
                assert value in {str(one) for one in params.values()}, flag


def parsed(command: str, becomes: str, words: list[str]) -> dict[str, Any]:
    """What the command is given, with whatever else it must have."""
    line = list(words)
    for name, word in WORDS[command].items():
        if name.startswith("-") and not becomes.startswith(f"{name} "):
            line += [name, word]
        elif not name.startswith("-") and becomes != "{}":
            line += [word]
    found = main.get_command(click.Context(main), command)
    assert found is not None
    return found.make_context(command, line).params


@pytest.mark.parametrize("command", REFUSED)
def test_what_is_refused_with_the_cure(command: str, run: Run) -> None:
    for flag, cure in REFUSED[command].items():
        result = run(command, f"{flag}=1")
        told = " ".join(result.stderr.split())
        assert result.exit_code == 2
        assert f"un-deploy {command} takes no {flag}: {cure}" in told


def test_no_flag_is_in_both_tables_or_is_the_commands_own() -> None:
    for command in {*TRANSLATED, *REFUSED}:
        found = main.get_command(click.Context(main), command)
        assert found is not None
        own = {name for one in found.params for name in (*one.opts, *one.secondary_opts)}
        ours, refused = TRANSLATED.get(command, {}).keys(), REFUSED[command].keys()
        assert not ours & refused and not own & (ours | refused)


@pytest.mark.parametrize("flag", ["--fp16", "--workspace", "--onnx", "--maxBatch"])
def test_elsewhere_it_names_the_command_that_takes_it(flag: str, run: Run) -> None:
    takes = [name for name, table in TRANSLATED.items() if flag in table]
    result = run("fold", "model.onnx", "-o", "f.onnx", flag)
    assert result.exit_code == 2
    told = " ".join(result.stderr.split())
    assert f"takes no {flag}: that is of un-deploy {' and '.join(takes)}" in told


def test_two_that_say_the_same_option() -> None:
    with pytest.raises(click.UsageError, match="--fp16 and --bf16 exclude each other"):
        translated("build", ["--fp16", "--bf16"], ())
    with pytest.raises(click.UsageError, match="--trt and --onnxrt exclude each other"):
        translated("compare", ["--trt", "--onnxrt"], ())


def test_what_is_left_as_it_is() -> None:
    for words in (["--nothing", "m.onnx"], ["--", "--fp16"], ["-o", "--precision=fp16"]):
        assert translated("build", words, ("--precision",)) == words


@pytest.mark.parametrize(
    ("words", "shapes"),
    [
        (["x:[1,3]", "y:[2]", "m.onnx"], "x:1x3,y:2"),
        (["x:[1, 3]"], "x:1x3"),
        (["x:[]"], "x:"),
        (["x:1x3", "m.onnx"], "x:1x3"),
    ],
)
def test_shapes_in_polygraphys_spelling(words: list[str], shapes: str) -> None:
    assert translated("build", ["--input-shapes", *words], ())[:2] == ["--shapes", shapes]


def test_a_value_that_is_missing() -> None:
    with pytest.raises(click.UsageError, match="--onnx needs a value"):
        translated("build", ["--onnx"], ())


def test_the_docs_have_the_tables() -> None:
    """If not: python -m tests.support.flag_table."""
    assert PAGE.read_text(encoding="utf-8") == page()
