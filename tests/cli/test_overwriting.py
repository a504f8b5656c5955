"""No command writes over what it reads: every command, every pair of its paths, every kind of path.

Commands and options are found in the command line itself, so a new one is in these tables.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import onnx
import pytest

from tests.cli.conftest import Run
from un_deploy.cli import COMMANDS, main
from un_deploy.cli.overwriting import Reads, Writes, python_files
from un_deploy.graph.model.model_file import load_model


def options_of(command: str) -> list[click.Parameter]:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    return found.params


class Pair(NamedTuple):
    """A command with an option, or argument, that it reads and one that it writes."""

    command: str
    read: click.Parameter
    written: click.Parameter

    def __str__(self) -> str:
        return f"{self.command} {self.read.name} {self.written.name}"


PAIRS = [
    Pair(command, read, written)
    for command in COMMANDS
    for read in options_of(command)
    for written in options_of(command)
    if isinstance(read.type, Reads) and isinstance(written.type, Writes)
]

READING_NOTHING = {"demo", "doctor"}

TEXTS = {
    "build": "build_cache compute_capability input_io_formats keep_fp32 mark_output max_shapes "
    "mem_pool_size min_shapes opt_shapes output_io_formats region_input region_output shapes",
    "compare": "batches device dynamic_axes keep norms shapes",
    "convert": "keep",
    "doctor": "require",
    "export": "dynamic_axes keep part",
    "fold": "keep",
    "inspect": "keep",
    "profile": "device shapes",
    "strip": "nodes",
    "triton": "name shapes",
    "verify": "keep",
}
"""Options of plain text, none of which names a file."""


def test_every_command_that_reads_and_writes_is_in_the_table() -> None:
    assert {pair.command for pair in PAIRS} == COMMANDS.keys() - READING_NOTHING
    assert len(PAIRS) > 50


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_whether_its_path_is_read_or_written(command: str) -> None:
    known = TEXTS.get("compare" if command == "trtexec-compare" else command, "").split()
    for option in options_of(command):
        assert not isinstance(option.type, click.File), option
        if isinstance(option.type, click.Path):
            assert isinstance(option.type, (Reads, Writes)), option
        elif option.type is click.STRING:
            assert option.name in known, f"{option.name}: a path? else it belongs to TEXTS"


def words(pair: Pair, read: str, written: str) -> list[str]:
    """The command line with these two, and a value for whatever else the command must have."""
    values: dict[str, str] = {str(pair.read.name): read, str(pair.written.name): written}
    line = [pair.command]
    for option in options_of(pair.command):
        value = values.get(str(option.name))
        if value is None and option.required:
            value = "elsewhere"
        if value is not None:
            line += [value] if isinstance(option, click.Argument) else [option.opts[0], value]
        if option.name == "force":
            line.append("--force")
    return line


def place_of(pair: Pair, folder: Path) -> tuple[Path, Path]:
    """A file to read that the option writes over, and the option's value that does so."""
    name = "input.py" if pair.read.type.files is python_files else "input.bin"
    inside = {"repository": f"given/input/1/{name}", "keep_logs": f"given/build_0/{name}"}
    if (there := inside.get(str(pair.written.name))) is None:
        return folder / name, folder / name
    (folder / there).parent.mkdir(parents=True)
    return folder / there, folder / "given"


def symlink(path: Path) -> Path:
    link = path.with_name(f"link{path.suffix}")
    link.symlink_to(path)
    return link


def chain(path: Path) -> Path:
    """A relative link to a link, through a folder that is a link itself."""
    first = symlink(path)
    beside = path.parent / "beside"
    beside.symlink_to(".")
    second = path.with_name(f"second{path.suffix}")
    second.symlink_to(f"beside/{first.name}")
    return beside / second.name


def hard_link(path: Path) -> Path:
    other = path.with_name(f"hard{path.suffix}")
    os.link(path, other)
    return other


KINDS: dict[str, Callable[[Path], Path]] = {
    "as it is": lambda path: path,
    "relative": lambda path: Path(os.path.relpath(path)),
    "up and down": lambda path: Path("..", Path.cwd().name, os.path.relpath(path)),
    "a link": symlink,
    "a chain of links": chain,
    "the same inode": hard_link,
}


FOLDERS = ("repository", "keep_logs")
CASES = [
    pytest.param(pair, kind, id=f"{pair}, {kind}")
    for pair in PAIRS
    for kind in KINDS
    if not (kind == "the same inode" and pair.written.name in FOLDERS)  # those have one name
    if kind == "as it is" or pair.written.name != "log_file"  # the same option everywhere
]


@pytest.mark.parametrize(("pair", "kind"), CASES)
def test_what_is_read_is_never_written_over(pair: Pair, kind: str, run: Run, folder: Path) -> None:
    read, written = place_of(pair, folder)
    read.write_bytes(b"mine")
    spelled = KINDS[kind](written)
    before = sorted(folder.rglob("*"))
    source = f"{read}:factory" if read.suffix == ".py" else str(read)
    result = run(*words(pair, source, str(spelled)))
    assert result.exit_code == 1, result.output
    assert f"would write over {read}" in result.stderr
    assert read.read_bytes() == b"mine"
    assert sorted(folder.rglob("*")) == before


@pytest.fixture
def split(folder: Path) -> dict[str, bytes]:
    """split.onnx with its weights in folded.onnx.data; the bytes of both."""
    model = onnx.load(folder / "model.onnx")
    onnx.save(
        model,
        folder / "split.onnx",
        save_as_external_data=True,
        location="folded.onnx.data",
        size_threshold=0,
    )
    return {name: (folder / name).read_bytes() for name in ("split.onnx", "folded.onnx.data")}


@pytest.mark.parametrize(
    "line",
    [
        "fold split.onnx -o folded.onnx",  # which goes with weights of that name
        "fold split.onnx -o folded.onnx.data",
        "strip split.onnx -o folded.onnx",
        "export net.py:factory -o split.onnx --inputs split.onnx",
        "build split.onnx -o folded.onnx.data",
        "build split.onnx -o split.plan --timingCacheFile folded.onnx.data",
        "compare --unfolded split.onnx -o folded.onnx.data",
        "compare --ln model.onnx --folded split.onnx --html folded.onnx.data",
        "profile split.onnx --exportTimes folded.onnx.data",
    ],
)
def test_weights_beside_the_model_are_read_too(
    line: str, run: Run, folder: Path, split: dict[str, bytes]
) -> None:
    result = run(*line.split(), "--force")
    assert result.exit_code == 1 and "would write over" in result.stderr, result.output
    assert {name: (folder / name).read_bytes() for name in split} == split


@pytest.mark.parametrize("line", ["profile m.plan -o m.plan.json", "compare --ln m.plan -o {}"])
def test_the_manifest_of_a_plan_is_read_too(line: str, run: Run, folder: Path) -> None:
    for name in ("m.plan", "m.plan.json"):
        (folder / name).write_text("mine")
    result = run(*line.format("m.plan.json").split(), "--force")
    assert result.exit_code == 1 and "would write over m.plan.json" in result.stderr
    assert (folder / "m.plan.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("read", "logs"),
    [
        ("logs/build_0/a.onnx", "logs"),
        ("to_inside.onnx", "logs"),  # a link into the folder
        ("logs/build_0/to_outside.onnx", "logs"),  # a link that would be lost
        ("model.onnx", "."),
    ],
)
def test_a_folder_that_holds_an_input_is_not_replaced(
    read: str, logs: str, run: Run, folder: Path
) -> None:
    inside = folder / "logs" / "build_0"
    inside.mkdir(parents=True)
    (inside / "a.onnx").write_bytes((folder / "model.onnx").read_bytes())
    (inside / "to_outside.onnx").symlink_to(folder / "model.onnx")
    (folder / "to_inside.onnx").symlink_to(inside / "a.onnx")
    result = run("compare", "--unfolded", read, "--keep-logs", logs, "--force")
    assert result.exit_code == 1
    assert f"--keep-logs {logs} would write over {read}" in result.stderr
    assert len(list(inside.iterdir())) == 2


@pytest.mark.parametrize(
    "line",
    [
        "profile model.onnx -o a.json --exportTimes a.json",
        "profile model.onnx --exportTimes a.json --exportLayerInfo ./a.json",
        "compare --unfolded model.onnx -o a.json --html a.json",
        "build model.onnx -o m.plan --timingCacheFile m.plan.json",
    ],
)
def test_two_outputs_are_two_files(line: str, run: Run, folder: Path) -> None:
    result = run(*line.split())
    assert result.exit_code == 2 and "name the same file" in result.stderr
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]


def test_other_files_are_written_with_force(
    run: Run, folder: Path, split: dict[str, bytes]
) -> None:
    """A model with its weights beside it, onto an older one of the same kind."""
    for _ in range(2):
        assert run("fold", "split.onnx", "-o", "f.onnx", "--force").exit_code == 0
    assert len(load_model(folder / "f.onnx").graph) == 2
    assert {name: (folder / name).read_bytes() for name in split} == split


def test_another_version_of_a_served_model_may_come_from_the_repository(
    run: Run, folder: Path
) -> None:
    pytest.importorskip("tritonclient")
    first = ("triton", "model.onnx", "--repository", "r", "--max-batch-size", "2")
    assert run(*first).exit_code == 0
    again = ("triton", "r/model/1/model.onnx", "--repository", "r", "--max-batch-size", "2")
    assert run(*again, "--version", "2", "--force").exit_code == 0
    refused = run(*again, "--version", "1", "--force")
    assert refused.exit_code == 1 and "would write over" in refused.stderr
    served = [folder / "r" / "model" / str(number) / "model.onnx" for number in (1, 2)]
    assert [path.read_bytes() for path in served] == [(folder / "model.onnx").read_bytes()] * 2


@pytest.mark.parametrize("target", [".", "/", "..", "a/", ""])
@pytest.mark.parametrize("command", ["fold", "build", "strip"])
def test_a_place_without_a_name_is_refused_as_one(command: str, target: str, run: Run) -> None:
    Path("a").mkdir()
    result = run(command, "model.onnx", "-o", target, "--force")
    assert result.exit_code == 1 and "is a directory: name a file in it" in result.stderr


def test_what_cannot_be_read_is_for_the_command_to_say(run: Run, folder: Path) -> None:
    (folder / "old.onnx").write_bytes(b"old")
    (folder / "empty.onnx").write_bytes(b"")
    for name, said in (("nowhere.onnx", "does not exist"), ("empty.onnx", "is empty")):
        result = run("strip", name, "-o", "old.onnx", "--force")
        assert result.exit_code == 1 and said in result.stderr
