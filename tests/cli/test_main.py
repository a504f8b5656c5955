"""The group of commands: what it costs to start, how it ends, and what it lets through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from click.testing import Result

import un_deploy
from tests.cli.conftest import Run
from un_deploy.cli import COMMANDS
from un_deploy.errors import InputError
from un_deploy.pipeline import doctor

HEAVY = ("numpy", "onnx", "onnx_ir", "torch", "onnxruntime", "rich")


def test_help_names_every_command_in_full(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.split("Commands:\n")[1].splitlines()]
    assert listed == list(COMMANDS)
    assert "..." not in result.stdout.split("Commands:\n")[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(command: str, run: Run) -> None:
    result = run(command, "-h")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for option in ("--inputs", "MODEL is"):  # what loads Python says that it runs
        if option in result.stdout:
            assert "runs as code" in " ".join(result.stdout.split())


def test_help_imports_nothing_that_is_slow() -> None:
    code = (
        "import sys; from un_deploy.cli import main; main(['--help'], standalone_mode=False); "
        f"sys.exit(', '.join(m for m in {HEAVY} if m in sys.modules) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_python_m_un_deploy() -> None:
    command = [sys.executable, "-m", "un_deploy", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == f"un-deploy, version {un_deploy.__version__}\n"
    assert done.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["fold"], ["fold", "model.onnx"], ["fold", "model.onnx", "--nothing"]],
)
def test_wrong_usage(arguments: list[str], run: Run) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")


def doctor_that(monkeypatch: pytest.MonkeyPatch, run: Run, act) -> Result:
    """`doctor`, in which something happens."""
    monkeypatch.setattr(doctor, "examine", lambda **_: act())
    return run("doctor")


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    result = doctor_that(monkeypatch, run, stop)
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_that_ends_a_command(name: str, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    result = doctor_that(monkeypatch, run, lambda: os.kill(os.getpid(), number))
    assert (result.exit_code, result.stderr) == (128 + number, "terminated\n")
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_so_as_under_nohup(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        examine = doctor.examine

        def hang_up():
            os.kill(os.getpid(), signal.SIGHUP)
            return examine(load=False)

        assert doctor_that(monkeypatch, run, hang_up).exit_code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_is_one_line_whatever_is_in_a_name(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    def fail() -> None:
        raise InputError("no tensor 'a\nb'\n")

    result = doctor_that(monkeypatch, run, fail)
    assert (result.exit_code, result.stderr) == (1, "error: no tensor 'a b'\n")


TWICE = """
import os, shutil, signal, sys
from un_deploy.cli import main
from un_deploy.graph.model import model_file

write, clear_away = model_file.write_model, shutil.rmtree

def hit():
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))

def write_half(model, file):
    write(model, file)
    shutil.rmtree = rmtree
    hit()

def rmtree(*arguments, **settings):
    hit()
    clear_away(*arguments, **settings)

model_file.write_model = write_half
main(["fold", "model.onnx", "-o", "folded.onnx", "--quiet"])
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_leaves_nothing_half_made(name: str, folder: Path) -> None:
    """It comes while the model is written, and again while that is cleared away."""
    done = subprocess.run(
        [sys.executable, "-c", TWICE, name],
        env={**os.environ, "PYTHONPATH": str(Path(un_deploy.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (128 + getattr(signal, name), "terminated\n")
    assert [path.name for path in folder.iterdir()] == ["model.onnx"]


def test_a_mistake_of_our_own_is_no_user_error(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    with pytest.raises(ZeroDivisionError):
        doctor_that(monkeypatch, run, lambda: 1 // 0)


def test_warnings_are_one_line(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    examine = doctor.examine

    def warn():
        warnings.warn("take care", stacklevel=1)
        return examine(load=False)

    result = doctor_that(monkeypatch, run, warn)
    assert (result.exit_code, result.stderr) == (0, "warning: take care\n")


@pytest.mark.parametrize(
    "arguments",
    [["doctor"], ["inspect", "model.onnx"], ["fold", "model.onnx", "--dry-run"]],
)
def test_piped_output_is_plain_and_80_columns_wide(arguments: list[str], run: Run) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert max(map(len, result.stdout.splitlines())) <= 80
