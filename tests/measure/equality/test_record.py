"""A kept verdict tells of which files it is: their names and SHA-256, weights files included."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

import un_deploy
from tests.support.graphs import NORM, build
from un_deploy.errors import InputError
from un_deploy.graph.proof.proof import Problem
from un_deploy.json_form import from_dict
from un_deploy.measure.equality import verify as module
from un_deploy.measure.equality.record import Called, HashedFile, Recorder
from un_deploy.measure.equality.report import VerifyReport
from un_deploy.pipeline.fold_file import FileReport, fold_file

BODY = f"{NORM} h = MatMul(n, w) r = Tanh(h) y = MatMul(r, v)"
SIZES = {"a": (64,), "b": (64,), "w": (64, 64), "v": (64, 64)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """One norm; its weights lie in a file of their own."""
    model = build("float[2,64] x => float[2,64] y", BODY, **SIZES)
    ir.save(model, tmp_path / "a.onnx", external_data="weights.bin", size_threshold_bytes=0)
    assert (tmp_path / "weights.bin").stat().st_size >= 64 * 64 * 4
    return tmp_path / "a.onnx"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_of_a_fold(source: Path) -> None:
    target = source.with_name("b.onnx")
    report = fold_file(source, target)
    record, weights = report.record, source.with_name("weights.bin")
    age = datetime.now(timezone.utc) - datetime.fromisoformat(record.date)
    assert timedelta(0) <= age < timedelta(days=1) and record.un_deploy == un_deploy.__version__
    assert record.files == (
        HashedFile(str(source), sha256(source), {"weights.bin": sha256(weights)}),
        HashedFile(str(target), sha256(target), {"b.onnx.data": sha256(Path(f"{target}.data"))}),
    )
    assert from_dict(FileReport, json.loads(report.to_json())).record == record
    dry = fold_file(source, None, dry_run=True).record
    assert dry.files == record.files[:1]


def test_folding_over_the_source_records_both_states(source: Path) -> None:
    model = onnx.load(source)
    whole = source.with_name("whole.onnx")
    onnx.save(model, whole)
    before = sha256(whole)
    first, second = fold_file(whole, whole, force=True).record.files
    assert (first.sha256, second.sha256) == (before, sha256(whole)) and before != second.sha256


def test_of_a_verdict(source: Path) -> None:
    target = source.with_name("b.onnx")
    made = fold_file(source, target).record
    report = un_deploy.verify(source, target)
    assert report.verdict == "proven" and report.record.files == made.files
    read = from_dict(VerifyReport, json.loads(report.to_json()))
    assert read.record == report.record
    unlike = un_deploy.verify(target, source.with_name("b.onnx"))  # the same graph
    assert unlike.record.files == made.files[1:] * 2


def test_a_model_in_memory_has_a_name_alone(source: Path) -> None:
    folded, _ = un_deploy.fold(source)
    first, second = un_deploy.verify(source, folded).record.files
    assert first.sha256 == sha256(source)
    assert second == HashedFile("a model in memory", "", {})


@pytest.mark.parametrize("written", ["a.onnx", "weights.bin"])
def test_a_file_that_is_written_to_meanwhile_is_refused(
    written: str, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove, target = module.prove, source.with_name("b.onnx")

    def slow(*arguments: object) -> object:
        proof = prove(*arguments)
        file = source.with_name(written)
        file.write_bytes(file.read_bytes() + b"\0")
        return proof

    monkeypatch.setattr(module, "prove", slow)
    with pytest.raises(InputError, match="has changed since"):
        fold_file(source, target)
    assert not target.exists()


def test_a_file_that_is_written_to_while_it_is_verified_is_refused(source: Path) -> None:
    recorder = Recorder(source)
    assert recorder.record().files[0].name == str(source)
    source.write_bytes(source.read_bytes() + b"\0")
    with pytest.raises(InputError, match="has changed since it was read: start again"):
        recorder.record()


def test_a_missing_file_is_told_by_who_reads_it(source: Path) -> None:
    (source.parent / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"weights\.bin for 'a', which is not at"):
        un_deploy.verify(source, source)
    with pytest.raises(InputError, match="does not exist: check the name"):
        un_deploy.verify("absent.onnx", source)


class TestCalled:
    @pytest.mark.parametrize(
        ("first", "second", "names"),
        [
            ("in/a.onnx", "out/b.onnx", ("a.onnx", "b.onnx")),
            ("in/a.onnx", "out/a.onnx", ("in/a.onnx", "out/a.onnx")),
            ("a.onnx", "a.onnx", ("the first network", "the second network")),
            ("in/a.onnx", None, ("a.onnx", "the second network")),
            (None, None, ("the first network", "the second network")),
        ],
    )
    def test_names(self, first: str | None, second: str | None, names: tuple[str, str]) -> None:
        called = Called.of(first, second)
        assert (called.original, called.other) == names
        assert (called.turned().original, called.turned().other) == names[::-1]
        assert called.turned().fold == f"un-deploy's fold of {names[1]}"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("is 9, the original's 'the fold'", "is 9, a.onnx's 'the fold'"),
            (
                "'the original' is not in the fold",
                "'the original' is not in un-deploy's fold of a.onnx",
            ),
            ("the operator 'x' of the other network", "the operator 'x' of b.onnx"),
            ("reads the folded 'x', the original's 'y'", "reads the folded 'x', a.onnx's 'y'"),
        ],
    )
    def test_what_is_quoted_stays(self, text: str, said: str) -> None:
        assert Called.of("a.onnx", "b.onnx").said(text) == said

    def test_a_clause_gets_its_place(self) -> None:
        called = Called.of("a.onnx", "b.onnx")
        placed = called.placed(Problem("w", "holds 1 at [0], the fold gives 2"), called.other)
        assert placed.text == "'w' of b.onnx holds 1 at [0], un-deploy's fold of a.onnx gives 2"
        inputs = called.placed(Problem("the inputs", "are x, the original's y"), called.other)
        assert inputs.text == "the inputs of b.onnx are x, a.onnx's y"
