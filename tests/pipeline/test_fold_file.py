"""The road from file to file: what is written when, and what it is proven on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.support.graphs import NORM, build
from un_deploy.errors import InputError, TargetError, VerificationError
from un_deploy.graph.model.model_file import load_model, save_model
from un_deploy.graph.proof.proof import Problem, Proof
from un_deploy.measure.equality import verify
from un_deploy.pipeline import fold_file as module
from un_deploy.pipeline.fold_file import fold_file
from un_deploy.pipeline.strip_file import strip_file


@pytest.fixture
def source(tmp_path: Path) -> Path:
    model = build(
        "float[batch,3,6] x => float[batch,3,4] y",
        f"{NORM}  y = MatMul(n, w)",
        a=(6,),
        b=(6,),
        w=(6, 4),
    )
    model.graph.node("MatMul_2").name = "/blocks.0/attn/qkv/MatMul"
    save_model(model, tmp_path / "a.onnx")
    return tmp_path / "a.onnx"


def test_report(source: Path) -> None:
    before = source.read_bytes()
    target = source.with_name("b.onnx")
    report = fold_file(source, target)
    assert source.read_bytes() == before
    assert [node.op_type for node in load_model(target).graph] == ["MatMul", "Add"]
    assert report.modules == {"/blocks.0/attn/qkv/MatMul": "blocks.0.attn.qkv"}
    assert report.verification.verdict == "proven" and report.verification.outputs == ()
    data = json.loads(report.to_json())
    assert (data["version"], data["source"], data["target"]) == (1, str(source), str(target))
    assert data["fold"]["gained_biases"] == ["y"]


def test_same_bytes_every_time(source: Path) -> None:
    targets = [source.with_name(name) for name in ("b.onnx", "c.onnx")]
    for target in targets:
        fold_file(source, target, verify=target is targets[0])
    assert targets[0].read_bytes() == targets[1].read_bytes()


def test_folding_over_the_source(source: Path) -> None:
    fold_file(source, source, force=True)
    assert len(onnx.load(source).graph.node) == 2


def test_dry_run_needs_no_target_and_touches_none(source: Path) -> None:
    before = source.read_bytes()
    report = fold_file(source, source, dry_run=True)
    assert report.target is None and report.verification.passed
    assert source.read_bytes() == before
    assert fold_file(source, None, dry_run=True).fold == report.fold
    with pytest.raises(InputError, match="needs a target"):
        fold_file(source, None)


def test_own_inputs_are_for_a_second_look(source: Path) -> None:
    pytest.importorskip("onnxruntime")
    feeds = {"x": np.ones((1, 3, 6), np.float32)}
    report = fold_file(source, source.with_name("b.onnx"), inputs=feeds)
    (output,) = report.verification.outputs
    assert (output.runtime, output.passed) == ("onnxruntime", True)
    with pytest.raises(InputError, match="no input 'z'"):
        fold_file(source, None, dry_run=True, inputs={"z": feeds["x"]})


def test_a_target_that_appears_meanwhile_is_not_overwritten(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = source.with_name("b.onnx")
    prove = module.verify_fold

    def slow(*arguments):
        target.write_text("somebody else's")
        return prove(*arguments)

    monkeypatch.setattr(module, "verify_fold", slow)
    with pytest.raises(TargetError, match="exists already"):
        fold_file(source, target)
    assert target.read_text() == "somebody else's"


def test_what_is_not_equal_is_not_written(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from un_deploy.graph.fold.edits import AddBias
    from un_deploy.graph.fold.rules.matmul import MatMul

    right = MatMul.edits

    def without_the_shift(self, unit, known, view):
        return (edit for edit in right(self, unit, known, view) if not isinstance(edit, AddBias))

    monkeypatch.setattr(MatMul, "edits", without_the_shift)
    target = source.with_name("b.onnx")
    with pytest.raises(VerificationError, match=r"the graphs are not equal: .*qkv"):
        fold_file(source, target)
    assert not target.exists()
    assert fold_file(source, target, verify=False).verification is None
    assert target.exists()


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that nobody has, behind the norm: it is there before and after."""
    body = f"{NORM}  h = MatMul(n, w)  y = custom.Fused(h)"
    model = build("float[2,6] x => float[2,4] y", body, a=(6,), b=(6,), w=(6, 4))
    model.opset_imports["custom"] = 1
    save_model(model, tmp_path / "a.onnx")
    report = fold_file(tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert len(report.fold.folded) == 1 and report.verification.verdict == "proven"


def test_what_could_not_be_proven_is_not_written(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = Problem("MatMul_2", "could not be computed", differs=False)
    monkeypatch.setattr(verify, "prove", lambda *_: Proof((problem,)))
    target = source.with_name("b.onnx")
    said = r"cannot be told: 'MatMul_2' could not be computed; .*keep"
    with pytest.raises(VerificationError, match=said):
        fold_file(source, target)
    assert not target.exists()


def test_strip_file(source: Path) -> None:
    target = source.with_name("b.onnx")
    report = strip_file(source, target, nodes=["Mul_0"])
    assert [norm.node for norm in report.stripped] == ["Add_1"]
    assert [node.op_type for node in load_model(target).graph] == ["MatMul"]
    with pytest.raises(TargetError, match="exists already"):
        strip_file(source, target)
