"""Every option of compare and profile against every backend: it acts, or it is refused by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from un_deploy.runtime.backends import BACKENDS, runtime_of
from un_deploy.runtime.settings import RunSettings

pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
LN_UN = ("--unfolded", "model.onnx", "--ln", "model.onnx")

VALUES: dict[str, tuple[str, Any]] = {
    "threads": ("--threads 3", 3),
    "device": ("--device cuda:1", "cuda:1"),
    "precision": ("--precision bf16", "bf16"),
    "tf32": ("--no-tf32", False),
}
"""Of each setting the words on the command line, and what it is for a runtime."""


class Reached(Exception):  # noqa: N818
    """The command got as far as the runtime, with these settings."""

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings


@pytest.fixture
def reaching(monkeypatch: pytest.MonkeyPatch) -> None:
    """What asks for a runtime ends there, so that no backend need be installed."""

    def reach(settings: RunSettings, *_: object) -> None:
        raise Reached(settings)

    for name in ("un_deploy.pipeline.compare.compare", "un_deploy.pipeline.profile"):
        module = import_module(name)
        for asked in ("runtime_of", "runtime_title"):
            if hasattr(module, asked):
                monkeypatch.setattr(module, asked, reach)


def acts_or_is_refused(run: Run, command: tuple[str, ...], backend: str, option: str) -> None:
    words, value = VALUES[option]
    line = (*command, "--backend", backend, *words.split())
    if option in BACKENDS[backend].takes:
        if option == "tf32" and "device" in BACKENDS[backend].takes:
            line += ("--device", "cuda")
        with pytest.raises(Reached) as reached:
            run(*line)
        assert getattr(reached.value.settings, option) == value
    else:
        result = run(*line)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {backend} takes no {words.split()[0]}, ")


@pytest.mark.parametrize("option", VALUES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_compare(run: Run, reaching: None, backend: str, option: str) -> None:
    acts_or_is_refused(run, ("compare", *LN_UN), backend, option)


@pytest.mark.parametrize("option", ["threads", "device", "tf32"])
@pytest.mark.parametrize(
    "backend", [one.name for one in BACKENDS.values() if not one.builds_engines]
)
def test_profile(run: Run, reaching: None, backend: str, option: str) -> None:
    acts_or_is_refused(run, ("profile", "model.onnx"), backend, option)


@pytest.mark.parametrize("setting", VALUES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_backend_takes_makes_another_runtime(backend: str, setting: str) -> None:
    """Threads of torch are the process's: see tests/runtime/test_backends.py."""
    changed = runtime_of(RunSettings(backend, **{setting: VALUES[setting][1]}))
    acts = changed != runtime_of(RunSettings(backend))
    acts |= setting == "threads" and BACKENDS[backend].threads is not None
    assert acts == (setting in BACKENDS[backend].takes)


def test_every_setting_acts_somewhere() -> None:
    assert {name for one in BACKENDS.values() for name in one.takes} == {*VALUES}


@pytest.mark.parametrize("backend", BACKENDS)
def test_files_of_a_run_are_kept_where_there_are_some(
    run: Run, reaching: None, backend: str
) -> None:
    line = ("compare", *LN_UN, "--backend", backend, "--keep-logs", "kept")
    if BACKENDS[backend].keeps_logs:
        with pytest.raises(Reached):
            run(*line)
    else:
        result = run(*line)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: --keep-logs: trtexec alone has logs")


def test_the_docs_have_the_table() -> None:
    text = (ROOT / "docs" / "how-we-compare.md").read_text(encoding="utf-8")
    said = {True: "acts", False: "refused"}
    for one in BACKENDS.values():
        acts = (*(name in one.takes for name in VALUES), one.tells_layers, one.keeps_logs)
        assert f"| {one.name} | {' | '.join(said[act] for act in acts)} |" in text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--flavor", "tensorrt"), 1, "--flavor is of the engines of --engines"),
        (("--norms", "none"), 1, "--norms is of a model spec"),
        (("--checkpoint", "model.onnx"), 1, "--checkpoint is of a model spec"),
        (("--ln-checkpoint", "model.onnx"), 1, "--ln-checkpoint is of a model spec"),
        (("--dim", "batch=2", "--dim", "batch=3"), 2, "--dim batch is given 2 times"),
        (("--dim", "batch=2", "--dim", "batch=2"), 2, "--dim batch is given 2 times"),
        (("--inputs", "data.npz", "--seed", "1"), 1, "--seed is of random inputs"),
    ],
)
def test_what_would_be_ignored_with_files(
    run: Run, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = run("compare", *LN_UN, *arguments)
    assert result.exit_code == code
    assert said in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("norms", "option"),
    [("un", "--ln-checkpoint"), ("ln", "--checkpoint"), ("none", "--checkpoint")],
)
def test_a_checkpoint_of_a_norm_that_is_left_out(run: Run, norms: str, option: str) -> None:
    result = run("compare", "spec.py:f", "--norms", norms, option, "weights.pt")
    assert result.exit_code == 1
    assert f"{option} is of a network that --norms {norms} leaves out" in result.stderr


def test_keep_is_of_a_fold(run: Run) -> None:
    result = run("compare", "--ln", "model.onnx", "--keep", "Mul_0")
    assert result.exit_code == 1
    assert "--keep is of a fold" in result.stderr


@pytest.mark.parametrize("command", ["profile", "triton"])
def test_a_size_that_is_given_twice(run: Run, command: str) -> None:
    more = ("--repository", "rep") if command == "triton" else ()
    result = run(command, "model.onnx", *more, "--dim", "batch=2", "--dim", "batch=3")
    assert result.exit_code == 2
    assert "--dim batch is given 2 times" in " ".join(result.stderr.replace("│", " ").split())


def test_seed_of_a_profile_with_inputs(run: Run) -> None:
    result = run("profile", "model.onnx", "--inputs", "data.npz", "--seed", "1")
    assert result.exit_code == 1
    assert "--seed is of random inputs" in result.stderr
