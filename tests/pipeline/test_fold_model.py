"""Python's fold: what it takes and gives, and that it is proven unless told otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnx_ir as ir
import pytest

import un_deploy
from tests.support.graphs import NORM, build, to_bytes
from un_deploy.errors import InputError, VerificationError
from un_deploy.graph.fold.report import FoldReport
from un_deploy.graph.proof.proof import Problem, Proof
from un_deploy.json_form import from_dict
from un_deploy.measure.equality import verify
from un_deploy.pipeline.fold_file import fold_file
from un_deploy.pipeline.fold_model import fold

SIGNATURE = "float[B,3,4] x => float[B,3,5] y"


def small() -> ir.Model:
    return build(SIGNATURE, f"{NORM} h = MatMul(n, w) y = Relu(h)", a=(4,), b=(4,), w=(4, 5))


def path_to(model: ir.Model, folder: Path) -> Path:
    ir.save(model, folder / "model.onnx")
    return folder / "model.onnx"


def test_public_name() -> None:
    assert un_deploy.fold is fold


def bytes_of(held: Any) -> bytes:
    if isinstance(held, Path):
        return held.read_bytes()
    if isinstance(held, ir.Model):
        return to_bytes(held)
    proto = held if isinstance(held, onnx.ModelProto) else gs.export_onnx(held, do_type_check=False)
    return proto.SerializeToString(deterministic=True)


@pytest.mark.parametrize("kind", ["path", "proto", "ir", "graphsurgeon"])
def test_every_kind_of_model_folds_and_is_left_as_it_was(kind: str, tmp_path: Path) -> None:
    model = small()
    held: Any = {
        "path": lambda: path_to(model, tmp_path),
        "proto": lambda: ir.to_proto(model),
        "ir": lambda: model,
        "graphsurgeon": lambda: gs.import_onnx(ir.to_proto(model)),
    }[kind]()
    before = bytes_of(held)
    folded, report = fold(held)
    assert isinstance(folded, ir.Model if kind == "path" else type(held))
    assert len(report.folded) == 1 and not report.stayed
    assert bytes_of(held) == before
    nodes = folded.nodes if kind == "graphsurgeon" else folded.graph
    nodes = nodes.node if kind == "proto" else nodes
    types = [node.op if kind == "graphsurgeon" else node.op_type for node in nodes]
    assert "Mul" not in types and "MatMul" in types


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_no_number_is_refused(bad: float) -> None:
    w = np.full((4, 5), bad, np.float32)
    model = build(SIGNATURE, f"{NORM} y = MatMul(n, w)", a=(4,), b=(4,), w=w)
    with pytest.raises(InputError, match="the weight 'w' has 20"):
        fold(model)


def test_what_is_not_proven_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "prove", lambda *_: Proof((Problem("w", "holds other numbers"),)))
    with pytest.raises(VerificationError, match="not equal: 'w' holds other numbers"):
        fold(small())
    folded, report = fold(small(), verify=False)
    assert len(report.folded) == 1 and len(folded.graph) == 3
    assert report.proven is False
    assert str(report).splitlines()[-1] == "Not proven: verify=False was asked for."


def test_the_report_prints_as_that_of_the_command_does(tmp_path: Path) -> None:
    """Modules for operators, in the table and of what gained a bias; and that it is proven."""
    model = small()
    model.graph.node("MatMul_2").name = "/blocks.0/mlp/MatMul"
    path = path_to(model, tmp_path)
    _, report = fold(path)
    file = fold_file(path, None, dry_run=True)
    printed, of_file = str(report).splitlines(), str(file).splitlines()
    assert printed[:-1] == of_file[: len(printed) - 1]
    assert "Linear operators that gained a bias: blocks.0.mlp" in printed
    assert printed[-1] == "Proven: it computes what the original does, for all inputs."
    assert report.proven and report.modules == file.modules
    assert from_dict(FoldReport, report.to_dict()) == report
    data = file.to_dict()["fold"]
    assert not {"modules", "proven"} & data.keys()  # beside it: modules, verification


def test_keep() -> None:
    folded, report = fold(small(), keep=["Mul_0"])
    assert len(report.stayed) == 1 and len(folded.graph) == 4
