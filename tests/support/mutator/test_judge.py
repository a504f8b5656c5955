"""A slice of `python -m benchmarks.mutations`, and that the judge sees what it is there to see."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.support.mutator.files import FILES, files_of
from tests.support.mutator.judge import Drawn, Verdict, drawn, judge, judged
from tests.support.mutator.mutate import KINDS, mutated
from un_deploy.graph.model import model_file
from un_deploy.pipeline import fold_file, inspect_file, strip_file


def test_a_hundred_damaged_files_are_refused_in_a_line_or_taken_whole() -> None:
    """One of each kind for each of the ten files."""
    mutations = list(drawn(100))
    assert len({(one.file, one.kind) for one in mutations}) == 100
    verdicts = list(judged(mutations))
    wrong = {str(one): v.wrong for one, v in zip(mutations, verdicts, strict=True) if v.wrong}
    assert wrong == {}
    codes = [code for verdict in verdicts for code in verdict.codes.values()]
    assert len(codes) == 400
    assert codes.count(1) > 100 < codes.count(0)  # refused, and taken


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_the_same_seed_gives_the_same_damage(name: str, kind: str) -> None:
    files = files_of(name)
    before = dict(files)
    damages = [mutated(files, kind, seed) for seed in range(20)]
    assert damages[7] == mutated(files, kind, 7)
    assert files == before
    assert sum(one != before for one in damages) >= 10


UNDAMAGED = Drawn("post-norm", "bits", 4)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the damage be none, so that all commands go through."""
    monkeypatch.setattr("tests.support.mutator.judge.mutated", lambda files, kind, seed: files)


@pytest.mark.usefixtures("taken")
def test_a_whole_file_is_taken() -> None:
    assert judge(UNDAMAGED) == Verdict([], {"inspect": 0, "verify": 0, "fold": 0, "strip": 0})


@pytest.mark.usefixtures("taken")
def test_a_traceback_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_file, "check_weights", lambda model: 1 // 0)
    (wrong,) = judge(UNDAMAGED).wrong
    assert wrong.startswith("inspect: ZeroDivisionError: integer division or modulo by zero")


@pytest.mark.usefixtures("taken")
def test_what_takes_too_long_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object, **__: object) -> None:
        while True:
            pass

    monkeypatch.setattr("tests.support.mutator.judge.SECONDS", 1)
    monkeypatch.setattr(strip_file, "check_target", busy)
    assert judge(UNDAMAGED).wrong == ["strip: takes more than 1 s"]


@pytest.mark.usefixtures("taken")
def test_a_target_that_is_half_written_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be read, as the command itself does for its record, but lacks an operator."""

    def half(model: object, target: str, **_: object) -> None:
        model_file.save_model(model, target)
        written = onnx.load(target)
        del written.graph.node[-1]
        onnx.save(written, target)
        Path("out/left").write_text("")

    monkeypatch.setattr(fold_file, "save_model", half)
    left, damaged = judge(UNDAMAGED).wrong
    assert left == "fold: left ['left'] beside the target"
    assert damaged.startswith("fold: the target is not whole")


def test_a_process_that_dies_is_seen_and_the_rest_is_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    def dies(files: object, kind: str, seed: int) -> object:
        return os._exit(7) if seed == 1 else files

    monkeypatch.setattr("tests.support.mutator.judge.mutated", dies)
    first, second, third = judged([Drawn("pieces", "bits", seed) for seed in (0, 1, 2)])
    assert second.wrong == ["the process died with 7"]
    assert first.wrong == third.wrong == []
