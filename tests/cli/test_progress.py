"""What commands say on stderr and in their log files while they work."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner, Result

from un_deploy.cli import COMMANDS, main, progress
from un_deploy.pipeline import doctor

FOLD = ("fold", "model.onnx", "-o", "folded.onnx")
STAGES = ["Folding model.onnx", "Proving the fold of 1 norms", "Writing folded.onnx"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_the_options(command: str) -> None:
    told = run(command, "--help").stdout
    assert all(option in told for option in ("-q, --quiet", "-v, --verbose", "--log-file FILE"))


def test_a_line_for_every_stage_where_there_is_no_terminal() -> None:
    result = run(*FOLD)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == STAGES
    assert not set(STAGES) & set(result.stdout.splitlines())


def test_quiet_leaves_the_report() -> None:
    result = run(*FOLD, "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "1 of 1 norms folded" in result.stdout


def test_verbose_says_where_an_error_came_from(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"cut off")
    plain, verbose = run(*FOLD), run(*FOLD, "--verbose")
    assert plain.exit_code == verbose.exit_code == 1
    assert "Traceback" not in plain.stderr
    assert "Traceback" in verbose.stderr and "model_file.py" in verbose.stderr
    last = verbose.stderr.splitlines()[-1]
    assert last == plain.stderr.splitlines()[-1] and last.startswith("error: model.onnx is not an")


def test_both_exclude_each_other() -> None:
    result = run(*FOLD, "-q", "-v")
    assert result.exit_code == 2 and "exclude each other" in result.stderr


def test_a_log_file_holds_every_line_with_its_time_and_is_added_to(folder: Path) -> None:
    for _ in range(2):
        assert run(*FOLD, "-q", "--log-file", "log.txt", "--force").stderr == ""
    lines = (folder / "log.txt").read_text().splitlines()
    found = [re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (\w+) (.*)", one) for one in lines]
    assert [one and one[2] for one in found if one and one[1] == "INFO"] == STAGES * 2
    assert sum(one is not None and one[1] == "DEBUG" for one in found) == 2  # the versions


def test_a_log_file_that_cannot_be_written(folder: Path) -> None:
    result = run(*FOLD, "--log-file", "absent/log.txt")
    assert result.exit_code == 1 and "cannot write absent/log.txt: No such" in result.stderr
    assert not (folder / "folded.onnx").exists()


def test_a_long_stage_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work goes on until the line is there, however long that takes."""
    said, examine, line = Event(), doctor.examine, progress.Screen._line

    def record(screen: progress.Screen, text: str) -> None:
        line(screen, text)
        if text.startswith("Still: "):
            said.set()

    def work(**_: bool) -> doctor.DoctorReport:
        assert said.wait(60)
        return examine(load=False, gpu=False)

    monkeypatch.setattr(progress, "EVERY_S", 0.01)
    monkeypatch.setattr(progress.Screen, "_line", record)
    monkeypatch.setattr(doctor, "examine", work)
    assert "Still: Looking at this machine (" in run("doctor").stderr


def test_a_detail_begins_no_stage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A training tells every step; what it says is how long the training goes on."""
    now = iter(range(0, 10_000, 20))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    screen = progress.Screen(quiet=False, verbose=False)
    for level, text in [(logging.INFO, "Training"), (logging.DEBUG, "Training: step 7 of 9")]:
        screen.emit(logging.LogRecord("un_deploy", level, "", 0, text, (), None))
        screen.still()
    said = capsys.readouterr().err.splitlines()
    seconds = [int(one[1]) for line in said if (one := re.search(r"Still: .*\((\d+) s\)", line))]
    assert said[-1].startswith("Still: Training: step 7 of 9 (")
    assert seconds == sorted(seconds) and seconds[-1] > seconds[0]


def test_the_phases_of_a_build_are_a_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "un_deploy")
    tell = progress.phases("Building a.onnx")
    for done in range(3):
        tell("Tactics", done, 3)
    tell("Writing", 0, 1)
    assert caplog.messages == ["Building a.onnx: Tactics", "Building a.onnx: Writing"]


def test_a_terminal_has_a_spinner_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(progress.Screen):
        def __init__(self, **options: bool) -> None:
            super().__init__(**options)
            self.spins, self.least = True, logging.WARNING

    stages: list[str] = []

    def stage(screen: progress.Screen, record: logging.LogRecord) -> None:
        stages.append(f"{record.getMessage()}, {'spins' if screen.spinner else 'still'}")
        emit(screen, record)

    emit = progress.Screen.emit
    monkeypatch.setattr(progress, "Screen", Terminal)
    monkeypatch.setattr(Terminal, "emit", stage)
    assert run(*FOLD).exit_code == 0
    assert stages[-2:] == [f"{one}, spins" for one in STAGES[1:]]
